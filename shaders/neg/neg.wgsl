fn op_neg(x: F) -> F { return -x; }
