// Pictures with a square of zeros, a pixels wide, centred on a random pixel and clipped at the edges.
#import augment/picture

fn changed(words: vec4<u32>, sample: u32, y: i32, x_: i32, channel: u32) -> f32 {
    let size = i32(params.a);
    let top = below(words.x, i32(params.height)) - size / 2;
    let left = below(words.y, i32(params.width)) - size / 2;
    let hole = y >= top && y < top + size && x_ >= left && x_ < left + size;
    if (hole) {
        return 0.0;
    }
    return at(sample, y, x_, channel);
}
