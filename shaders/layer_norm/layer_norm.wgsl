// Normalises rows of x[rows, length] to mean 0 and variance 1, then applies a weight and a bias per column: out = (x -
// mean) scale weight + bias, scale = 1 / sqrt(mean((x - mean)^2) + EPSILON). statistics[rows] stores the mean and the
// scale of each row.
#import shared/grid
#import shared/row_params
#import shared/row_vec4
@group(0) @binding(2) var<storage, read_write> out: array<F>;
@group(0) @binding(3) var<storage, read_write> statistics: array<vec4<f32>>;
#import shared/row_invocation
#import layer_norm/unweighted
#import layer_norm/unshifted

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
    let elements = f32(params.length * WIDTH);
    var sum = F(0.0);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        sum += load_x(base + k);
    }
    let mean = row_sum(total(sum), lane) / elements;
    var squares = F(0.0);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        let d = load_x(base + k) - F(mean);
        squares += d * d;
    }
    let scale = inverseSqrt(row_sum(total(squares), lane) / elements + EPSILON);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        out[base + k] = shifted(weighted((load_x(base + k) - F(mean)) * F(scale), k), k);
    }
    if (first_of(lane) == 0u) {
        statistics[row] = vec4<f32>(mean, scale, 0.0, 0.0);
    }
}
