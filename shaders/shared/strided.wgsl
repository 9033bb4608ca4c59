// Copies elements in another order: position q of out, with up to six axes, is x at offset + sum of q[a] * stride_a.
// Axes are numbered from the innermost; RANK is their number. An invocation writes one F. Positions are in units of
// what the imported `fetch` reads at once: texels or elements.
#import shared/strided_texels
#import shared/grid
#import shared/division

// A pipeline constant, because software adapters do not branch around divisions for axes that do not exist.
override RANK: u32 = 6u;

struct Params {
    first_workgroup: u32,
    invocations: u32,
    offset: u32,
    extent_0: u32,
    extent_1: u32,
    extent_2: u32,
    extent_3: u32,
    extent_4: u32,
    stride_0: u32,
    stride_1: u32,
    stride_2: u32,
    stride_3: u32,
    stride_4: u32,
    stride_5: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }

// The remainder of a position (y) and the resulting index in x (x).
fn along(at: vec2<u32>, extent: u32, stride: u32) -> vec2<u32> {
    let rest = divide(at.y, extent);
    return vec2<u32>(at.x + (at.y - rest * extent) * stride, rest);
}

fn source(i: u32) -> u32 {
    var at = vec2<u32>(params.offset, i);
    if (RANK == 1u) { return at.x + at.y * params.stride_0; }
    at = along(at, params.extent_0, params.stride_0);
    if (RANK == 2u) { return at.x + at.y * params.stride_1; }
    at = along(at, params.extent_1, params.stride_1);
    if (RANK == 3u) { return at.x + at.y * params.stride_2; }
    at = along(at, params.extent_2, params.stride_2);
    if (RANK == 4u) { return at.x + at.y * params.stride_3; }
    at = along(at, params.extent_3, params.stride_3);
    if (RANK == 5u) { return at.x + at.y * params.stride_4; }
    at = along(at, params.extent_4, params.stride_4);
    return at.x + at.y * params.stride_5;
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
    out[i] = epilogue(fetch(i), i * LANES);
}
