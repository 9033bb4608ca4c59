// Every position is a key.

/// Number of keys of a sample.
fn key_count(sample: u32) -> u32 { return params.keys; }
