#import gelu/gelu
fn op_gelu_grad(x: F, dy: F) -> F {
    let c = min(max(x, F(-16.0)), F(16.0));
    return dy * (normal_cumulative(c) + c * normal_density(c));
}
