// Operands of a reduction along rows: the innermost extent is 1, and the length a multiple of four, read four elements
// at a time.
alias F = vec4<f32>;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn load_x(i: u32) -> vec4<f32> { return x[i]; }
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

fn result(total: F) -> f32 {
    let half = combine(total, total.zwxy);
    return combine(half, half.yxwz).x;
}
