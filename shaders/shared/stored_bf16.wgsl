// Values in memory as bfloat16, the upper half of a 32-bit float, two in each word.
#import shared/rounded_bf16

// Four values.
fn widened(halves: vec2<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(
        halves.x << 16u, halves.x & 0xffff0000u, halves.y << 16u, halves.y & 0xffff0000u));
}

// Value `i` of an operand, in the word that holds it.
fn widened_at(word: u32, i: u32) -> f32 {
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (i & 1u) == 1u));
}

// What is rounded has no lower half.
fn narrowed(values: vec4<f32>) -> vec2<u32> {
    let bits = bitcast<vec4<u32>>(rounded(values));
    return vec2<u32>((bits.x >> 16u) | bits.y, (bits.z >> 16u) | bits.w);
}
