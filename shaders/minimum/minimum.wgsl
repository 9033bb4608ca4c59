fn op_minimum(a: F, b: F) -> F { return min(a, b); }
