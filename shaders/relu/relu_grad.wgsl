fn op_relu_grad(y: F, dy: F) -> F { return select(F(0.0), dy, y > F(0.0)); }
