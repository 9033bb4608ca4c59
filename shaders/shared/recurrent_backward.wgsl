// The gradient of one step of a recurrent layer for all samples, from the last step to the first: out[i, t], the gradient of
// the pre-activations [samples, time, GATES hidden], from the gradient dy[i, t] of the state, the trace of the forward
// pass, and what the step after this in the forward walk (here: `before`) gave. carry[samples, hidden] is what that step hands
// down beside the product with its weights w[GATES hidden, hidden]. Past the end of a sample all is 0. The kind of layer
// is in `cell_grad`, how the work is divided in shared/recurrent_rows_*.

// F of units that a workgroup has.
override TILE_UNITS: u32;

/// Position k of the pre-activations' gradients of sample `row` in the step that was done before.
fn state_at(row: u32, k: u32) -> F {
    return handed_down((min(row, params.samples - 1u) * params.time + params.before) * GATES * params.hidden + k);
}
#import shared/recurrent_rows_direct

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let share = share_at(workgroup_index(id, count), lane);
    var sums: array<array<F, UNITS>, ROWS>;
    for (var k = 0u; k < params.products; k += 1u) {
        let own = held(share.x, lane, k);
        var weights: array<Weights, UNITS>;
        for (var n = 0u; n < UNITS; n += 1u) {
            if (8u * n < TILE_UNITS) {
                weights[n] = unit_weights(k, min(share.y + 8u * n, params.hidden - 1u));
            }
        }
        for (var r = 0u; r < ROWS; r += 1u) {
            let grads = row_value(own, share.x, r, k);
            for (var n = 0u; n < UNITS; n += 1u) {
                if (8u * n < TILE_UNITS) {
                    sums[r][n] += times_back(grads, weights[n]);
                }
            }
        }
    }
    for (var n = 0u; n < UNITS; n += 1u) {
        let u = share.y + 8u * n;
        for (var r = 0u; r < ROWS; r += 1u) {
            let sample = share.x + r;
            if (8u * n < TILE_UNITS && u < params.hidden && sample < params.samples) {
                let at = (sample * params.time + params.t) * params.hidden + u;
                let dy = lanes(load_dy(texel(at)), at);
                let carried = select(F(0.0), carry[sample * params.hidden + u], params.products > 0u);
                let grad = cell_grad(sample, u, dy + sums[r][n], carried);
                let there = exists(sample, params.t);
                carry[sample * params.hidden + u] = select(F(0.0), grad.carry, there);
                store_grads(sample * params.time + params.t, u, grad, there);
            }
        }
    }
}

/// Part `part` of the trace of a sample at position t.
fn trace_at(sample: u32, t: u32, part: u32, u: u32) -> F {
    let at = ((sample * params.time + t) * TRACE + part) * params.hidden + u;
    return lanes(load_trace(texel(at)), at);
}
