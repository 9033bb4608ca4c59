// Operands of a column reduction whose innermost extent is a multiple of four.
alias F = vec4<f32>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
@group(0) @binding(2) var<storage, read_write> out: array<F>;

fn result(total: F) -> F { return total; }
