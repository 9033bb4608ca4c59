// What the kernels of this folder that stream memory have in common: a workgroup of 64 walks a stretch of 1024 vec4s of x,
// 64 neighbours at a time, with four loads of each invocation under way at once. There are workgroups for whole
// stretches only.
#import shared/grid
struct Params {
    first_workgroup: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

const WIDTH = 64u;
const STRETCH = 1024u;
