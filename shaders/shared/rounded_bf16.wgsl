// What bfloat16 holds of these values: the nearest, ties to even; NaN stays.
fn rounded(value: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(value);
    let near = bits + vec4<u32>(0x7fffu) + ((bits >> vec4<u32>(16u)) & vec4<u32>(1u));
    let is_nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    return bitcast<vec4<f32>>(select(near, bits | vec4<u32>(0x400000u), is_nan) & vec4<u32>(0xffff0000u));
}
