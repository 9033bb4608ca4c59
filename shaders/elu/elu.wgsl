fn op_elu(x: F, alpha: F) -> F { return select(alpha * (exp(x) - F(1.0)), x, x > F(0.0)); }
