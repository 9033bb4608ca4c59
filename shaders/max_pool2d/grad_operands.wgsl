// Operands of max pooling's gradient, x [N, H, W, C] and dy [N, OH, OW, C], and the search for the maximum of a window.
#import shared/lanes_vec4
#import shared/grid
#import shared/window

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn x_at(i: u32) -> F { return lanes(load_x(texel(i)), i); }

@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
fn dy_at(i: u32) -> F { return lanes(load_dy(texel(i)), i); }

// The first maximum of a window in row order, for each channel of an F: its row times KERNEL_X plus its column, both
// relative to the first position of the window that is inside the image.
fn winner(image: u32, ys: Range, xs: Range, channel: u32) -> I {
    var best = x_at(input_position(image, ys.start, xs.start, channel));
    var place = I(0);
    for (var ky = 0u; ky < KERNEL_Y; ky += 1u) {
        if (is_cut(ys, ky)) {
            break;
        }
        let at = input_position(image, ys.start + ky, xs.start, channel);
        for (var kx = 0u; kx < KERNEL_X; kx += 1u) {
            if (is_cut(xs, kx)) {
                break;
            }
            let value = x_at(at + kx * params.channels);
            place = select(place, I(i32(ky * KERNEL_X + kx)), value > best);
            best = max(best, value);
        }
    }
    return place;
}
