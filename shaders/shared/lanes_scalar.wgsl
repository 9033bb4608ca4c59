// An invocation's share of the innermost axis: one element, for any axis. Positions count F.
#import shared/store_scalar

// Integers beside an F, and how many elements it holds.
alias I = i32;
const LANES = 1u;

// The texel that holds position i of an operand, and what position i is of that texel.
fn texel(i: u32) -> u32 { return i >> 2u; }
fn lanes(texel: vec4<f32>, i: u32) -> F { return texel[i & 3u]; }
