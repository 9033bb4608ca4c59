// An invocation's share of the innermost axis: four neighbours, where the axis is a multiple of 4. Positions count F.
#import shared/store_vec4

// Integers beside an F, and how many elements it holds.
alias I = vec4<i32>;
const LANES = 4u;

// The texel that holds position i of an operand, and what position i is of that texel.
fn texel(i: u32) -> u32 { return i; }
fn lanes(texel: vec4<f32>, i: u32) -> F { return texel; }
