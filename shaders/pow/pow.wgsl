// WGSL's pow does not accept negative bases, and its 0^0 depends on the adapter.
fn op_pow(a: F, b: F) -> F {
    let size = exp2(b * log2(abs(a)));
    let whole = floor(b) == b;
    // This is exact: a b so large that b / 2 can't be fractional is even.
    let odd = floor(0.5 * b) * 2.0 != b;
    let negative = select(sqrt(a), select(size, -size, odd), whole);
    let nonzero = select(negative, size, a > F(0.0));
    let zero = select(1.0 / abs(a), F(0.0), b > F(0.0));
    return select(select(nonzero, zero, a == F(0.0)), F(1.0), b == F(0.0));
}
