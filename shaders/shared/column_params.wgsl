// Parameters of a kernel that walks the columns of [outer, length, inner].
struct Params {
    first_workgroup: u32,
    outer: u32,
    // Rows to sum, of those that there are.
    length: u32,
    // In units of F.
    inner: u32,
    // Rows of a split.
    chunk: u32,
    splits: u32,
    // Rows of the whole tensor in a row of this one: more than 1 where this one holds results of splits.
    span: u32,
    // Rows of the whole tensor, and how many of them belong to a sample.
    rows: u32,
    sample: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
