// Gradient of max pooling whose windows do not overlap. The image is divided into cells: a window and what follows it
// up to the next window, or in the last cell of a row or column up to the end of the image. An invocation reads one
// window once and writes its cell: dy at the window's maximum, 0 elsewhere.
#import max_pool2d/grad_operands

// Size of the largest cell. All cells have that size unless PARTIAL.
override CELL_Y: u32 = 1u;
override CELL_X: u32 = 1u;
override PARTIAL: bool = true;

// The range of cell `o`. A cell starts where its window does, and the first one at the start of the image.
fn cell(o: u32, stride: u32, pad: u32, outputs: u32, extent: u32) -> Range {
    let start = o * stride;
    return Range(max(start, pad) - pad, select(extent, start + stride - pad, o + 1u < outputs));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 64u + lane;
    if (i >= params.invocations) {
        return;
    }
    let own = place(i, params.out_height, params.out_width);
    let won = winner(own.image, rows(own.y), columns(own.x), own.channel);
    let gradient = dy_at(i);
    let ys = cell(own.y, STRIDE_Y, params.pad_top, params.out_height, params.height);
    let xs = cell(own.x, STRIDE_X, params.pad_left, params.out_width, params.width);
    for (var cy = 0u; cy < CELL_Y; cy += 1u) {
        if (PARTIAL && ys.start + cy >= ys.end) {
            break;
        }
        let at = input_position(own.image, ys.start + cy, xs.start, own.channel);
        for (var cx = 0u; cx < CELL_X; cx += 1u) {
            if (PARTIAL && xs.start + cx >= xs.end) {
                break;
            }
            let in_window = I(select(-1, i32(cy * KERNEL_X + cx), cy < KERNEL_Y && cx < KERNEL_X));
            let here = at + cx * params.channels;
            out[here] = epilogue(select(F(0.0), gradient, won == in_window), here * LANES);
        }
    }
}
