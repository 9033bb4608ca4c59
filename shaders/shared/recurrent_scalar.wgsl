// One unit of a recurrent layer at a time, for any number of units. The functions are those of shared/recurrent_vec4.
#import shared/lanes_scalar
alias Weights = f32;
fn weight_at(row: u32, column: u32) -> f32 {
    let at = row * params.hidden + column;
    return lanes(load_w(texel(at)), at);
}
fn gate_weights(gate: u32, u: u32, k: u32) -> Weights { return weight_at(gate * params.hidden + u, k); }
fn times(x: F, weights: Weights) -> F { return x * weights; }
fn unit_weights(k: u32, u: u32) -> Weights { return weight_at(k, u); }
