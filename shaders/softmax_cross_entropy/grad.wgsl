// Gradient of the losses in `loss` with respect to x[rows, classes]:
// out[i, k] = dy[i] (softmax(x[i])[k] - (1 - e) [k = label] - e / classes); 0 for rows from `valid` on and if the label
// is not a class.
#import shared/grid
struct Params {
    first_workgroup: u32,
    rows: u32,
    // Classes in units of F.
    length: u32,
    classes: u32,
    smoothing: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
#import shared/row_vec4
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> valid: array<u32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<F>;
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
    let label = labels[row];
    let counts = label < params.classes && row < valid[0];
    let grad = dy[row];
    let even = F(params.smoothing / f32(params.classes));
    for (var k = first_of(lane); k < params.length; k += LANES) {
        let p = exp(load_x(base + k) - F(s.maximum)) / F(s.sum);
        let target_p = select(even, even + F(1.0 - params.smoothing), columns(k) == Columns(label));
        // A select rather than a product, because excluded values may be NaN.
        out[base + k] = select(F(0.0), grad * (p - target_p), counts);
    }
}
