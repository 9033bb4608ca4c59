// The builtin clamp is not used because it is undefined for low > high.
fn op_clamp(x: F, low: F, high: F) -> F { return min(max(x, low), high); }
