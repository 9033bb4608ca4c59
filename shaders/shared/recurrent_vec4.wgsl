// Four units of a recurrent layer at a time, if their number is a multiple of four. Positions are in units of F.
#import shared/lanes_vec4

/// The weights of 4 elements in 4 sums. Matrix times vector compiles to fused multiply-adds, vector times matrix to dot
/// products.
alias Weights = mat4x4<f32>;

/// Weights of units 4u .. 4u+3 of a gate for elements 4k .. 4k+3 of the state: column j belongs to element j.
fn gate_weights(gate: u32, u: u32, k: u32) -> Weights {
    let n = params.hidden;
    let at = (gate * n + u) * 4u * n + k;
    return transpose(Weights(load_w(at), load_w(at + n), load_w(at + 2u * n), load_w(at + 3u * n)));
}
fn times(x: F, weights: Weights) -> F { return weights * x; }

/// The same weights transposed: of pre-activations 4k .. 4k+3 for units 4u .. 4u+3.
fn unit_weights(k: u32, u: u32) -> Weights {
    let n = params.hidden;
    let at = 4u * k * n + u;
    return Weights(load_w(at), load_w(at + n), load_w(at + 2u * n), load_w(at + 3u * n));
}
