// Values in memory as 16-bit floats (IEEE 754 binary16), two in each word.

// Four values.
fn widened(halves: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y));
}

// Value `i` of an operand, in the word that holds it.
fn widened_at(word: u32, i: u32) -> f32 {
    return unpack2x16float(word)[i & 1u];
}

// The nearest, ties to even. Written out, because WGSL does not say how `pack2x16float` rounds, nor what it makes of
// numbers that are too large.
fn narrowed(values: vec4<f32>) -> vec2<u32> {
    let bits = bitcast<vec4<u32>>(values);
    let size = bits & vec4<u32>(0x7fffffffu);
    // 10 of 23 bits stay.
    let near = size + vec4<u32>(0xfffu) + ((size >> vec4<u32>(13u)) & vec4<u32>(1u));
    let normal = (near - vec4<u32>(0x38000000u)) >> vec4<u32>(13u);
    // From 65,520 on infinity; NaN stays.
    let large = vec4<u32>(0x7c00u) | select(vec4<u32>(0u), vec4<u32>(0x200u), size > vec4<u32>(0x7f800000u));
    // Below 2^-14 multiples of 2^-24.
    let small = vec4<u32>(round(abs(values) * 16777216.0));
    let finite = select(normal, small, size < vec4<u32>(0x38800000u));
    let halves = select(finite, large, near >= vec4<u32>(0x47800000u)) | ((bits >> vec4<u32>(16u)) & vec4<u32>(0x8000u));
    return vec2<u32>(halves.x | (halves.y << 16u), halves.z | (halves.w << 16u));
}
