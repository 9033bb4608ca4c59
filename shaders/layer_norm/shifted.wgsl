// The biases of layer_norm, one per column.
@group(0) @binding(6) var<storage, read> bias: array<vec4<f32>>;
fn load_bias(i: u32) -> vec4<f32> { return bias[i]; }
fn shifted(y: F, k: u32) -> F { return y + lanes(load_bias(texel(k)), k); }
