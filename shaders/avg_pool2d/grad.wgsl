// Gradient of average pooling: dx[n, y, x, c] is the sum, over the windows that contain (y, x) in row order, of dy[n,
// oy, ox, c] divided by the window's divisor. An invocation computes one F of dx.
#import shared/lanes_vec4
#import shared/grid
#import shared/window
#import avg_pool2d/divisor

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
    let oys = windows_over_row(own.y);
    let oxs = windows_over_column(own.x);
    var sum = F(0.0);
    for (var oy = oys.start; oy < oys.end; oy += 1u) {
        let ys = rows(oy);
        var at = output_position(own.image, oy, oxs.start, own.channel);
        for (var ox = oxs.start; ox < oxs.end; ox += 1u) {
            sum += dy_at(at) / divisor(ys, columns(ox));
            at += params.channels;
        }
    }
    out[i] = epilogue(sum, i * LANES);
}
