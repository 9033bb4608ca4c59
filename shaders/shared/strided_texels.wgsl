// Reads for a strided copy: four neighbours of the result are one texel of the operand.
#import shared/store_vec4
const LANES = 4u;

fn fetch(i: u32) -> F { return load_x(source(i)); }
