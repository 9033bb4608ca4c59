// Boxes[batch, boxes, 6] moved with the pictures that augment/flip or augment/crop change. One invocation per box.
#import shared/grid
#import shared/philox
struct Params {
    first_workgroup: u32,
    rows: u32,
    boxes_each: u32,
    seed_low: u32,
    seed_high: u32,
    stream: u32,
    across: u32,
    down: u32,
    padding: u32,
    height: f32,
    width: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> boxes: array<f32>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

/// A shift by up to the padding in either direction, as augment/crop draws it.
fn shift(word: u32) -> f32 {
    let padding = i32(params.padding);
    let number = f32(word >> 8u) * (1.0 / 16777216.0);
    return f32(i32(number * f32(2 * padding + 1)) - padding);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i >= params.rows) {
        return;
    }
    // The last word of the counter is the purpose: augmentation.
    let counter = vec4<u32>(i / params.boxes_each, step[0], params.stream, 4u);
    let words = philox4x32(counter, vec2<u32>(params.seed_low, params.seed_high));
    let at = i * 6u;
    var low = vec2<f32>(boxes[at], boxes[at + 1u]);
    var high = vec2<f32>(boxes[at + 2u], boxes[at + 3u]);
    if (params.across == 1u && (words.x >> 31u) == 1u) {
        let left = params.width - high.x;
        high.x = params.width - low.x;
        low.x = left;
    }
    if (params.down == 1u && (words.y >> 31u) == 1u) {
        let top = params.height - high.y;
        high.y = params.height - low.y;
        low.y = top;
    }
    if (params.padding > 0u) {
        let by = vec2<f32>(shift(words.y), shift(words.x));
        low = low - by;
        high = high - by;
    }
    let whole = (high.x - low.x) * (high.y - low.y);
    let size = vec2<f32>(params.width, params.height);
    low = clamp(low, vec2<f32>(), size);
    high = clamp(high, vec2<f32>(), size);
    let remains = (high.x - low.x) * (high.y - low.y);
    if (boxes[at + 4u] >= 0.0 && remains >= whole * 0.25) {
        out[at] = low.x;
        out[at + 1u] = low.y;
        out[at + 2u] = high.x;
        out[at + 3u] = high.y;
        out[at + 4u] = boxes[at + 4u];
        out[at + 5u] = boxes[at + 5u];
    } else {
        out[at] = 0.0;
        out[at + 1u] = 0.0;
        out[at + 2u] = 0.0;
        out[at + 3u] = 0.0;
        out[at + 4u] = -1.0;
        out[at + 5u] = 0.0;
    }
}
