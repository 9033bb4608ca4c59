// One step of a GRU; see shared/recurrent_forward. Gates are in PyTorch's order: reset, update, new. The trace holds
// the activated gates, then the state's contribution to the new gate before the reset gate is applied.
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

fn bias_at(gate: u32, u: u32) -> F {
    let at = gate * params.hidden + u;
    return lanes(load_bias(texel(at)), at);
}

fn cell(sample: u32, u: u32, sums: Sums, there: bool) {
    let r = op_sigmoid(x_at(sample, 0u, u) + sums.a + bias_at(0u, u));
    let z = op_sigmoid(x_at(sample, 1u, u) + sums.b + bias_at(1u, u));
    let given = sums.c + bias_at(2u, u);
    let n = op_tanh(x_at(sample, 2u, u) + r * given);
    let before = out[part(sample, params.before, 1u, 0u) + u];
    store_trace(sample, 0u, u, r, there);
    store_trace(sample, 1u, u, z, there);
    store_trace(sample, 2u, u, n, there);
    store_trace(sample, 3u, u, given, there);
    store_state(sample, u, n - z * n + select(F(0.0), z * before, params.products > 0u), there);
}
#import shared/recurrent_columns_3
#import shared/recurrent_forward
