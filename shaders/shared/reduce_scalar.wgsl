// Operands of a column reduction with any innermost extent.
alias F = f32;
@group(0) @binding(1) var<storage, read> x: array<f32>;
fn load_x(i: u32) -> f32 { return x[i]; }
@group(0) @binding(2) var<storage, read_write> out: array<F>;

fn result(total: F) -> F { return total; }
