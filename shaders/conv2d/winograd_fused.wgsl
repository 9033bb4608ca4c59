// A 3 x 3 convolution by Winograd's F(4 x 4, 3 x 3) in one kernel, with nothing stored between the transforms, for
// subgroups of 8. A workgroup is one subgroup and computes 8 tiles of 4 x 4 pixels by 32 channels. Lane l transforms
// the input of tile l, 4 channels per step, and owns channels 4l .. 4l+3 of the output for all tiles. The transformed
// tiles are shared with the other lanes by subgroupShuffle from a literal lane.
//
// The 36 components of a tile are processed one column of 6 at a time, over all channels: the code for all of them at
// once would exceed the processor's instruction cache and take more than a second to compile. Every column therefore
// reads the tile again.
//
// a: images, NHWC; b: components of the weights as [column, channels in / 4, row, 4, channels out], so that the 24 rows
// of channels out of a step are contiguous; out: NHWC.
#import shared/store_vec4
#import shared/grid
#import shared/division
#import shared/subgroup_8
#import conv2d/winograd

struct Params {
    first_workgroup: u32,
    // Tiles of all images, tiles along a column and along a row of one image, and workgroups of 8 tiles.
    tiles: u32,
    tiles_y: u32,
    tiles_x: u32,
    tile_groups: u32,
    // Channels / 4.
    in_groups: u32,
    out_groups: u32,
    // Extents of the images that are read, the offset of tiles above and to the left of them, and extents of the
    // output.
    height: i32,
    width: i32,
    pad_top: i32,
    pad_left: i32,
    out_height: i32,
    out_width: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }
fn load_b(i: u32) -> vec4<f32> { return b[i]; }

// The position of a tile: its image, and its corner in the output.
struct Place {
    image: i32,
    y: i32,
    x: i32,
}

fn place_of(tile: u32) -> Place {
    let row = divide(tile, params.tiles_x);
    let image = divide(row, params.tiles_y);
    return Place(
        i32(image), 4 * i32(row - image * params.tiles_y), 4 * i32(tile - row * params.tiles_x));
}

// The point at which column 1, 2, 3 or 4 of the components evaluates the polynomials: A, -A, B, -B.
fn signed_point(number: u32) -> f32 {
    return select(A, B, number >= 3u) * select(-1.0, 1.0, (number & 1u) == 1u);
}

// A row or column of pixels to read, and the factor of its pixels: 1, or 0 if it is outside the image; then the closest
// one inside is read, which belongs to the tile.
struct Line {
    at: i32,
    counts: f32,
}

fn line(at: i32, extent: i32) -> Line {
    let inside = clamp(at, 0, extent - 1);
    return Line(inside, select(0.0, 1.0, inside == at));
}

// Four pixels of a row, as combined by column `number` of the components: the positions of the texels and their
// factors.
struct Row {
    texels: vec4<i32>,
    factors: vec4<f32>,
}

struct Rows {
    row: array<Row, 6>,
}

fn row_at(place: Place, dy: i32, columns: vec4<i32>, factors: vec4<f32>) -> Row {
    let y = line(place.y - params.pad_top + dy, params.height);
    let texels = ((place.image * params.height + y.at) * params.width + columns) * i32(params.in_groups);
    return Row(texels, y.counts * factors);
}

// Row `number` of transform_input's matrix: four coefficients, or three in the first and the last row, where one pixel
// is read twice, once with factor 0.
fn rows_at(place: Place, number: u32) -> Rows {
    let first = number == 0u;
    let last = number == 5u;
    let point = signed_point(number);
    let other = select(B2, A2, number >= 3u);
    var factors = vec4<f32>(-other * point, -other, point, 1.0);
    factors = select(factors, vec4<f32>(F0, -(A2 + B2), 0.0, 1.0), vec4<bool>(first || last));
    let x = place.x - params.pad_left + select(0, 1, last);
    let c0 = line(x + select(1, 0, first || last), params.width);
    let c1 = line(x + 2, params.width);
    let c2 = line(x + select(3, 2, first || last), params.width);
    let c3 = line(x + 4, params.width);
    let columns = vec4<i32>(c0.at, c1.at, c2.at, c3.at);
    factors *= vec4<f32>(c0.counts, c1.counts, c2.counts, c3.counts);
    return Rows(array(
        row_at(place, 0, columns, factors), row_at(place, 1, columns, factors),
        row_at(place, 2, columns, factors), row_at(place, 3, columns, factors),
        row_at(place, 4, columns, factors), row_at(place, 5, columns, factors)));
}

