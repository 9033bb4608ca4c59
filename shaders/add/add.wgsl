fn op_add(a: F, b: F) -> F { return a + b; }
