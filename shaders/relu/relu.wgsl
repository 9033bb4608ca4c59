fn op_relu(x: F) -> F { return max(x, F(0.0)); }
