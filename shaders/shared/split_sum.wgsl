// Second stage of a contraction with splits: out[i] = sum over s of partials[s, i], in order of s, 4 elements per
// invocation. `len` is the number of elements of one partial; with a scalar store it need not be a multiple of 4.
#import shared/store_vec4
#import shared/grid

struct Params {
    first_workgroup: u32,
    splits: u32,
    len: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }

override LEN_VEC4: bool = true;

// The four elements from `index` on, which need not be aligned to a texel.
fn load_4(index: u32) -> vec4<f32> {
    if (LEN_VEC4) {
        return load_a(index >> 2u);
    }
    var value: vec4<f32>;
    for (var i = 0u; i < 4u; i += 1u) {
        let at = min(index + i, params.splits * params.len - 1u);
        value[i] = load_a(at >> 2u)[at & 3u];
    }
    return value;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = (workgroup_index(id, count) * 64u + lane) * 4u;
    if (index >= params.len) {
        return;
    }
    var sum = vec4<f32>(0.0);
    for (var split = 0u; split < params.splits; split += 1u) {
        sum += load_4(split * params.len + index);
    }
    store(index, sum, i32(params.len - index));
}
