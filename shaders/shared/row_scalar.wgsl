// The operand x of a kernel that processes rows of any length; F is one element.
alias F = f32;
alias Columns = u32;
@group(0) @binding(1) var<storage, read> x: array<f32>;
fn load_x(i: u32) -> f32 { return x[i]; }

/// The element at position i of x.
fn element_x(i: u32) -> f32 { return x[i]; }

/// The columns of the elements in step k of a row.
fn columns(k: u32) -> u32 { return k; }

fn largest(x: f32) -> f32 { return x; }
fn total(x: f32) -> f32 { return x; }

/// The texel that contains step i of an operand of texels, and the value of that step in it.
fn texel(i: u32) -> u32 { return i >> 2u; }
fn lanes(texel: vec4<f32>, i: u32) -> F { return texel[i & 3u]; }

/// Number of elements in an F.
const WIDTH = 1u;
