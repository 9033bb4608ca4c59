// Shared code of the kernels of a convolution fused with its max pooling. x is NHWC, w is [KH, KW, C, O], y and dy are
// [N, PH, PW, O]. An invocation handles 4 neighbouring channels. It moves along rows of windows, a strip of STRIP
// windows at a time, and holds the strip's part of the image in registers: a Patch. Patch, Weights and their functions
// are generated for a kernel's extents by src/ops/conv2d_max_pool/unrolled.rs.
#import shared/grid
#import shared/division

struct Params {
    first_workgroup: u32,
    // Invocations.
    len: u32,
    // Rows of windows in all images.
    rows: u32,
    rows_per_split: u32,
    // Height of the image, and elements per row: width * channels.
    height: i32,
    row_numbers: i32,
    // Index of the last vec4 of x.
    last: i32,
    // Number of windows.
    out_height: u32,
    out_width: u32,
    strips_per_row: u32,
    strips_per_invocation: u32,
    // Channels / 4.
    groups: u32,
    pad_top: i32,
    // In elements.
    pad_left: i32,
    // Distance from one window to the next in rows of the image, and from one strip to the next in elements.
    window_rows: i32,
    strip_numbers: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;

fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn load_w(i: u32) -> vec4<f32> { return w[i]; }

// Whether every strip starts at a vec4 of x.
override ALIGNED: bool = false;
// Whether a strip may extend beyond the image's border.
override CUT: bool = true;

fn x_at(i: i32) -> vec4<f32> {
    return load_x(u32(clamp(i, 0, params.last)));
}

fn weight(tap: u32, group: u32) -> vec4<f32> {
    return load_w(tap * params.groups + group);
}

// A row of the image: where it starts in x, and whether it exists.
struct Row {
    start: i32,
    exists: bool,
}

fn row_at(image: i32, y: i32) -> Row {
    return Row((image * params.height + y) * params.row_numbers, y >= 0 && y < params.height);
}

// Four elements of a row, from `column` on; 0 outside the image.
fn quad(row: Row, column: i32) -> vec4<f32> {
    let first = row.start + column;
    var value = x_at(first >> 2u);
    if (!ALIGNED) {
        let next = x_at((first >> 2u) + 1);
        let shift = first & 3;
        value = select(
            select(value, vec4<f32>(value.yzw, next.x), shift == 1),
            select(vec4<f32>(value.zw, next.xy), vec4<f32>(value.w, next.xyz), shift == 3),
            shift >= 2);
    }
    if (CUT) {
        let at = vec4<i32>(column) + vec4<i32>(0, 1, 2, 3);
        let inside = (at >= vec4<i32>(0)) & (at < vec4<i32>(params.row_numbers)) & vec4<bool>(row.exists);
        value = select(vec4<f32>(0.0), value, inside);
    }
    return value;
}

// A strip: its image, the first row and the first element of its patch, and its first window, counted over the batch.
struct Strip {
    image: i32,
    y: i32,
    x: i32,
    window: u32,
    // Number of windows in the row from this one on.
    left: u32,
}

fn strip_at(row: u32, strip: u32) -> Strip {
    let image = divide(row, params.out_height);
    let y = i32(row - image * params.out_height);
    return Strip(
        i32(image), y * params.window_rows - params.pad_top, i32(strip) * params.strip_numbers - params.pad_left,
        row * params.out_width + strip * STRIP, params.out_width - strip * STRIP);
}
