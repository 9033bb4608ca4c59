// Pictures rotated about their centre with bilinear interpolation; the gap is filled with zeros. The tangent of half
// the angle is uniform in [-a, a], so that sine and cosine are quotients, which are the same on every device up to
// rounding.
#import augment/picture

fn changed(words: vec4<u32>, sample: u32, y: i32, x_: i32, channel: u32) -> f32 {
    let t = around_zero(words.x, params.a);
    let scale = 1.0 / (1.0 + t * t);
    let cosine = (1.0 - t * t) * scale;
    let sine = 2.0 * t * scale;
    let middle = (vec2<f32>(f32(params.height), f32(params.width)) - 1.0) * 0.5;
    let from_middle = vec2<f32>(f32(y), f32(x_)) - middle;
    let source = middle + vec2<f32>(
        from_middle.x * cosine - from_middle.y * sine,
        from_middle.x * sine + from_middle.y * cosine,
    );
    let corner = floor(source);
    let f = source - corner;
    let top = i32(corner.x);
    let left = i32(corner.y);
    let upper = at(sample, top, left, channel) * (1.0 - f.y) + at(sample, top, left + 1, channel) * f.y;
    let lower = at(sample, top + 1, left, channel) * (1.0 - f.y) + at(sample, top + 1, left + 1, channel) * f.y;
    return upper * (1.0 - f.x) + lower * f.x;
}
