// The operand x of a kernel that processes rows whose length is a multiple of four; F is four elements.
alias F = vec4<f32>;
alias Columns = vec4<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }

/// The element at position i of x.
fn element_x(i: u32) -> f32 {
    let v = load_x(i >> 2u);
    let low = select(v.x, v.y, (i & 1u) == 1u);
    let high = select(v.z, v.w, (i & 1u) == 1u);
    return select(low, high, (i & 2u) == 2u);
}

/// The columns of the elements in step k of a row.
fn columns(k: u32) -> vec4<u32> { return vec4<u32>(4u * k) + vec4<u32>(0u, 1u, 2u, 3u); }

fn largest(x: vec4<f32>) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }
fn total(x: vec4<f32>) -> f32 { return (x.x + x.y) + (x.z + x.w); }

/// The texel that contains step i of another operand of the same kind, and the value of that step in it.
fn texel(i: u32) -> u32 { return i; }
fn lanes(texel: vec4<f32>, i: u32) -> F { return texel; }

/// Number of elements in an F.
const WIDTH = 4u;
