// Log-softmax of every row of x[rows, length]: out = x - maximum - log(sum).
#import shared/grid
#import shared/row_params
#import shared/row_vec4
@group(0) @binding(2) var<storage, read_write> out: array<F>;
#import shared/row_softmax

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
    let s = statistics(base, lane);
    let log_sum = log(s.sum);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        // The order matters: the first difference is exact where the logits are large and close.
        out[base + k] = (load_x(base + k) - F(s.maximum)) - F(log_sum);
    }
}
