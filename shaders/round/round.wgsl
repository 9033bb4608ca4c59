fn op_round(x: F) -> F { return round(x); }
