// Cross-entropy of softmax(x) for every row of x[rows, classes]: out[i] = (1 - e) (lse - x[i, label]) + e (lse - mean
// x[i]), where lse is the logarithm of the sum of exponentials; 0 for rows from `valid` on, NaN if the label is not a
// class.
#import shared/grid
struct Params {
    first_workgroup: u32,
    rows: u32,
    // Classes in units of F.
    length: u32,
    classes: u32,
    smoothing: f32,
    not_a_number: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
#import shared/row_vec4
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> valid: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
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
    // The mean of x is only needed for smoothing. It is taken relative to the maximum, so that large logits lose no
    // digits.
    var below = 0.0;
    if (params.smoothing > 0.0) {
        var d = F(0.0);
        for (var k = first_of(lane); k < params.length; k += LANES) {
            d += load_x(base + k) - F(s.maximum);
        }
        below = row_sum(total(d), lane) / f32(params.classes);
    }
    if (first_of(lane) != 0u) {
        return;
    }
    let label = labels[row];
    // A label that is not a class must not lead to a read outside the row.
    let own = element_x(row * params.classes + min(label, params.classes - 1u)) - s.maximum;
    var loss = log(s.sum) - (1.0 - params.smoothing) * own - params.smoothing * below;
    loss = select(params.not_a_number, loss, label < params.classes);
    out[row] = select(0.0, loss, row < valid[0]);
}
