fn op_floor(x: F) -> F { return floor(x); }
