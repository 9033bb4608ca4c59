// Reads for a strided copy: four neighbours of the result are not adjacent in the operand but have a constant stride.
#import shared/store_vec4
const LANES = 4u;

fn element(i: u32) -> f32 { return load_x(i >> 2u)[i & 3u]; }

fn fetch(i: u32) -> F {
    let at = source(4u * i);
    let stride = params.stride_0;
    return F(element(at), element(at + stride), element(at + 2u * stride), element(at + 3u * stride));
}
