// Only the rows of the first `valid` samples count; the others are padding of the last batch.
@group(0) @binding(2) var<storage, read> valid: array<u32>;
fn counted() -> u32 { return min(valid[0], params.rows / params.sample) * params.sample; }
