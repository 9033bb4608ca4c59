// Gradient of max pooling whose windows do not overlap. The image is cut into cells: a window with what follows it up to
// the next, and in the last of a row or column the rest of the image. An invocation reads one window once and writes
// its cell: dy at the window's winner, 0 elsewhere.
#import max_pool2d/grad_operands

// From one end of cell `o` to the other; a cell starts where its window does, and the first with the image.
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
    let ys = cell(own.y, params.stride_y, params.pad_top, params.out_height, params.height);
    let xs = cell(own.x, params.stride_x, params.pad_left, params.out_width, params.width);
    for (var y = ys.start; y < ys.end; y += 1u) {
        var at = input_position(own.image, y, xs.start, own.channel);
        for (var x = xs.start; x < xs.end; x += 1u) {
            let here = won == I(i32(y * params.width + x));
            out[at] = epilogue(select(F(0.0), gradient, here), at * LANES);
            at += params.channels;
        }
    }
}
