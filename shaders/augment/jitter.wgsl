// Colour jitter: random saturation (up to c), then contrast (up to b), then brightness (up to a).
#import augment/picture

fn changed(words: vec4<u32>, sample: u32, y: i32, x_: i32, channel: u32) -> f32 {
    var value = at(sample, y, x_, channel);
    if (params.channels == 3u) {
        let grey = (at(sample, y, x_, 0u) + at(sample, y, x_, 1u) + at(sample, y, x_, 2u)) * (1.0 / 3.0);
        value += around_zero(words.z, params.c) * (value - grey);
    }
    return value + around_zero(words.y, params.b) * value + around_zero(words.x, params.a);
}
