// Values in memory as bfloat16, the upper half of a 32-bit float, two in each word.

// Four values.
fn widened(halves: vec2<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(
        halves.x << 16u, halves.x & 0xffff0000u, halves.y << 16u, halves.y & 0xffff0000u));
}

// Value `i` of an operand, in the word that holds it.
fn widened_at(word: u32, i: u32) -> f32 {
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (i & 1u) == 1u));
}

// The nearest, ties to even; NaN stays.
fn narrowed(values: vec4<f32>) -> vec2<u32> {
    let bits = bitcast<vec4<u32>>(values);
    let near = bits + vec4<u32>(0x7fffu) + ((bits >> vec4<u32>(16u)) & vec4<u32>(1u));
    let is_nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
    let kept = select(near, bits | vec4<u32>(0x400000u), is_nan);
    return vec2<u32>((kept.x >> 16u) | (kept.y & 0xffff0000u), (kept.z >> 16u) | (kept.w & 0xffff0000u));
}
