fn op_sub(a: F, b: F) -> F { return a - b; }
