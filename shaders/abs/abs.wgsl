fn op_abs(x: F) -> F { return abs(x); }
