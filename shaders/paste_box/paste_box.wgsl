// Pastes a box of `other` into pictures x[batch, height, width, channels] at a random position inside, different for
// each sample. One invocation per element.
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
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> other: array<f32>;
@group(0) @binding(3) var<storage, read> step: array<u32>;
@group(0) @binding(4) var<storage, read> box_height: array<u32>;
@group(0) @binding(5) var<storage, read> box_width: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

/// An integer from 0 to `room`, from the top 24 bits of a word.
fn first(word: u32, room: u32) -> u32 {
    return u32(f32(word >> 8u) * (1.0 / 16777216.0) * f32(room + 1u));
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
    let pixel = i / params.channels;
    let column = pixel % params.width;
    let row = (pixel / params.width) % params.height;
    let sample = pixel / params.width / params.height;
    // The last word of the counter is the purpose: augmentation.
    let counter = vec4<u32>(sample, step[0], 0xffffffffu, 4u);
    let words = philox4x32(counter, vec2<u32>(params.seed_low, params.seed_high));
    let tall = min(box_height[0], params.height);
    let wide = min(box_width[0], params.width);
    let top = first(words.x, params.height - tall);
    let left = first(words.y, params.width - wide);
    let inside = row >= top && row < top + tall && column >= left && column < left + wide;
    if (inside) {
        out[i] = other[i];
    } else {
        out[i] = x[i];
    }
}
