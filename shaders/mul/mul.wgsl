fn op_mul(a: F, b: F) -> F { return a * b; }
