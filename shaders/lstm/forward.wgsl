// One step of an LSTM; see shared/recurrent_forward. Gates are in PyTorch's order: input, forget, cell, output. The
// trace holds the activated gates, then the cell state.
#import shared/recurrent_params
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> w: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn load_w(i: u32) -> vec4<f32> { return w[i]; }
#import shared/recurrent_vec4
#import tanh/tanh
#import sigmoid/sigmoid
#import shared/all_steps
@group(0) @binding(5) var<storage, read_write> trace: array<F>;

const GATES = 4u;
const TRACE = 5u;

fn cell(sample: u32, u: u32, sums: Sums, there: bool) {
    let i = op_sigmoid(x_at(sample, 0u, u) + sums.a);
    let f = op_sigmoid(x_at(sample, 1u, u) + sums.b);
    let g = op_tanh(x_at(sample, 2u, u) + sums.c);
    let o = op_sigmoid(x_at(sample, 3u, u) + sums.d);
    let before = trace[part(sample, params.before, TRACE, 4u) + u];
    let c = i * g + select(F(0.0), f * before, params.products > 0u);
    store_trace(sample, 0u, u, i, there);
    store_trace(sample, 1u, u, f, there);
    store_trace(sample, 2u, u, g, there);
    store_trace(sample, 3u, u, o, there);
    store_trace(sample, 4u, u, c, there);
    store_state(sample, u, o * op_tanh(c), there);
}
#import shared/recurrent_columns_4
#import shared/recurrent_forward
