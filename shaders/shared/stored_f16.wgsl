// Values in memory as 16-bit floats (IEEE 754 binary16), two in each word.

// Four values. Written out, as is what follows: not all software adapters have `unpack2x16float`, and WGSL does not say
// how `pack2x16float` rounds, nor what it makes of numbers that are too large.
fn widened(words: vec2<u32>) -> vec4<f32> {
    let halves = vec4<u32>(words.x, words.x >> 16u, words.y, words.y >> 16u);
    let size = halves & vec4<u32>(0x7fffu);
    let normal = (size << vec4<u32>(13u)) + vec4<u32>(0x38000000u);
    // Infinity and NaN.
    let large = (size << vec4<u32>(13u)) | vec4<u32>(0x7f800000u);
    // Multiples of 2^-24.
    let small = bitcast<vec4<u32>>(vec4<f32>(size) * 5.9604644775390625e-8);
    let finite = select(normal, small, size < vec4<u32>(0x400u));
    let value = select(finite, large, size >= vec4<u32>(0x7c00u));
    return bitcast<vec4<f32>>(value | ((halves & vec4<u32>(0x8000u)) << vec4<u32>(16u)));
}

// Value `i` of an operand, in the word that holds it.
fn widened_at(word: u32, i: u32) -> f32 {
    return widened(vec2<u32>(word >> (16u * (i & 1u)), 0u)).x;
}

// The nearest, ties to even.
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