// Column `number` of transform_output's matrix.
fn output_factors(number: u32) -> vec4<f32> {
    let point = signed_point(number);
    let square = point * point;
    let factors = select(
        vec4<f32>(1.0, point, square, square * point), vec4<f32>(1.0, 0.0, 0.0, 0.0), vec4<bool>(number == 0u));
    return select(factors, vec4<f32>(0.0, 0.0, 0.0, 1.0), vec4<bool>(number == 5u));
}

// The combination of a row's pixels, for 4 channels.
fn combined(row: Row, group: i32) -> vec4<f32> {
    return row.factors.x * load_a(u32(row.texels.x + group)) + row.factors.y * load_a(u32(row.texels.y + group))
        + row.factors.z * load_a(u32(row.texels.z + group)) + row.factors.w * load_a(u32(row.texels.w + group));
}

// A component of the weights for 4 channels in and this lane's 4 channels out: one matrix column per channel in.
fn weights(first: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        load_b(first), load_b(first + params.out_groups),
        load_b(first + 2u * params.out_groups), load_b(first + 3u * params.out_groups));
}

// One column of the components for all 8 tiles, this lane's channels: component i of tile t is at 8i + t.
alias Sums = array<vec4<f32>, 48>;

fn multiply(sums: ptr<function, Sums>, row: u32, by: mat4x4<f32>, tile: vec4<f32>) {
    (*sums)[8u * row] += by * subgroupShuffle(tile, 0u);
    (*sums)[8u * row + 1u] += by * subgroupShuffle(tile, 1u);
    (*sums)[8u * row + 2u] += by * subgroupShuffle(tile, 2u);
    (*sums)[8u * row + 3u] += by * subgroupShuffle(tile, 3u);
    (*sums)[8u * row + 4u] += by * subgroupShuffle(tile, 4u);
    (*sums)[8u * row + 5u] += by * subgroupShuffle(tile, 5u);
    (*sums)[8u * row + 6u] += by * subgroupShuffle(tile, 6u);
    (*sums)[8u * row + 7u] += by * subgroupShuffle(tile, 7u);
}

// This lane's channels of all pixels of all tiles: row y and column x of tile t is at 16t + 4y + x.
alias Pixels = array<vec4<f32>, 128>;

fn add_row(pixels: ptr<function, Pixels>, first: u32, row: vec4<f32>, factors: vec4<f32>) {
    (*pixels)[first] += factors.x * row;
    (*pixels)[first + 1u] += factors.y * row;
    (*pixels)[first + 2u] += factors.z * row;
    (*pixels)[first + 3u] += factors.w * row;
}

// Adds the contribution of a column of the components to tile `t`.
fn transform_back(pixels: ptr<function, Pixels>, sums: ptr<function, Sums>, t: u32, factors: vec4<f32>) {
    let rows = transform_output(Six(
        (*sums)[t], (*sums)[8u + t], (*sums)[16u + t], (*sums)[24u + t], (*sums)[32u + t], (*sums)[40u + t]));
    add_row(pixels, 16u * t, rows.e0, factors);
    add_row(pixels, 16u * t + 4u, rows.e1, factors);
    add_row(pixels, 16u * t + 8u, rows.e2, factors);
    add_row(pixels, 16u * t + 12u, rows.e3, factors);
}

