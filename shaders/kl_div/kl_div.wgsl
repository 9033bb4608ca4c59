fn op_kl_div(x: F, t: F) -> F { return select(F(0.0), t * (log(t) - x), t > F(0.0)); }
