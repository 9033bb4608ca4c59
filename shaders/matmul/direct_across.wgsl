// Batched matmul, plain kernel: four neighbouring columns per invocation, which are a texel of B and of the result.
// Operands: matmul/direct_operands.
#import shared/store_vec4
#import shared/each_output
#import matmul/direct_operands

const OUTPUTS = 4u;

fn output(index: u32) -> vec4<f32> {
    let line = divide(index, params.n / 4u);
    let batch = divide(line, params.m);
    var at_a = a_first(line - batch * params.m, batch);
    var at_b = b_first(4u * index - line * params.n, batch);
    var sum = vec4<f32>(0.0);
    for (var k = 0u; k < params.k; k += 1u) {
        sum += a_at(at_a) * load_b(at_b >> 2u);
        at_a += params.a_k_stride;
        at_b += params.b_k_stride;
    }
    return sum;
}
