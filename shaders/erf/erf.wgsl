#import gelu/gelu

/// Up to 0.5 its series, from there on by the tail of the normal distribution, so that it is exact to a few units in the last
/// place everywhere.
fn op_erf(x: F) -> F {
    let s = x * x;
    let near = x * (1.128379167 + s * (-0.3761263890 + s * (0.1128379167 + s * (-0.02686617064
        + s * (0.005223977625 + s * -0.0008548327023)))));
    let tail = normal_cumulative(-1.414213562 * abs(x));
    let far = sign(x) * (1.0 - 2.0 * tail);
    return select(far, near, abs(x) < F(0.5));
}
