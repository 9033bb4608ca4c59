/// The normal density.
fn normal_density(x: F) -> F { return 0.3989422804 * exp(-0.5 * x * x); }

/// Probability that a standard normal variable is below x, from the probability of its tail: the density times Mills'
/// ratio. With t = 1 / (1 + 0.35 |x|) the ratio is t q(t), where q is minimax for the relative error (3.2e-8). There is
/// no cancellation on either side of 0.
fn normal_cumulative(x: F) -> F {
    let a = min(abs(x), F(16.0));
    let t = 1.0 / (1.0 + 0.35 * a);
    let low = F(0.349978565) + t * (0.3505883878 + t * (0.3003294906 + t * 0.2646499013));
    let high = F(-0.0583439186) + t * (0.3995814401 + t * (-0.6414873311 + t * (0.3611241677 - t * 0.07310660555)));
    let t2 = t * t;
    let tail = normal_density(a) * t * (low + t2 * t2 * high);
    return select(tail, 1.0 - tail, x > F(0.0));
}

fn op_gelu(x: F) -> F { return x * normal_cumulative(x); }
