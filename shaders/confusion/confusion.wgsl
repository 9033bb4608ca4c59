// Counts the valid rows for each pair of label and prediction: out[label, predicted]. One invocation per cell, which
// reads all rows.
#import shared/grid
struct Params {
    first_workgroup: u32,
    cells: u32,
    classes: u32,
    rows: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> predicted: array<u32>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> valid: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let cell = workgroup_index(id, count) * 64u + lane;
    if (cell >= params.cells) {
        return;
    }
    let label = cell / params.classes;
    let other = cell % params.classes;
    let rows = min(params.rows, valid[0]);
    var found = 0u;
    for (var row = 0u; row < rows; row += 1u) {
        if (labels[row] == label && predicted[row] == other) {
            found += 1u;
        }
    }
    out[cell] = f32(found);
}
