// Adaptive average pooling: out[n, oy, ox, c] is the mean of x over window (oy, ox), NHWC. An invocation computes one
// F.
#import shared/lanes_vec4
#import shared/grid
#import shared/resized
#import adaptive_avg_pool2d/windows

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn x_at(i: u32) -> F { return lanes(load_x(texel(i)), i); }

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
    let ys = covers(own.y, params.height, params.out_height);
    let xs = covers(own.x, params.width, params.out_width);
    var sum = F(0.0);
    for (var y = ys.start; y < ys.end; y += 1u) {
        var at = position(own.image, y, xs.start, own.channel, params.height, params.width);
        for (var column = xs.start; column < xs.end; column += 1u) {
            sum += x_at(at);
            at += params.channels;
        }
    }
    out[i] = epilogue(sum / f32((ys.end - ys.start) * (xs.end - xs.start)), i * LANES);
}
