// The tile, its image, and the 4 channels that an invocation handles. Tiles of 4 x 4 outputs are numbered along rows,
// then columns, then images; channels vary fastest.
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    // Tiles of all images, and tiles along a column and along a row of one image.
    tiles: u32,
    tiles_y: u32,
    tiles_x: u32,
    // Channels / 4.
    groups: u32,
    // Extents of the images that are read or written, and the offset of tiles above and to the left of them.
    height: i32,
    width: i32,
    pad_top: i32,
    pad_left: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }

struct Place {
    exists: bool,
    tile: u32,
    group: u32,
    // First row of the image, counted over the batch, and the tile's corner in it.
    image: i32,
    y: i32,
    x: i32,
}

fn place_at(index: u32) -> Place {
    let tile = divide(index, params.groups);
    let row = divide(tile, params.tiles_x);
    let image = divide(row, params.tiles_y);
    return Place(
        tile < params.tiles,
        tile,
        index - tile * params.groups,
        i32(image) * params.height,
        4 * i32(row - image * params.tiles_y) - params.pad_top,
        4 * i32(tile - row * params.tiles_x) - params.pad_left);
}

// Whether a pixel is inside the image.
fn is_inside(y: i32, x: i32) -> bool {
    return y >= 0 && y < params.height && x >= 0 && x < params.width;
}

// Index of the 4 channels of a pixel, in texels.
fn pixel_index(place: Place, y: i32, x: i32) -> u32 {
    return u32((place.image + y) * params.width + x) * params.groups + place.group;
}

// A pixel of the tile, 0 outside the image.
fn pixel(place: Place, dy: i32, dx: i32) -> vec4<f32> {
    let y = place.y + dy;
    let x = place.x + dx;
    let inside = is_inside(y, x);
    return select(vec4<f32>(0.0), load_a(select(0u, pixel_index(place, y, x), inside)), inside);
}
