// What 16-bit floats hold of these values: the nearest, ties to even. Written out, because WGSL does not say what
// `pack2x16float` makes of numbers that are too large.
fn rounded(value: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(value);
    let size = bits & vec4<u32>(0x7fffffffu);
    // 10 of 23 bits stay.
    let near = (size + vec4<u32>(0xfffu) + ((size >> vec4<u32>(13u)) & vec4<u32>(1u))) & vec4<u32>(0xffffe000u);
    // From 65,520 on infinity; what is infinite or NaN already stays.
    let large = select(near, max(size, vec4<u32>(0x7f800000u)), near >= vec4<u32>(0x47800000u));
    // Below 2^-14 multiples of 2^-24.
    let small = bitcast<vec4<u32>>(round(abs(value) * 16777216.0) * 5.9604644775390625e-8);
    let rounded_size = select(large, small, size < vec4<u32>(0x38800000u));
    return bitcast<vec4<f32>>(rounded_size | (bits & vec4<u32>(0x80000000u)));
}
