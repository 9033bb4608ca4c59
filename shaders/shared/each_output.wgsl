// The loop over outputs of plain kernels: an invocation computes OUTPUTS neighbours, 1 or a vec4. There are params.len
// invocations. The importing file defines OUTPUTS and `output`, the value that the invocation with this index writes.
#import shared/grid
#import shared/division

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
    out[index] = epilogue(output(index), OUTPUTS * index);
}
