fn op_huber(a: F, b: F, delta: F) -> F {
    let d = abs(a - b);
    return select(delta * (d - 0.5 * delta), 0.5 * d * d, d <= delta);
}
