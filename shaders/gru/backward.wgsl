// The gradient of one step of a GRU; see shared/recurrent_backward and gru/forward. `out` is the gradient of the
// input's contribution to the gates, `hidden` that of the state's. They differ in the new gate, where the reset gate
// scales the state's contribution. The carry is the part of the state's gradient that passes through the update gate.
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

fn handed_down(i: u32) -> F { return hidden[i]; }

fn cell_grad(sample: u32, u: u32, sum: F, carried: F, there: bool) {
    let dh = sum + carried;
    let r = trace_at(sample, params.t, 0u, u);
    let z = trace_at(sample, params.t, 1u, u);
    let n = trace_at(sample, params.t, 2u, u);
    let given = trace_at(sample, params.t, 3u, u);
    let at = part(sample, earlier(), 1u, 0u) + u;
    let before = select(lanes(load_y(texel(at)), at), F(0.0), starts());
    let dn = dh * (F(1.0) - z) * (F(1.0) - n * n);
    let dr = dn * given * r * (F(1.0) - r);
    let dz = dh * (before - n) * z * (F(1.0) - z);
    store_grad(sample, 0u, u, dr, there);
    store_grad(sample, 1u, u, dz, there);
    store_grad(sample, 2u, u, dn, there);
    store_hidden(sample, 0u, u, dr, there);
    store_hidden(sample, 1u, u, dz, there);
    store_hidden(sample, 2u, u, dn * r, there);
    store_carry(sample, u, dh * z, there);
}

fn store_hidden(sample: u32, gate: u32, u: u32, value: F, there: bool) {
    hidden[part(sample, params.t, GATES, gate) + u] = select(F(0.0), value, there);
}
#import shared/recurrent_backward
