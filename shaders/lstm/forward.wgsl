// One step of an LSTM; see shared/recurrent_forward. Gates in PyTorch's order: input, forget, cell, output. The trace holds them
// after their activation, then the cell state.
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

struct Step {
    state: F,
    trace: array<F, TRACE>,
}

/// The cell state at a position.
fn before_at(position: u32, u: u32) -> F { return trace[(position * TRACE + 4u) * params.hidden + u]; }

fn cell(x: array<F, GATES>, sums: array<F, GATES>, before: F, u: u32) -> Step {
    let i = op_sigmoid(x[0] + sums[0]);
    let f = op_sigmoid(x[1] + sums[1]);
    let g = op_tanh(x[2] + sums[2]);
    let o = op_sigmoid(x[3] + sums[3]);
    let c = i * g + select(F(0.0), f * before, params.products > 0u);
    return Step(o * op_tanh(c), array<F, TRACE>(i, f, g, o, c));
}
#import shared/recurrent_forward
