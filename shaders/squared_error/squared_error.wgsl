fn op_squared_error(a: F, b: F) -> F { return (a - b) * (a - b); }
