fn op_maximum(a: F, b: F) -> F { return max(a, b); }
