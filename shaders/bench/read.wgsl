// out[i] = the sum of what invocation i reads of x, to measure the bandwidth of reading. A workgroup of 64 reads a
// stretch of 1024 vec4s, 64 neighbours at a time, with four loads per invocation in flight.
#import bench/stream

const WIDTH = 64u;
const STRETCH = 1024u;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) count: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let workgroup = workgroup_index(id, count);
    let start = workgroup * STRETCH + lane;
    var total = vec4<f32>(0.0);
    for (var i = start; i < start + STRETCH; i += 4u * WIDTH) {
        total += (load_x(i) + load_x(i + WIDTH)) + (load_x(i + 2u * WIDTH) + load_x(i + 3u * WIDTH));
    }
    out[workgroup * WIDTH + lane] = total;
}
