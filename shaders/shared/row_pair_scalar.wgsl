// The operand dy in addition to the x of shared/row_scalar.
#import shared/row_scalar
@group(0) @binding(2) var<storage, read> dy: array<f32>;
fn load_dy(i: u32) -> f32 { return dy[i]; }
