// Inverted dropout: out = x * scale for elements that are kept, 0 for the others. Elements 4 i .. 4 i + 3 take the
// words of one Philox block, whose counter is (i, step, stream, 0). An invocation handles one block: one texel of x.
#import shared/store_vec4
#import shared/grid
#import shared/philox

struct Params {
    first_workgroup: u32,
    elements: u32,
    // Elements are kept if the top 24 bits of their word are at least this.
    threshold: u32,
    scale: f32,
    seed_low: u32,
    seed_high: u32,
    stream: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i * 4u >= params.elements) {
        return;
    }
    let words = philox4x32(vec4<u32>(i, step[0], params.stream, 0u), vec2<u32>(params.seed_low, params.seed_high));
    let kept = (words >> vec4<u32>(8u)) >= vec4<u32>(params.threshold);
    let value = select(vec4<f32>(0.0), load_x(i) * params.scale, kept);
    store(i * 4u, value, i32(params.elements - i * 4u));
}
