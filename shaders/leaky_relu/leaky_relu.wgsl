fn op_leaky_relu(x: F, alpha: F) -> F { return select(alpha * x, x, x > F(0.0)); }
