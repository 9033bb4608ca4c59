// Winograd's transform of the weights: 3 x 3 taps to 36 components. An invocation transforms 4 columns of a row. In:
// O-3-3-I, with one row per output channel, or 3-3-I-O, with one row per input channel; out: as defined by the strides.
// `rotate` rotates the taps by 180 degrees, for the input gradient.
#import shared/grid
#import shared/division
#import conv2d/winograd

struct Params {
    first_workgroup: u32,
    // Rows, and columns / 4.
    rows: u32,
    groups: u32,
    // Strides from a row to the next and from a tap to the next, in texels.
    row_stride: u32,
    tap_stride: u32,
    // Strides of the components: from a row to the next, from 4 rows to the next 4, along a column and along a row of
    // the 6 x 6.
    out_row_stride: u32,
    out_four_rows_stride: u32,
    out_y_stride: u32,
    out_x_stride: u32,
    rotate: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }

// Tap `number`, 0 to 8.
fn tap(row: u32, group: u32, number: u32) -> vec4<f32> {
    let turned = select(number, 8u - number, params.rotate != 0u);
    return load_a(row * params.row_stride + turned * params.tap_stride + group);
}

fn column(row: u32, group: u32, kx: u32) -> Six {
    return transform_weight(Three(
        tap(row, group, kx), tap(row, group, kx + 3u), tap(row, group, kx + 6u)));
}

fn store_components(first: u32, v: Six) {
    out[first] = v.e0;
    out[first + params.out_x_stride] = v.e1;
    out[first + 2u * params.out_x_stride] = v.e2;
    out[first + 3u * params.out_x_stride] = v.e3;
    out[first + 4u * params.out_x_stride] = v.e4;
    out[first + 5u * params.out_x_stride] = v.e5;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(id, count) * 64u + lane;
    let row = divide(index, params.groups);
    if (row >= params.rows) {
        return;
    }
    let group = index - row * params.groups;
    let first = (row / 4u) * params.out_four_rows_stride + (row % 4u) * params.out_row_stride + group;
    let c0 = column(row, group, 0u);
    let c1 = column(row, group, 1u);
    let c2 = column(row, group, 2u);
    store_components(first, transform_weight(Three(c0.e0, c1.e0, c2.e0)));
    store_components(first + params.out_y_stride, transform_weight(Three(c0.e1, c1.e1, c2.e1)));
    store_components(first + 2u * params.out_y_stride, transform_weight(Three(c0.e2, c1.e2, c2.e2)));
    store_components(first + 3u * params.out_y_stride, transform_weight(Three(c0.e3, c1.e3, c2.e3)));
    store_components(first + 4u * params.out_y_stride, transform_weight(Three(c0.e4, c1.e4, c2.e4)));
    store_components(first + 5u * params.out_y_stride, transform_weight(Three(c0.e5, c1.e5, c2.e5)));
}
