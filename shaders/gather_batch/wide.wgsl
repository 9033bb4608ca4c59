// Assembles a batch from images stored as bytes, sixteen elements per invocation: out[i, e] = byte e of image
// order[cursor + i], scaled. The length of items is a multiple of sixteen bytes, so that an invocation reads one vec4
// of words (four bytes each, the lowest first) and never crosses into the next item.
#import shared/grid
#import gather_batch/params
@group(0) @binding(1) var<storage, read> data: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> cursor: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
#import gather_batch/normalize

fn bytes(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}

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
    let step = i % params.item_steps;
    let words = data[item_of(row) * params.item_steps + step];
    // A single division for sixteen elements: divisions are slow where lanes are emulated.
    var phase = (16u * step) % params.period;
    out[4u * i] = normalized(bytes(words.x), phase);
    phase = next(phase);
    out[4u * i + 1u] = normalized(bytes(words.y), phase);
    phase = next(phase);
    out[4u * i + 2u] = normalized(bytes(words.z), phase);
    phase = next(phase);
    out[4u * i + 3u] = normalized(bytes(words.w), phase);
}
