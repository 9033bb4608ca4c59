// The gradient of one step of a GRU; see shared/recurrent_backward and gru/forward. `out` is the gradient of what the input
// gives to the gates, `hidden` of what the state gives to them: they differ in the new gate, whose state part is reset. The
// carry is what the update gate lets through of the state's gradient.
#import shared/recurrent_params
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> trace: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> y: array<vec4<f32>>;
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
fn load_w(i: u32) -> vec4<f32> { return w[i]; }
fn load_trace(i: u32) -> vec4<f32> { return trace[i]; }
fn load_y(i: u32) -> vec4<f32> { return y[i]; }
#import shared/recurrent_vec4
#import shared/all_steps
@group(0) @binding(6) var<storage, read_write> carry: array<F>;
@group(0) @binding(7) var<storage, read_write> hidden: array<F>;

const GATES = 3u;
const TRACE = 4u;

struct Grad {
    gates: array<F, GATES>,
    // Of the state's part of the new gate.
    given: F,
    carry: F,
}

fn handed_down(i: u32) -> F { return hidden[i]; }

fn cell_grad(sample: u32, u: u32, sum: F, carried: F) -> Grad {
    let dh = sum + carried;
    let r = trace_at(sample, params.t, 0u, u);
    let z = trace_at(sample, params.t, 1u, u);
    let n = trace_at(sample, params.t, 2u, u);
    let given = trace_at(sample, params.t, 3u, u);
    let at = (sample * params.time + min(params.earlier, params.time - 1u)) * params.hidden + u;
    let before = select(F(0.0), lanes(load_y(texel(at)), at), params.earlier < params.time);
    let dn = dh * (F(1.0) - z) * (F(1.0) - n * n);
    return Grad(
        array<F, GATES>(dn * given * r * (F(1.0) - r), dh * (before - n) * z * (F(1.0) - z), dn), dn * r, dh * z);
}

fn store_grads(position: u32, u: u32, grad: Grad, there: bool) {
    var gates = grad.gates;
    for (var gate = 0u; gate < GATES; gate += 1u) {
        let at = (position * GATES + gate) * params.hidden + u;
        let of_state = select(gates[gate], grad.given, gate == 2u);
        out[at] = select(F(0.0), gates[gate], there);
        hidden[at] = select(F(0.0), of_state, there);
    }
}
#import shared/recurrent_backward
