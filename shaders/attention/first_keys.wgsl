// Only the first lengths[i] positions of sample i are keys; the others are padding.
@group(0) @binding(2) var<storage, read> lengths: array<u32>;

/// Number of keys of a sample.
fn key_count(sample: u32) -> u32 { return min(lengths[sample], params.keys); }
