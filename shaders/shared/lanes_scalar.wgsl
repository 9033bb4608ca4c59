// An invocation handles one element along the innermost axis, of any extent. Positions are in units of F.
#import shared/store_scalar

// Integers corresponding to an F, and the number of elements it holds.
alias I = i32;
const LANES = 1u;

// The texel that contains position i of an operand, and the value of position i in that texel.
fn texel(i: u32) -> u32 { return i >> 2u; }
fn lanes(texel: vec4<f32>, i: u32) -> F { return texel[i & 3u]; }
