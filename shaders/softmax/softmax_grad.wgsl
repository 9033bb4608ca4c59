// Gradient of softmax from its result x[rows, length]: out = x (dy - sum(x dy)), row by row.
#import shared/grid
#import shared/row_params
#import shared/row_pair_vec4
@group(0) @binding(3) var<storage, read_write> out: array<F>;
#import shared/row_invocation

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
    var products = F(0.0);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        products += load_x(base + k) * load_dy(base + k);
    }
    let sum = row_sum(total(products), lane);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        out[base + k] = load_x(base + k) * (load_dy(base + k) - F(sum));
    }
}
