// Scales rows of x[rows, length] to root mean square 1: out = x / sqrt(mean(x^2) + EPSILON).
#import shared/grid
#import shared/row_params
#import shared/row_vec4
@group(0) @binding(2) var<storage, read_write> out: array<F>;
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
    var squares = F(0.0);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        let x = load_x(base + k);
        squares += x * x;
    }
    let elements = f32(params.length) * total(F(1.0));
    let scale = inverseSqrt(row_sum(total(squares), lane) / elements + EPSILON);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        out[base + k] = load_x(base + k) * F(scale);
    }
}
