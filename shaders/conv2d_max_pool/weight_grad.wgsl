// Weight gradient of a convolution fused with its max pooling: dw[ky, kx, c, o] is the sum over n, py, px of dy[n, py,
// px, o] times the input of that weight at the first maximum of window (py, px), which is found by recomputing the
// window. The rows of windows are divided into splits, one per invocation, written to [splits, KH, KW, C, O]. If there
// is more than one, sum them with shared/split_sum. Operands and extents: conv2d_max_pool/strip.
#import conv2d_max_pool/strip

alias F = vec4<f32>;

@group(0) @binding(3) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;

fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }

fn epilogue(value: F, index: u32) -> F {
    return value;
}

fn dy_at(strip: Strip, window: u32, group: u32) -> vec4<f32> {
    let i = select(0u, (strip.window + window) * params.groups + group, window < strip.left);
    return select(vec4<f32>(0.0), load_dy(i), window < strip.left);
}

fn put(tap: u32, group: u32, split: u32, value: vec4<f32>) {
    let i = (split * TAPS + tap) * params.groups + group;
    out[i] = epilogue(value, 4u * i);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = workgroup_index(id, count) * 64u + lane;
    if (index >= params.len) {
        return;
    }
    let split = divide(index, params.groups);
    let group = index - split * params.groups;
    let weights = weights_of(group);
    var sums = Weights();
    for (var row = split * params.rows_per_split; row < min((split + 1u) * params.rows_per_split, params.rows); row += 1u) {
        for (var i = 0u; i < params.strips_per_row; i += 1u) {
            let strip = strip_at(row, i);
            sums = add_strip(patch_of(strip), weights, strip, group, sums);
        }
    }
    write_weights(sums, group, split);
}
