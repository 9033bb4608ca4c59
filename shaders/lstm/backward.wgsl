// The gradient of one step of an LSTM; see shared/recurrent_backward and lstm/forward. The carry is the gradient of the cell
// state.
#import shared/recurrent_params
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> trace: array<vec4<f32>>;
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
fn load_w(i: u32) -> vec4<f32> { return w[i]; }
fn load_trace(i: u32) -> vec4<f32> { return trace[i]; }
#import shared/recurrent_vec4
#import tanh/tanh
#import shared/all_steps
@group(0) @binding(6) var<storage, read_write> carry: array<F>;

const GATES = 4u;
const TRACE = 5u;

fn handed_down(i: u32) -> F { return out[i]; }

fn cell_grad(sample: u32, u: u32, dh: F, carried: F, there: bool) {
    let i = trace_at(sample, params.t, 0u, u);
    let f = trace_at(sample, params.t, 1u, u);
    let g = trace_at(sample, params.t, 2u, u);
    let o = trace_at(sample, params.t, 3u, u);
    let squashed = op_tanh(trace_at(sample, params.t, 4u, u));
    let before = select(trace_at(sample, earlier(), 4u, u), F(0.0), starts());
    let dc = carried + dh * o * (F(1.0) - squashed * squashed);
    store_grad(sample, 0u, u, dc * g * i * (F(1.0) - i), there);
    store_grad(sample, 1u, u, dc * before * f * (F(1.0) - f), there);
    store_grad(sample, 2u, u, dc * i * (F(1.0) - g * g), there);
    store_grad(sample, 3u, u, dh * squashed * o * (F(1.0) - o), there);
    store_carry(sample, u, dc * f, there);
}
#import shared/recurrent_backward
