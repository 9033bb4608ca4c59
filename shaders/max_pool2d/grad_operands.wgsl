// Operands of max pooling's gradient, x [N, H, W, C] and dy [N, OH, OW, C], and which element of a window won.
#import shared/lanes_vec4
#import shared/grid
#import shared/window

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn x_at(i: u32) -> F { return lanes(load_x(texel(i)), i); }

@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
fn dy_at(i: u32) -> F { return lanes(load_dy(texel(i)), i); }

// The pixel (y * width + x) of the first maximum in row order, for each channel of an F.
fn winner(image: u32, ys: Range, xs: Range, channel: u32) -> I {
    var best = x_at(input_position(image, ys.start, xs.start, channel));
    var pixel = I(i32(ys.start * params.width + xs.start));
    for (var y = ys.start; y < ys.end; y += 1u) {
        var at = input_position(image, y, xs.start, channel);
        for (var x = xs.start; x < xs.end; x += 1u) {
            let value = x_at(at);
            pixel = select(pixel, I(i32(y * params.width + x)), value > best);
            best = max(best, value);
            at += params.channels;
        }
    }
    return pixel;
}
