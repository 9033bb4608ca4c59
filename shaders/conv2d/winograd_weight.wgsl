// Winograd's transform of the weights: 3 x 3 taps to 36 components. An invocation transforms 4 input channels of an output
// channel. In: O-3-3-I; out: [36, O, I]. `rotate` turns the taps by half a turn, for the input gradient.
#import shared/grid
#import shared/division
#import conv2d/winograd

struct Params {
    first_workgroup: u32,
    // Output channels, and input channels / 4.
    outputs: u32,
    groups: u32,
    rotate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }

// Tap `number`, 0 to 8.
fn tap(output: u32, group: u32, number: u32) -> vec4<f32> {
    let turned = select(number, 8u - number, params.rotate != 0u);
    return load_a((output * 9u + turned) * params.groups + group);
}

fn column(output: u32, group: u32, kx: u32) -> Six {
    return transform_weight(Three(
        tap(output, group, kx), tap(output, group, kx + 3u), tap(output, group, kx + 6u)));
}

fn store_components(index: u32, row: u32, v: Six) {
    let stride = params.outputs * params.groups;
    let first = 6u * row * stride + index;
    out[first] = v.e0;
    out[first + stride] = v.e1;
    out[first + 2u * stride] = v.e2;
    out[first + 3u * stride] = v.e3;
    out[first + 4u * stride] = v.e4;
    out[first + 5u * stride] = v.e5;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(id, count) * 64u + lane;
    let output = divide(index, params.groups);
    if (output >= params.outputs) {
        return;
    }
    let group = index - output * params.groups;
    let c0 = column(output, group, 0u);
    let c1 = column(output, group, 1u);
    let c2 = column(output, group, 2u);
    store_components(index, 0u, transform_weight(Three(c0.e0, c1.e0, c2.e0)));
    store_components(index, 1u, transform_weight(Three(c0.e1, c1.e1, c2.e1)));
    store_components(index, 2u, transform_weight(Three(c0.e2, c1.e2, c2.e2)));
    store_components(index, 3u, transform_weight(Three(c0.e3, c1.e3, c2.e3)));
    store_components(index, 4u, transform_weight(Three(c0.e4, c1.e4, c2.e4)));
    store_components(index, 5u, transform_weight(Three(c0.e5, c1.e5, c2.e5)));
}
