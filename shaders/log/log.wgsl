fn op_log(x: F) -> F { return log(x); }
