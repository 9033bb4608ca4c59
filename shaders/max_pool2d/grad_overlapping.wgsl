// Gradient of max pooling for any windows. An invocation computes one F of dx: it sums dy over the windows whose
// maximum is its pixel, in row order, and searches every window that contains the pixel again.
#import max_pool2d/grad_operands

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
    let own = place(i, params.height, params.width);
    let oys = windows_over_row(own.y);
    let oxs = windows_over_column(own.x);
    var sum = F(0.0);
    for (var oy = oys.start; oy < oys.end; oy += 1u) {
        let ys = rows(oy);
        var at = output_position(own.image, oy, oxs.start, own.channel);
        for (var ox = oxs.start; ox < oxs.end; ox += 1u) {
            let xs = columns(ox);
            let won = winner(own.image, ys, xs, own.channel);
            let here = won == I(i32((own.y - ys.start) * KERNEL_X + own.x - xs.start));
            sum += select(F(0.0), dy_at(at), here);
            at += params.channels;
        }
    }
    out[i] = epilogue(sum, i * LANES);
}
