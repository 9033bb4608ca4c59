fn op_select(mask: F, a: F, b: F) -> F { return select(b, a, mask != F(0.0)); }
