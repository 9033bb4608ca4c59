// The softmax statistics of a row of x: softmax = exp(x - maximum) / sum. Subtracting the maximum first keeps every
// exponential at most 1.
#import shared/row_invocation
struct Statistics {
    maximum: f32,
    sum: f32,
}

/// Statistics of the row whose first step is `base`. All invocations of the row must call it together.
fn statistics(base: u32, lane: u32) -> Statistics {
    var m = F(-3.4028234e38);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        m = max(m, load_x(base + k));
    }
    let maximum = row_max(largest(m), lane);
    var s = F(0.0);
    for (var k = first_of(lane); k < params.length; k += LANES) {
        s += exp(load_x(base + k) - F(maximum));
    }
    return Statistics(maximum, row_sum(total(s), lane));
}
