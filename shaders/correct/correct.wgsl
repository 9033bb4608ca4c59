// 1 where the prediction of a row equals its label and the row is valid, else 0. One invocation per row.
#import shared/grid
struct Params {
    first_workgroup: u32,
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
    let row = workgroup_index(id, count) * 64u + lane;
    if (row >= params.rows) {
        return;
    }
    out[row] = select(0.0, 1.0, row < valid[0] && predicted[row] == labels[row]);
}
