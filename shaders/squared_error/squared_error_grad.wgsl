fn op_squared_error_grad(a: F, b: F, dy: F) -> F { return 2.0 * (a - b) * dy; }
