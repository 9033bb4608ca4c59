// Operands of the plain matmul kernels: C[b, m, n] = sum over k of A[b, m, k] B[b, k, n]. Each operand is addressed by
// its strides in elements; a batch stride of 0 repeats it.
struct Params {
    first_workgroup: u32,
    // Invocations.
    len: u32,
    m: u32,
    n: u32,
    k: u32,
    a_batch_stride: u32,
    a_row_stride: u32,
    a_k_stride: u32,
    b_batch_stride: u32,
    b_column_stride: u32,
    b_k_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;

fn load_a(i: u32) -> vec4<f32> { return a[i]; }
fn load_b(i: u32) -> vec4<f32> { return b[i]; }

fn a_at(i: u32) -> f32 { return load_a(i >> 2u)[i & 3u]; }
fn b_at(i: u32) -> f32 { return load_b(i >> 2u)[i & 3u]; }

// Index of the first element of a row of A and of a column of B.
fn a_first(row: u32, batch: u32) -> u32 { return batch * params.a_batch_stride + row * params.a_row_stride; }
fn b_first(column: u32, batch: u32) -> u32 { return batch * params.b_batch_stride + column * params.b_column_stride; }
