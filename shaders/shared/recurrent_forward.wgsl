// One step of a recurrent layer for all samples: out[i, t] from the pre-activations x[i, t] that the input gives, the weights
// w[GATES hidden, hidden] and out[i, before]. x is [samples, time, GATES hidden], out [samples, time, hidden], trace [samples,
// time, TRACE hidden]: what the gradient needs. Past the end of a sample all is 0. The kind of layer is in `cell`, how
// the work is divided in shared/recurrent_rows_*.
/// Position k of the state that sample `row` brings to this step.
fn state_at(row: u32, k: u32) -> F {
    return out[(min(row, params.samples - 1u) * params.time + params.before) * params.hidden + k];
}
#import shared/recurrent_rows_direct

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let share = share_at(workgroup_index(id, count), lane);
    // Lanes past the last unit work on a copy of it: their neighbours need what they read.
    let u = min(share.y, params.hidden - 1u);
    var sums: array<array<F, GATES>, ROWS>;
    for (var k = 0u; k < params.products; k += 1u) {
        let own = held(share.x, lane, k);
        var weights: array<Weights, GATES>;
        for (var gate = 0u; gate < GATES; gate += 1u) {
            weights[gate] = gate_weights(gate, u, k);
        }
        for (var r = 0u; r < ROWS; r += 1u) {
            let state = row_value(own, share.x, r, k);
            for (var gate = 0u; gate < GATES; gate += 1u) {
                sums[r][gate] += times(state, weights[gate]);
            }
        }
    }
    for (var r = 0u; r < ROWS; r += 1u) {
        let sample = share.x + r;
        if (share.y < params.hidden && sample < params.samples) {
            let position = sample * params.time + params.t;
            var x: array<F, GATES>;
            for (var gate = 0u; gate < GATES; gate += 1u) {
                let at = (position * GATES + gate) * params.hidden + u;
                x[gate] = lanes(load_x(texel(at)), at);
            }
            var step = cell(x, sums[r], before_at(sample * params.time + params.before, u), u);
            let there = exists(sample, params.t);
            out[position * params.hidden + u] = select(F(0.0), step.state, there);
            for (var part = 0u; part < TRACE; part += 1u) {
                let at = (position * TRACE + part) * params.hidden + u;
                trace[at] = select(F(0.0), step.trace[part], there);
            }
        }
    }
}
