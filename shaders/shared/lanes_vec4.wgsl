// An invocation handles four neighbours along the innermost axis, whose extent is a multiple of 4. Positions are in
// units of F.
#import shared/store_vec4

// Integers corresponding to an F, and the number of elements it holds.
alias I = vec4<i32>;
const LANES = 4u;

// The texel that contains position i of an operand, and the value of position i in that texel.
fn texel(i: u32) -> u32 { return i; }
fn lanes(texel: vec4<f32>, i: u32) -> F { return texel; }
