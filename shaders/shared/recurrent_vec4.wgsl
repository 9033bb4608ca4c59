// Four units of a recurrent layer at a time, where their number is a multiple of four. Positions count F.
#import shared/lanes_vec4

/// What 4 numbers are multiplied with for 4 sums.
/// Products of a matrix and a vector become fused multiply-adds, those of a vector and a matrix dot products.
alias Weights = mat4x4<f32>;

/// Weights of units 4u .. 4u+3 of a gate, from numbers 4k .. 4k+3 of the state: column j belongs to number j.
fn gate_weights(gate: u32, u: u32, k: u32) -> Weights {
    let n = params.hidden;
    let at = (gate * n + u) * 4u * n + k;
    return transpose(Weights(load_w(at), load_w(at + n), load_w(at + 2u * n), load_w(at + 3u * n)));
}
fn times(x: F, weights: Weights) -> F { return weights * x; }

/// The same weights the other way: of pre-activations 4k .. 4k+3, for units 4u .. 4u+3.
fn unit_weights(k: u32, u: u32) -> Weights {
    let n = params.hidden;
    let at = 4u * k * n + u;
    return Weights(load_w(at), load_w(at + n), load_w(at + 2u * n), load_w(at + 3u * n));
}
