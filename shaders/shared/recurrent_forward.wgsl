// One step of a recurrent layer for all samples: out[i, t] from the input's pre-activations x[i, t], the weights
// w[GATES hidden, hidden] and out[i, before]. x is [samples, time, GATES hidden], out [samples, time, hidden], and
// trace [samples, time, TRACE hidden] stores what the gradient needs. Past the end of a sample everything is 0. The
// kind of layer is defined by `cell`, the division of work by shared/recurrent_rows_*.
#import shared/recurrent_rows_direct

/// Position k of the state of sample `row` before this step.
fn state_at(row: u32, k: u32) -> F {
    return out[(min(row, params.samples - 1u) * params.time + params.before) * params.hidden + k];
}

/// Lanes past the last unit compute a copy of it, because their neighbours need the values they read.
fn column_weights(gate: u32, u: u32, k: u32) -> Weights { return gate_weights(gate, min(u, params.hidden - 1u), k); }

/// The start of part `part` of the `parts` of H elements at position t of a sample.
fn part(sample: u32, t: u32, parts: u32, part: u32) -> u32 {
    return ((sample * params.time + t) * parts + part) * params.hidden;
}

fn x_at(sample: u32, gate: u32, u: u32) -> F {
    let at = part(sample, params.t, GATES, gate) + u;
    return lanes(load_x(texel(at)), at);
}

fn finish(sample: u32, u: u32, sums: Sums) {
    if (sample < params.samples && u < params.hidden) {
        cell(sample, u, sums, exists(sample, params.t));
    }
}

fn store_state(sample: u32, u: u32, value: F, there: bool) {
    out[part(sample, params.t, 1u, 0u) + u] = select(F(0.0), value, there);
}

fn store_trace(sample: u32, n: u32, u: u32, value: F, there: bool) {
    trace[part(sample, params.t, TRACE, n) + u] = select(F(0.0), value, there);
}

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
