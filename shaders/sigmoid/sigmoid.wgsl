// The argument of the exponential is never positive, so that it can't overflow.
fn op_sigmoid(x: F) -> F {
    let small = exp(-abs(x));
    return select(F(1.0), small, x < F(0.0)) / (1.0 + small);
}
