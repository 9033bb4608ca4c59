// Of sample i only the first lengths[i] positions are keys: the rest is padding.
@group(0) @binding(2) var<storage, read> lengths: array<u32>;

/// Keys of a sample that may be seen.
fn key_count(sample: u32) -> u32 { return min(lengths[sample], params.time); }
