// Only the first lengths[i] positions of sample i exist.
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
fn exists(sample: u32, t: u32) -> bool { return t < lengths[sample]; }
