// Gradient of adaptive average pooling: dx[n, y, x, c] is the sum, over the windows that contain (y, x) in row order,
// of dy divided by the window's area. The windows over an input are found like the inputs of a window, with the extents
// exchanged. An invocation computes one F of dx.
#import shared/lanes_vec4
#import shared/grid
#import shared/resized
#import adaptive_avg_pool2d/windows

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
    let oys = covers(own.y, params.out_height, params.height);
    let oxs = covers(own.x, params.out_width, params.width);
    var sum = F(0.0);
    for (var oy = oys.start; oy < oys.end; oy += 1u) {
        let ys = covers(oy, params.height, params.out_height);
        var at = position(own.image, oy, oxs.start, own.channel, params.out_height, params.out_width);
        for (var ox = oxs.start; ox < oxs.end; ox += 1u) {
            let xs = covers(ox, params.width, params.out_width);
            sum += dy_at(at) / f32((ys.end - ys.start) * (xs.end - xs.start));
            at += params.channels;
        }
    }
    out[i] = epilogue(sum, i * LANES);
}
