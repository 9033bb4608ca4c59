// Bilinear interpolation: out[n, oy, ox, c] from the four pixels of x around its position, NHWC. An invocation computes
// one F.
#import shared/lanes_vec4
#import shared/grid
#import shared/resized
#import upsample_bilinear2d/source

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn x_at(own: Place, y: u32, at: u32) -> F {
    let i = position(own.image, y, at, own.channel, params.height, params.width);
    return lanes(load_x(texel(i)), i);
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
    let own = place(i, params.out_height, params.out_width);
    let ys = source(own.y, params.height, params.out_height);
    let xs = source(own.x, params.width, params.out_width);
    let below = min(ys.first + 1u, params.height - 1u);
    let right = min(xs.first + 1u, params.width - 1u);
    let upper = x_at(own, ys.first, xs.first) * (1.0 - xs.more) + x_at(own, ys.first, right) * xs.more;
    let lower = x_at(own, below, xs.first) * (1.0 - xs.more) + x_at(own, below, right) * xs.more;
    out[i] = epilogue(upper * (1.0 - ys.more) + lower * ys.more, i * LANES);
}
