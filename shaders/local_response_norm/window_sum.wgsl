// Sums over windows of channels: out[r, c] = sum over k from c - before to c + after of x[r, k], limited to existing
// channels. An invocation computes four consecutive elements.
#import shared/store_vec4
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    elements: u32,
    channels: u32,
    before: u32,
    after: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (workgroup_index(id, count) * 64u + lane) * 4u;
    if (first >= params.elements) {
        return;
    }
    var value = vec4<f32>(0.0);
    for (var e = 0u; e < min(4u, params.elements - first); e += 1u) {
        let row = divide(first + e, params.channels) * params.channels;
        let channel = first + e - row;
        let end = min(channel + params.after + 1u, params.channels);
        var sum = 0.0;
        for (var k = max(channel, params.before) - params.before; k < end; k += 1u) {
            sum += load_x((row + k) >> 2u)[(row + k) & 3u];
        }
        value[e] = sum;
    }
    store(first, value, i32(params.elements - first));
}
