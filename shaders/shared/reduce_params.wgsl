// Parameters of a reduction from [outer, length, inner] to [splits, outer, inner].
struct Params {
    first_workgroup: u32,
    outer: u32,
    // In units of one load.
    length: u32,
    // In units of F.
    inner: u32,
    // Length of a split.
    chunk: u32,
    splits: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
