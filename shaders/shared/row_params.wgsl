// Parameters of a kernel that processes the rows of a matrix [rows, length].
struct Params {
    first_workgroup: u32,
    rows: u32,
    // In units of F.
    length: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
