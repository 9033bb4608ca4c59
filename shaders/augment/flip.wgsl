// Pictures mirrored with probability 1/2: left to right where a is 1, top to bottom where b is.
#import augment/picture

fn changed(words: vec4<u32>, sample: u32, y: i32, x_: i32, channel: u32) -> f32 {
    let across = params.a > 0.5 && (words.x >> 31u) == 1u;
    let down = params.b > 0.5 && (words.y >> 31u) == 1u;
    let row = select(y, i32(params.height) - 1 - y, down);
    let column = select(x_, i32(params.width) - 1 - x_, across);
    return at(sample, row, column, channel);
}
