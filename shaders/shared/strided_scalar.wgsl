// Reads for a strided copy: one element, for any shape.
#import shared/store_scalar
const LANES = 1u;

fn fetch(i: u32) -> F {
    let at = source(i);
    return load_x(at >> 2u)[at & 3u];
}
