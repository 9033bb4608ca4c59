// The gradient of one step of a recurrent layer for all samples; steps run from the last to the first. out[i, t], the
// gradient of the pre-activations [samples, time, GATES hidden], is computed from the gradient dy[i, t] of the state,
// the trace of the forward pass, and the gradients from the step that follows in the forward pass (here: `before`).
// carry[samples, hidden] is what that step passes on in addition to the product with its weights w[GATES hidden,
// hidden]. Past the end of a sample everything is 0. The kind of layer is defined by `cell_grad`, the division of work
// by shared/recurrent_rows_*.
#import shared/recurrent_rows_direct
#import shared/recurrent_units_1

/// Position k of the gradients of sample `row`'s pre-activations in the step that was processed before.
fn state_at(row: u32, k: u32) -> F {
    return handed_down((min(row, params.samples - 1u) * params.time + params.before) * GATES * params.hidden + k);
}

/// Lanes past the last unit compute a copy of it, because their neighbours need the values they read.
fn column_weights(n: u32, u: u32, k: u32) -> Weights { return unit_weights(k, min(u + 8u * n, params.hidden - 1u)); }

/// The start of part `part` of the `parts` of H elements at position t of a sample.
fn part(sample: u32, t: u32, parts: u32, part: u32) -> u32 {
    return ((sample * params.time + t) * parts + part) * params.hidden;
}

fn trace_at(sample: u32, t: u32, n: u32, u: u32) -> F {
    let at = part(sample, t, TRACE, n) + u;
    return lanes(load_trace(texel(at)), at);
}

fn finish_unit(sample: u32, u: u32, sum: F) {
    if (sample < params.samples && u < params.hidden) {
        let at = part(sample, params.t, 1u, 0u) + u;
        let dy = lanes(load_dy(texel(at)), at);
        let carried = select(F(0.0), carry[sample * params.hidden + u], params.products > 0u);
        cell_grad(sample, u, dy + sum, carried, exists(sample, params.t));
    }
}

fn store_grad(sample: u32, gate: u32, u: u32, value: F, there: bool) {
    out[part(sample, params.t, GATES, gate) + u] = select(F(0.0), value, there);
}

fn store_carry(sample: u32, u: u32, value: F, there: bool) {
    carry[sample * params.hidden + u] = select(F(0.0), value, there);
}

/// The previous position in the forward pass, or any position at its start.
fn earlier() -> u32 { return min(params.earlier, params.time - 1u); }
fn starts() -> bool { return params.earlier >= params.time; }

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let share = share_at(workgroup_index(id, count), lane);
    var rows: Rows;
    for (var k = first_product(lane); k < params.products; k += SLICES) {
        rows = add_rows(rows, share.x, lane, k, columns_at(share.y, k));
    }
    finish_rows(rows, share.x, share.y, lane);
}
