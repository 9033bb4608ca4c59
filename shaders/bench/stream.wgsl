// Shared code of the bandwidth kernels. Launches consist of whole workgroups only.
#import shared/grid
struct Params {
    first_workgroup: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
