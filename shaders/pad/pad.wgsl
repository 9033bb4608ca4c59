// out is x padded with params.value, along up to six axes, numbered from the innermost; RANK is the number of axes.
// Along axis a, out has extent_a elements, of which own_a come from x after the first before_a. An invocation writes
// one F; along the innermost axis these are in units of F.
#import shared/lanes_vec4
#import shared/grid
#import shared/division

// A pipeline constant, because software adapters do not branch around divisions for axes that do not exist.
override RANK: u32 = 6u;

struct Params {
    first_workgroup: u32,
    invocations: u32,
    value: f32,
    extent_0: u32,
    extent_1: u32,
    extent_2: u32,
    extent_3: u32,
    extent_4: u32,
    before_0: u32,
    before_1: u32,
    before_2: u32,
    before_3: u32,
    before_4: u32,
    before_5: u32,
    own_0: u32,
    own_1: u32,
    own_2: u32,
    own_3: u32,
    own_4: u32,
    own_5: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn x_at(i: u32) -> F { return lanes(load_x(texel(i)), i); }

// The element of x for a position, as far as axes have been processed.
struct Source {
    // Remainder of the position.
    rest: u32,
    at: u32,
    // Stride in x along the next axis.
    stride: u32,
    inside: bool,
}

// `q` is the position along an axis.
fn stepped(s: Source, rest: u32, q: u32, before: u32, own: u32) -> Source {
    // Wraps around to a large number before the first element.
    let from_first = q - before;
    return Source(rest, s.at + from_first * s.stride, s.stride * own, s.inside && from_first < own);
}

fn along(s: Source, extent: u32, before: u32, own: u32) -> Source {
    let rest = divide(s.rest, extent);
    return stepped(s, rest, s.rest - rest * extent, before, own);
}

fn outermost(s: Source, before: u32, own: u32) -> Source {
    return stepped(s, 0u, s.rest, before, own);
}

fn source(i: u32) -> Source {
    var s = Source(i, 0u, 1u, true);
    if (RANK == 1u) { return outermost(s, params.before_0, params.own_0); }
    s = along(s, params.extent_0, params.before_0, params.own_0);
    if (RANK == 2u) { return outermost(s, params.before_1, params.own_1); }
    s = along(s, params.extent_1, params.before_1, params.own_1);
    if (RANK == 3u) { return outermost(s, params.before_2, params.own_2); }
    s = along(s, params.extent_2, params.before_2, params.own_2);
    if (RANK == 4u) { return outermost(s, params.before_3, params.own_3); }
    s = along(s, params.extent_3, params.before_3, params.own_3);
    if (RANK == 5u) { return outermost(s, params.before_4, params.own_4); }
    s = along(s, params.extent_4, params.before_4, params.own_4);
    return outermost(s, params.before_5, params.own_5);
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
    let s = source(i);
    out[i] = select(F(params.value), x_at(select(0u, s.at, s.inside)), s.inside);
}
