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

struct Grad {
    gates: array<F, GATES>,
    carry: F,
}

fn handed_down(i: u32) -> F { return out[i]; }

fn cell_grad(sample: u32, u: u32, dh: F, carried: F) -> Grad {
    let i = trace_at(sample, params.t, 0u, u);
    let f = trace_at(sample, params.t, 1u, u);
    let g = trace_at(sample, params.t, 2u, u);
    let o = trace_at(sample, params.t, 3u, u);
    let squashed = op_tanh(trace_at(sample, params.t, 4u, u));
    let before = select(F(0.0), trace_at(sample, min(params.earlier, params.time - 1u), 4u, u), params.earlier < params.time);
    let dc = carried + dh * o * (F(1.0) - squashed * squashed);
    return Grad(
        array<F, GATES>(
            dc * g * i * (F(1.0) - i), dc * before * f * (F(1.0) - f), dc * i * (F(1.0) - g * g),
            dh * squashed * o * (F(1.0) - o)),
        dc * f);
}

fn store_grads(position: u32, u: u32, grad: Grad, there: bool) {
    var gates = grad.gates;
    for (var gate = 0u; gate < GATES; gate += 1u) {
        out[(position * GATES + gate) * params.hidden + u] = select(F(0.0), gates[gate], there);
    }
}
#import shared/recurrent_backward
