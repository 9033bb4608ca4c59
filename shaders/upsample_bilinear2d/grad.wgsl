// Gradient of bilinear interpolation: dx[n, y, x, c] is the sum, over the outputs that use (y, x) in row order, of dy
// times the weight of (y, x) in them. An invocation computes one F of dx.
#import shared/lanes_vec4
#import shared/grid
#import shared/resized
#import upsample_bilinear2d/source

@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
fn dy_at(i: u32) -> F { return lanes(load_dy(texel(i)), i); }

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
    let own = place(i, params.height, params.width);
    let oys = takers(own.y, params.height, params.out_height);
    let oxs = takers(own.x, params.width, params.out_width);
    var sum = F(0.0);
    for (var oy = oys.start; oy < oys.end; oy += 1u) {
        let down = share(oy, own.y, params.height, params.out_height);
        var at = position(own.image, oy, oxs.start, own.channel, params.out_height, params.out_width);
        for (var ox = oxs.start; ox < oxs.end; ox += 1u) {
            sum += dy_at(at) * (down * share(ox, own.x, params.width, params.out_width));
            at += params.channels;
        }
    }
    out[i] = epilogue(sum, i * LANES);
}
