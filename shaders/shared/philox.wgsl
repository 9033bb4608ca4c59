// Philox4x32-10 (Salmon et al. 2011): four random words for a counter and a key. It equals `random::philox4x32`: the
// bits are the same on every device.

// High word of the 64-bit product. WGSL has no 64-bit integers: a product of 16-bit halves fits in 32 bits, and so does
// its sum with a carry of 16 bits.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let middle = a1 * b0 + ((a0 * b0) >> 16u);
    let cross = a0 * b1 + (middle & 0xffffu);
    return a1 * b1 + (middle >> 16u) + (cross >> 16u);
}

fn philox_round(c: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    let high0 = multiply_high(0xd2511f53u, c.x);
    let high1 = multiply_high(0xcd9e8d57u, c.z);
    return vec4<u32>(high1 ^ c.y ^ key.x, 0xcd9e8d57u * c.z, high0 ^ c.w ^ key.y, 0xd2511f53u * c.x);
}

fn philox4x32(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    let weyl = vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round += 1u) {
        c = philox_round(c, k);
        k += weyl;
    }
    return c;
}
