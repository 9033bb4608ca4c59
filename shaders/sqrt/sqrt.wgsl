fn op_sqrt(x: F) -> F { return sqrt(x); }
