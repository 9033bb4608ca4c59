// Winograd's inverse transform of the products: 36 components of a tile to 4 x 4 pixels, of which those inside the
// image are stored. An invocation transforms 4 channels of a tile. In: [36, tiles, channels]; out: NHWC.
#import shared/store_vec4
#import conv2d/winograd
#import conv2d/winograd_tiles

fn component(place: Place, number: u32) -> vec4<f32> {
    return load_a((number * params.tiles + place.tile) * params.groups + place.group);
}

// Transforms a column of the components to a column of pixels.
fn column(place: Place, number: u32) -> Four {
    return transform_output(Six(
        component(place, number), component(place, number + 6u), component(place, number + 12u),
        component(place, number + 18u), component(place, number + 24u), component(place, number + 30u)));
}

fn store_pixel(place: Place, dy: i32, dx: i32, value: vec4<f32>) {
    let y = place.y + dy;
    let x = place.x + dx;
    store(4u * pixel_index(place, y, x), value, select(0, 4, is_inside(y, x)));
}

fn store_row(place: Place, dy: i32, y: Four) {
    store_pixel(place, dy, 0, y.e0);
    store_pixel(place, dy, 1, y.e1);
    store_pixel(place, dy, 2, y.e2);
    store_pixel(place, dy, 3, y.e3);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let place = place_at(workgroup_index(id, count) * 64u + lane);
    if (!place.exists) {
        return;
    }
    let c0 = column(place, 0u);
    let c1 = column(place, 1u);
    let c2 = column(place, 2u);
    let c3 = column(place, 3u);
    let c4 = column(place, 4u);
    let c5 = column(place, 5u);
    store_row(place, 0, transform_output(Six(c0.e0, c1.e0, c2.e0, c3.e0, c4.e0, c5.e0)));
    store_row(place, 1, transform_output(Six(c0.e1, c1.e1, c2.e1, c3.e1, c4.e1, c5.e1)));
    store_row(place, 2, transform_output(Six(c0.e2, c1.e2, c2.e2, c3.e2, c4.e2, c5.e2)));
    store_row(place, 3, transform_output(Six(c0.e3, c1.e3, c2.e3, c3.e3, c4.e3, c5.e3)));
}
