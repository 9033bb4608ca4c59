// Transposes the weights of a depthwise convolution from [C, KH*KW] to [KH*KW, C], 4 channels per invocation.
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    taps: u32,
    // Channels / 4.
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }

fn weight(channel: u32, tap: u32) -> f32 {
    let i = channel * params.taps + tap;
    return load_a(i >> 2u)[i & 3u];
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(id, count) * 64u + lane;
    let tap = divide(index, params.groups);
    if (tap >= params.taps) {
        return;
    }
    let channel = 4u * (index - tap * params.groups);
    out[index] = vec4<f32>(
        weight(channel, tap), weight(channel + 1u, tap), weight(channel + 2u, tap), weight(channel + 3u, tap));
}
