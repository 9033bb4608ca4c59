// Integer quotients through f32 division. Software adapters execute an integer division lane by lane. These functions
// are exact, several times cheaper there, and no slower elsewhere.

// floor(x / d) for |x| < 2^20, 0 < d < 2^20: (x + 1/2) / d keeps 1/(2d) away from any integer, which is more than
// the error of the division.
fn divide_small(x: i32, d: i32) -> i32 {
    return i32(floor((f32(x) + 0.5) / f32(d)));
}

// floor(x / d) for x < 2^31, 0 < d < 2^30: the first estimate leaves a remainder below d + 2^10 in magnitude, the
// second one below 2d, which one comparison corrects.
fn divide(x: u32, d: u32) -> u32 {
    let estimate = u32(f32(x) / f32(d));
    let quotient = i32(estimate) + i32(floor(f32(i32(x - estimate * d)) / f32(d)));
    let rest = i32(x) - quotient * i32(d);
    return u32(quotient + select(select(0, 1, rest >= i32(d)), -1, rest < 0));
}
