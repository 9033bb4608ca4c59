// The gradient of layer_norm row by row, from its operand x[rows, length] and the gradient dy of its result y:
// out = scale (dy - mean(dy) - y mean(y dy)), y = scale (x - mean(x)), scale = 1 / sqrt(mean((x - mean(x))^2) + EPSILON).
#import shared/grid
#import shared/row_params
#import shared/row_pair_vec4
@group(0) @binding(3) var<storage, read_write> out: array<F>;
#import shared/row_invocation

override EPSILON: f32;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(workgroup_index(id, count), lane);
    if (row >= params.rows) {
        return;
    }
    let base = row * params.length;
    let elements = f32(params.length) * total(F(1.0));
    var sum = F(0.0);
    var sum_dy = F(0.0);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        sum += load_x(base + k);
        sum_dy += load_dy(base + k);
    }
    let mean = F(row_sum(total(sum), lane) / elements);
    let mean_dy = F(row_sum(total(sum_dy), lane) / elements);
    var squares = F(0.0);
    var products = F(0.0);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        let d = load_x(base + k) - mean;
        squares += d * d;
        products += d * load_dy(base + k);
    }
    let scale = inverseSqrt(row_sum(total(squares), lane) / elements + EPSILON);
    let slope = F(row_sum(total(products), lane) / elements * scale * scale);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        out[base + k] = F(scale) * (load_dy(base + k) - mean_dy - (load_x(base + k) - mean) * slope);
    }
}
