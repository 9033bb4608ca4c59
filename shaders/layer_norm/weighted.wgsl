// The weights of layer_norm, one per column.
@group(0) @binding(5) var<storage, read> weight: array<vec4<f32>>;
fn load_weight(i: u32) -> vec4<f32> { return weight[i]; }
fn weighted(y: F, k: u32) -> F { return y * lanes(load_weight(texel(k)), k); }
