// Max pooling: out[n, oy, ox, c] is the maximum of x[n, y, x, c] over window (oy, ox). x and out are NHWC. An
// invocation computes one F of the result.
#import shared/lanes_vec4
#import shared/grid
#import shared/window

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
    let ys = rows(own.y);
    let xs = columns(own.x);
    var best = x_at(input_position(own.image, ys.start, xs.start, own.channel));
    for (var ky = 0u; ky < KERNEL_Y; ky += 1u) {
        if (is_cut(ys, ky)) {
            break;
        }
        let at = input_position(own.image, ys.start + ky, xs.start, own.channel);
        for (var kx = 0u; kx < KERNEL_X; kx += 1u) {
            if (is_cut(xs, kx)) {
                break;
            }
            best = max(best, x_at(at + kx * params.channels));
        }
    }
    out[i] = epilogue(best, i * LANES);
}
