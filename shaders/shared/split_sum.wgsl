// Second stage of a contraction with splits: out[i] = sum over s of partials[s, i], 4 elements per column. `len` is the
// number of elements of one partial; with a scalar store it need not be a multiple of 4. A launch swaps
// shared/columns_invocation if a workgroup should process a column.
#import shared/store_vec4
#import shared/grid
#import shared/columns_invocation

struct Params {
    first_workgroup: u32,
    outer: u32,
    // Number of partials.
    length: u32,
    // Number of columns.
    inner: u32,
    splits: u32,
    len: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }

alias Partial = vec4<f32>;
fn combine(a: Partial, b: Partial) -> Partial { return a + b; }

override LEN_VEC4: bool = true;

// The four elements from `index` on, which need not be aligned to a texel.
fn load_4(index: u32) -> vec4<f32> {
    if (LEN_VEC4) {
        return load_a(index >> 2u);
    }
    var value: vec4<f32>;
    for (var i = 0u; i < 4u; i += 1u) {
        let at = min(index + i, params.length * params.len - 1u);
        value[i] = load_a(at >> 2u)[at & 3u];
    }
    return value;
}

@compute @workgroup_size(SIZE)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = place_of(workgroup_index(id, count), lane);
    let index = place.column * 4u;
    var sum = vec4<f32>(0.0);
    if (place.works) {
        for (var partial = place.row; partial < params.length; partial += ROWS) {
            sum += load_4(partial * params.len + index);
        }
    }
    sum = combined_rows(sum, lane);
    if (place.works && place.row == 0u) {
        store(index, sum, i32(params.len - index));
    }
}
