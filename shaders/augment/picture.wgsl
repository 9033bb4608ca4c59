// Shared code of the changes of pictures: one invocation per element of out[batch, height, width, channels]. A file
// that imports this defines `changed`.
#import shared/grid
#import shared/philox

struct Params {
    first_workgroup: u32,
    elements: u32,
    height: u32,
    width: u32,
    channels: u32,
    seed_low: u32,
    seed_high: u32,
    stream: u32,
    // Their meaning depends on the file that imports this.
    a: f32,
    b: f32,
    c: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

/// A random word as a number in [0, 1), from its top 24 bits.
fn unit(word: u32) -> f32 {
    return f32(word >> 8u) * (1.0 / 16777216.0);
}

/// An integer below n.
fn below(word: u32, n: i32) -> i32 {
    return i32(unit(word) * f32(n));
}

/// A number between -most and most.
fn around_zero(word: u32, most: f32) -> f32 {
    return (2.0 * unit(word) - 1.0) * most;
}

/// The value of picture `sample` at a pixel, 0 outside.
fn at(sample: u32, y: i32, x_: i32, channel: u32) -> f32 {
    if (y < 0 || x_ < 0 || y >= i32(params.height) || x_ >= i32(params.width)) {
        return 0.0;
    }
    return x[((sample * params.height + u32(y)) * params.width + u32(x_)) * params.channels + channel];
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i >= params.elements) {
        return;
    }
    let channel = i % params.channels;
    let pixel = i / params.channels;
    let row = pixel / params.width;
    let sample = row / params.height;
    // The last word of the counter is the purpose: augmentation.
    let counter = vec4<u32>(sample, step[0], params.stream, 4u);
    let words = philox4x32(counter, vec2<u32>(params.seed_low, params.seed_high));
    out[i] = changed(words, sample, i32(row % params.height), i32(pixel % params.width), channel);
}
