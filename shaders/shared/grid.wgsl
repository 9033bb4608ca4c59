// A launch is a row of workgroups. It is folded into a grid if the adapter allows fewer along one axis, and split into
// several dispatches if one would take too long: `params.first_workgroup` is the first of a dispatch.

/// Position of this workgroup in the row. The grid may be larger than the row: workgroups past its end do nothing.
fn workgroup_index(id: vec3<u32>, count: vec3<u32>) -> u32 {
    return params.first_workgroup + id.y * count.x + id.x;
}
