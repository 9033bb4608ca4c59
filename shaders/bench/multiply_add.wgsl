// Multiply-adds in registers, to measure the peak rate; a single store at the end keeps the compiler from removing
// them. An invocation computes three independent chains of vec4, enough to hide the latency of one multiply-add, in
// ROUNDS rounds of 8: 96 multiply-adds per round. The values stay near shift / (1 - scale).
#import shared/grid
struct Params {
    first_workgroup: u32,
    scale: f32,
    shift: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;

override ROUNDS: u32 = 512u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let s = vec4<f32>(params.scale);
    let t = vec4<f32>(params.shift);
    let seed = f32(lane) * t;
    var a = seed;
    var b = seed + vec4<f32>(1.0);
    var c = seed + vec4<f32>(2.0);
    for (var round = 0u; round < ROUNDS; round += 1u) {
        a = fma(a, s, t); b = fma(b, s, t); c = fma(c, s, t);
        a = fma(a, s, t); b = fma(b, s, t); c = fma(c, s, t);
        a = fma(a, s, t); b = fma(b, s, t); c = fma(c, s, t);
        a = fma(a, s, t); b = fma(b, s, t); c = fma(c, s, t);
        a = fma(a, s, t); b = fma(b, s, t); c = fma(c, s, t);
        a = fma(a, s, t); b = fma(b, s, t); c = fma(c, s, t);
        a = fma(a, s, t); b = fma(b, s, t); c = fma(c, s, t);
        a = fma(a, s, t); b = fma(b, s, t); c = fma(c, s, t);
    }
    let at = workgroup_index(id, count) * 64u + lane;
    if (at < arrayLength(&out)) {
        out[at] = a + b + c;
    }
}
