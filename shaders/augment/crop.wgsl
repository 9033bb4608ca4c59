// Pictures shifted by up to a pixels in each direction; the gap is filled with zeros.
#import augment/picture

fn changed(words: vec4<u32>, sample: u32, y: i32, x_: i32, channel: u32) -> f32 {
    let padding = i32(params.a);
    let down = below(words.x, 2 * padding + 1) - padding;
    let right = below(words.y, 2 * padding + 1) - padding;
    return at(sample, y + down, x_ + right, channel);
}
