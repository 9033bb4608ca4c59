// Winograd's inverse transform for the weight gradient: 36 components to 3 x 3 taps. An invocation transforms 4 input
// channels of an output channel. In: [36, O, I]; out: O-3-3-I.
#import shared/store_vec4
#import shared/grid
#import shared/division
#import conv2d/winograd

struct Params {
    first_workgroup: u32,
    // Output channels, and input channels / 4.
    outputs: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }

fn component(index: u32, number: u32) -> vec4<f32> {
    return load_a(number * params.outputs * params.groups + index);
}

// Transforms a column of the components to a column of taps.
fn column(index: u32, number: u32) -> Three {
    return transform_weight_grad(Six(
        component(index, number), component(index, number + 6u), component(index, number + 12u),
        component(index, number + 18u), component(index, number + 24u), component(index, number + 30u)));
}

fn store_row(output: u32, group: u32, ky: u32, g: Three) {
    let first = 4u * ((output * 9u + 3u * ky) * params.groups + group);
    store(first, g.e0, 4);
    store(first + 4u * params.groups, g.e1, 4);
    store(first + 8u * params.groups, g.e2, 4);
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
    let c0 = column(index, 0u);
    let c1 = column(index, 1u);
    let c2 = column(index, 2u);
    let c3 = column(index, 3u);
    let c4 = column(index, 4u);
    let c5 = column(index, 5u);
    store_row(output, group, 0u, transform_weight_grad(Six(c0.e0, c1.e0, c2.e0, c3.e0, c4.e0, c5.e0)));
    store_row(output, group, 1u, transform_weight_grad(Six(c0.e1, c1.e1, c2.e1, c3.e1, c4.e1, c5.e1)));
    store_row(output, group, 2u, transform_weight_grad(Six(c0.e2, c1.e2, c2.e2, c3.e2, c4.e2, c5.e2)));
}
