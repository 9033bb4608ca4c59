// out = x, to measure the bandwidth of reading and writing. An invocation copies one vec4, as pointwise kernels do:
// copying several, with or without a loop, is two to four times slower on lavapipe.
#import bench/stream

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = workgroup_index(id, count) * 256u + lane;
    out[i] = load_x(i);
}
