fn op_exp(x: F) -> F { return exp(x); }
