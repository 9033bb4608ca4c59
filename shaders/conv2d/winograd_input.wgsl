// Winograd's transform of the input (for the input gradient, of the output's gradient): tiles of 6 x 6 pixels at a
// distance of 4, to 36 components each. An invocation transforms 4 channels of a tile. In: NHWC; out: [36, tiles,
// channels].
#import conv2d/winograd_store

fn column(place: Place, dx: i32) -> Six {
    return transform_input(Six(
        pixel(place, 0, dx), pixel(place, 1, dx), pixel(place, 2, dx),
        pixel(place, 3, dx), pixel(place, 4, dx), pixel(place, 5, dx)));
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
    let c0 = column(place, 0);
    let c1 = column(place, 1);
    let c2 = column(place, 2);
    let c3 = column(place, 3);
    let c4 = column(place, 4);
    let c5 = column(place, 5);
    store_components(place, 0u, transform_input(Six(c0.e0, c1.e0, c2.e0, c3.e0, c4.e0, c5.e0)));
    store_components(place, 1u, transform_input(Six(c0.e1, c1.e1, c2.e1, c3.e1, c4.e1, c5.e1)));
    store_components(place, 2u, transform_input(Six(c0.e2, c1.e2, c2.e2, c3.e2, c4.e2, c5.e2)));
    store_components(place, 3u, transform_input(Six(c0.e3, c1.e3, c2.e3, c3.e3, c4.e3, c5.e3)));
    store_components(place, 4u, transform_input(Six(c0.e4, c1.e4, c2.e4, c3.e4, c4.e4, c5.e4)));
    store_components(place, 5u, transform_input(Six(c0.e5, c1.e5, c2.e5, c3.e5, c4.e5, c5.e5)));
}
