// 1 for valid rows in which fewer than k logits rank above that of the label (larger, or equal and earlier), else 0.
// One invocation per row.
#import shared/grid
struct Params {
    first_workgroup: u32,
    rows: u32,
    classes: u32,
    k: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> valid: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = workgroup_index(id, count) * 64u + lane;
    if (row >= params.rows) {
        return;
    }
    let label = labels[row];
    let first = row * params.classes;
    let own = logits[first + min(label, params.classes - 1u)];
    var ahead = 0u;
    for (var class_ = 0u; class_ < params.classes; class_ += 1u) {
        let other = logits[first + class_];
        if (other > own || (other == own && class_ < label)) {
            ahead += 1u;
        }
    }
    out[row] = select(0.0, 1.0, row < valid[0] && label < params.classes && ahead < params.k);
}
