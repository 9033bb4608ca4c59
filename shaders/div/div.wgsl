fn op_div(a: F, b: F) -> F { return a / b; }
