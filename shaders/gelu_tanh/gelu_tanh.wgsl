#import sigmoid/sigmoid
// Beyond 10 the sigmoid is 0 or 1 in f32: x is clamped so that the cube can't overflow.
fn op_gelu_tanh(x: F) -> F {
    let c = min(max(x, F(-10.0)), F(10.0));
    return x * op_sigmoid(c * (1.5957691216 + 0.0713548163 * c * c));
}
