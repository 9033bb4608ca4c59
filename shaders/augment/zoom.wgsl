// Pictures enlarged by a factor from 1 to a, each at a random place, with bilinear interpolation.
#import augment/picture

/// Where a pixel of the enlarged picture lies along an axis of `extent` pixels of which `extent * share` are seen.
fn source(at_: i32, extent: u32, share: f32, word: u32) -> f32 {
    let first = unit(word) * (f32(extent) - f32(extent) * share);
    return clamp(first + (f32(at_) + 0.5) * share - 0.5, 0.0, f32(extent) - 1.0);
}

fn changed(words: vec4<u32>, sample: u32, y: i32, x_: i32, channel: u32) -> f32 {
    let share = 1.0 / (1.0 + unit(words.x) * (params.a - 1.0));
    let place = vec2<f32>(
        source(y, params.height, share, words.y),
        source(x_, params.width, share, words.z),
    );
    let corner = floor(place);
    let f = place - corner;
    let top = i32(corner.x);
    let left = i32(corner.y);
    let below_ = min(top + 1, i32(params.height) - 1);
    let right = min(left + 1, i32(params.width) - 1);
    let upper = at(sample, top, left, channel) * (1.0 - f.y) + at(sample, top, right, channel) * f.y;
    let lower = at(sample, below_, left, channel) * (1.0 - f.y) + at(sample, below_, right, channel) * f.y;
    return upper * (1.0 - f.x) + lower * f.x;
}
