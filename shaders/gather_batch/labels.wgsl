// The labels of a batch, one per invocation: out[i] = labels[order[cursor + i]].
#import shared/grid
struct Params {
    first_workgroup: u32,
    invocations: u32,
    // Items in the data set.
    items: u32,
    // Length of the order.
    ordered: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> cursor: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<u32>;
#import gather_batch/item

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i >= params.invocations) {
        return;
    }
    out[i] = labels[item_of(i)];
}
