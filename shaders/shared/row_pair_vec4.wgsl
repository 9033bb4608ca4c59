// The operand dy in addition to the x of shared/row_vec4.
#import shared/row_vec4
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
fn load_dy(i: u32) -> vec4<f32> { return dy[i]; }
