// Stores the 36 components of 4 channels of a tile: [36, tiles, channels].
#import conv2d/winograd
#import conv2d/winograd_tiles

@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// Components of one row of the transformed tile.
fn store_components(place: Place, row: u32, v: Six) {
    let stride = params.tiles * params.groups;
    let first = 6u * row * stride + place.tile * params.groups + place.group;
    out[first] = v.e0;
    out[first + stride] = v.e1;
    out[first + 2u * stride] = v.e2;
    out[first + 3u * stride] = v.e3;
    out[first + 4u * stride] = v.e4;
    out[first + 5u * stride] = v.e5;
}
