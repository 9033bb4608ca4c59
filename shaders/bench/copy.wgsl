// out = x: as many bytes as the adapter can read and write.
#import bench/stream

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let start = workgroup_index(id, count) * STRETCH + lane;
    for (var i = start; i < start + STRETCH; i += 4u * WIDTH) {
        let a = load_x(i);
        let b = load_x(i + WIDTH);
        let c = load_x(i + 2u * WIDTH);
        let d = load_x(i + 3u * WIDTH);
        out[i] = a;
        out[i + WIDTH] = b;
        out[i + 2u * WIDTH] = c;
        out[i + 3u * WIDTH] = d;
    }
}
