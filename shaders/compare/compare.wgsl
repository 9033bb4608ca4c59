// 1 where the relation holds, 0 elsewhere.
fn op_lt(a: F, b: F) -> F { return select(F(0.0), F(1.0), a < b); }
fn op_le(a: F, b: F) -> F { return select(F(0.0), F(1.0), a <= b); }
fn op_gt(a: F, b: F) -> F { return select(F(0.0), F(1.0), a > b); }
fn op_ge(a: F, b: F) -> F { return select(F(0.0), F(1.0), a >= b); }
fn op_eq(a: F, b: F) -> F { return select(F(0.0), F(1.0), a == b); }
fn op_ne(a: F, b: F) -> F { return select(F(0.0), F(1.0), a != b); }
