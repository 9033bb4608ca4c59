// Not the builtin clamp, which is undefined where low > high.
fn op_clamp(x: F, low: F, high: F) -> F { return min(max(x, low), high); }