fn store_row(pixels: ptr<function, Pixels>, place: Place, dy: i32, exists: bool, out_group: u32, first: u32) {
    let y = place.y + dy;
    let index = 4u * (u32((place.image * params.out_height + y) * params.out_width + place.x) * params.out_groups + out_group);
    let pitch = 4u * params.out_groups;
    let count = select(0, params.out_width - place.x, exists && y < params.out_height);
    store(index, (*pixels)[first], select(0, 4, count > 0));
    store(index + pitch, (*pixels)[first + 1u], select(0, 4, count > 1));
    store(index + 2u * pitch, (*pixels)[first + 2u], select(0, 4, count > 2));
    store(index + 3u * pitch, (*pixels)[first + 3u], select(0, 4, count > 3));
}

fn store_tile(pixels: ptr<function, Pixels>, first_tile: u32, t: u32, out_group: u32) {
    let tile = first_tile + t;
    let place = place_of(tile);
    let exists = tile < params.tiles && out_group < params.out_groups;
    store_row(pixels, place, 0, exists, out_group, 16u * t);
    store_row(pixels, place, 1, exists, out_group, 16u * t + 4u);
    store_row(pixels, place, 2, exists, out_group, 16u * t + 8u);
    store_row(pixels, place, 3, exists, out_group, 16u * t + 12u);
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    // Tiles vary fastest, so that the weights of 32 channels stay in the cache.
    let index = workgroup_index(id, count);
    let block = divide(index, params.tile_groups);
    let first_tile = LANES * (index - block * params.tile_groups);
    let out_group = LANES * block + lane;
    if (LANES * block >= params.out_groups) {
        return;
    }
    // Tiles and channels past the end are computed as copies of the last one and not stored.
    let place = place_of(min(first_tile + lane, params.tiles - 1u));
    let read_group = min(out_group, params.out_groups - 1u);

    var pixels: Pixels;
    for (var number = 0u; number < 6u; number++) {
        let rows = rows_at(place, number);
        var sums: Sums;
        for (var group = 0u; group < params.in_groups; group++) {
            let g = i32(group);
            let first = (number * params.in_groups + group) * 24u * params.out_groups + read_group;
            let column = transform_input(Six(
                combined(rows.row[0], g), combined(rows.row[1], g), combined(rows.row[2], g),
                combined(rows.row[3], g), combined(rows.row[4], g), combined(rows.row[5], g)));
            multiply(&sums, 0u, weights(first), column.e0);
            multiply(&sums, 1u, weights(first + 4u * params.out_groups), column.e1);
            multiply(&sums, 2u, weights(first + 8u * params.out_groups), column.e2);
            multiply(&sums, 3u, weights(first + 12u * params.out_groups), column.e3);
            multiply(&sums, 4u, weights(first + 16u * params.out_groups), column.e4);
            multiply(&sums, 5u, weights(first + 20u * params.out_groups), column.e5);
        }
        let factors = output_factors(number);
        transform_back(&pixels, &sums, 0u, factors);
        transform_back(&pixels, &sums, 1u, factors);
        transform_back(&pixels, &sums, 2u, factors);
        transform_back(&pixels, &sums, 3u, factors);
        transform_back(&pixels, &sums, 4u, factors);
        transform_back(&pixels, &sums, 5u, factors);
        transform_back(&pixels, &sums, 6u, factors);
        transform_back(&pixels, &sums, 7u, factors);
    }

    store_tile(&pixels, first_tile, 0u, out_group);
    store_tile(&pixels, first_tile, 1u, out_group);
    store_tile(&pixels, first_tile, 2u, out_group);
    store_tile(&pixels, first_tile, 3u, out_group);
    store_tile(&pixels, first_tile, 4u, out_group);
    store_tile(&pixels, first_tile, 5u, out_group);
    store_tile(&pixels, first_tile, 6u, out_group);
    store_tile(&pixels, first_tile, 7u, out_group);
}
