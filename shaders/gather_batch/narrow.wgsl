// Assembles a batch from images stored as bytes, one element per invocation. Items may have any length and start
// anywhere in a word (four bytes, the lowest first). out[i, e] = byte e of image order[cursor + i], scaled.
#import shared/grid
#import gather_batch/params
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> cursor: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
#import gather_batch/normalize

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
    let row = i / params.item_steps;
    let e = i % params.item_steps;
    let at = item_of(row) * params.item_steps + e;
    let byte = (data[at >> 2u] >> (8u * (at & 3u))) & 255u;
    out[i] = normalized(vec4<f32>(f32(byte)), e % params.period).x;
}
