// Rotary position embedding. In x[samples, time, groups, 2 half], elements i and i + half of each of the first
// `rotated` groups are rotated by the angle whose cosine and sine are table[t, i] and table[t, i + half]; the other
// groups are copied. An invocation rotates one F of pairs; `half` is in units of F.
#import shared/lanes_vec4
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    invocations: u32,
    time: u32,
    groups: u32,
    rotated: u32,
    half: u32,
    // 1, or -1 to rotate by the negative angle.
    direction: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn load_table(i: u32) -> vec4<f32> { return table[i]; }
fn x_at(i: u32) -> F { return lanes(load_x(texel(i)), i); }
fn table_at(i: u32) -> F { return lanes(load_table(texel(i)), i); }

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let pair = workgroup_index(id, count) * 64u + lane;
    if (pair >= params.invocations) {
        return;
    }
    let vector = divide(pair, params.half);
    let i = pair - vector * params.half;
    let position = divide(vector, params.groups);
    let group = vector - position * params.groups;
    let t = position - divide(position, params.time) * params.time;
    let low = 2u * vector * params.half + i;
    let high = low + params.half;
    let turns = group < params.rotated;
    let c = select(F(1.0), table_at(2u * t * params.half + i), turns);
    let s = select(F(0.0), params.direction * table_at((2u * t + 1u) * params.half + i), turns);
    let a = x_at(low);
    let b = x_at(high);
    out[low] = epilogue(a * c - b * s, low * LANES);
    out[high] = epilogue(b * c + a * s, high * LANES);
}
