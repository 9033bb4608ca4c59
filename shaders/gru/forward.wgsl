// One step of a GRU; see shared/recurrent_forward. Gates in PyTorch's order: reset, update, new. The trace holds them after their
// activation, then what the state gives to the new gate before it is reset.
#import shared/recurrent_params
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> bias: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn load_w(i: u32) -> vec4<f32> { return w[i]; }
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
#import shared/recurrent_vec4
#import tanh/tanh
#import sigmoid/sigmoid
#import shared/all_steps
@group(0) @binding(5) var<storage, read_write> trace: array<F>;

const GATES = 3u;
const TRACE = 4u;

struct Step {
    state: F,
    trace: array<F, TRACE>,
}

/// The state at a position.
fn before_at(position: u32, u: u32) -> F { return out[position * params.hidden + u]; }

fn bias_at(gate: u32, u: u32) -> F {
    let at = gate * params.hidden + u;
    return lanes(load_bias(texel(at)), at);
}

fn cell(x: array<F, GATES>, sums: array<F, GATES>, before: F, u: u32) -> Step {
    let r = op_sigmoid(x[0] + sums[0] + bias_at(0u, u));
    let z = op_sigmoid(x[1] + sums[1] + bias_at(1u, u));
    let given = sums[2] + bias_at(2u, u);
    let n = op_tanh(x[2] + r * given);
    let state = n - z * n + select(F(0.0), z * before, params.products > 0u);
    return Step(state, array<F, TRACE>(r, z, n, given));
}
#import shared/recurrent_forward
