// Batched matmul, plain kernel: one output per invocation, four k at a time. Operands: matmul/direct_operands.
#import shared/store_scalar
#import shared/each_output
#import matmul/direct_operands

const OUTPUTS = 1u;

// Four consecutive k of an operand are a texel.
override A_TEXELS: bool = false;
override B_TEXELS: bool = false;

// Four consecutive k, starting at element i.
fn a_four(i: u32) -> vec4<f32> {
    if (A_TEXELS) {
        return load_a(i >> 2u);
    }
    let stride = params.a_k_stride;
    return vec4<f32>(a_at(i), a_at(i + stride), a_at(i + 2u * stride), a_at(i + 3u * stride));
}

fn b_four(i: u32) -> vec4<f32> {
    if (B_TEXELS) {
        return load_b(i >> 2u);
    }
    let stride = params.b_k_stride;
    return vec4<f32>(b_at(i), b_at(i + stride), b_at(i + 2u * stride), b_at(i + 3u * stride));
}

fn output(index: u32) -> f32 {
    let line = divide(index, params.n);
    let batch = divide(line, params.m);
    var at_a = a_first(line - batch * params.m, batch);
    var at_b = b_first(index - line * params.n, batch);
    var sum = 0.0;
    var k = 0u;
    for (; k + 4u <= params.k; k += 4u) {
        sum += dot(a_four(at_a), b_four(at_b));
        at_a += 4u * params.a_k_stride;
        at_b += 4u * params.b_k_stride;
    }
    for (; k < params.k; k += 1u) {
        sum += a_at(at_a) * b_at(at_b);
        at_a += params.a_k_stride;
        at_b += params.b_k_stride;
    }
    return sum;
}
