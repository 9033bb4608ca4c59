fn op_bce_with_logits(x: F, t: F) -> F { return max(x, F(0.0)) - x * t + log(F(1.0) + exp(-abs(x))); }
