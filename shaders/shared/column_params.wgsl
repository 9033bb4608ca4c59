// Parameters of a kernel that processes the columns of [outer, length, inner].
struct Params {
    first_workgroup: u32,
    outer: u32,
    // Number of rows to sum.
    length: u32,
    // In units of F.
    inner: u32,
    // Rows per split.
    chunk: u32,
    splits: u32,
    // Rows of the whole tensor per row of this one: more than 1 if the rows are results of splits.
    span: u32,
    // Rows of the whole tensor, and how many of them belong to each sample.
    rows: u32,
    sample: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
