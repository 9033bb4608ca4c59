// Targets of the places of a level: out[batch, height * width, 6] from boxes[batch, boxes, 6]. One invocation per place.
#import shared/grid
struct Params {
    first_workgroup: u32,
    places: u32,
    height: u32,
    width: u32,
    boxes_each: u32,
    stride: f32,
    reach: f32,
    smallest: f32,
    largest: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> boxes: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn ratio(a: f32, b: f32) -> f32 {
    return min(a, b) / max(a, b);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i >= params.places) {
        return;
    }
    let column = i % params.width;
    let row = (i / params.width) % params.height;
    let sample = i / params.width / params.height;
    let cx = (f32(column) + 0.5) * params.stride;
    let cy = (f32(row) + 0.5) * params.stride;
    var best = vec4<f32>();
    var kind = -1.0;
    var found = false;
    var least = 0.0;
    for (var n = 0u; n < params.boxes_each; n++) {
        let at = (sample * params.boxes_each + n) * 6u;
        let low = vec2<f32>(boxes[at], boxes[at + 1u]);
        let high = vec2<f32>(boxes[at + 2u], boxes[at + 3u]);
        let own_class = boxes[at + 4u];
        let sides = vec4<f32>(cx - low.x, cy - low.y, high.x - cx, high.y - cy);
        let inside = min(min(sides.x, sides.y), min(sides.z, sides.w)) > 0.0;
        if (own_class < 0.0 || !inside) {
            continue;
        }
        if (boxes[at + 5u] > 0.5) {
            if (!found) {
                kind = -2.0;
            }
            continue;
        }
        let off = abs((low + high) * 0.5 - vec2<f32>(cx, cy));
        let near = off.x <= params.reach && off.y <= params.reach;
        let far = max(max(sides.x, sides.y), max(sides.z, sides.w));
        let fits = far > params.smallest && far <= params.largest;
        let area = (high.x - low.x) * (high.y - low.y);
        if (near && fits && (!found || area < least)) {
            best = sides;
            kind = own_class;
            least = area;
            found = true;
        }
    }
    var centre = 0.0;
    if (found) {
        centre = min(sqrt(ratio(best.x, best.z) * ratio(best.y, best.w)), 1.0);
    }
    let to = i * 6u;
    out[to] = best.x;
    out[to + 1u] = best.y;
    out[to + 2u] = best.z;
    out[to + 3u] = best.w;
    out[to + 4u] = kind;
    out[to + 5u] = centre;
}
