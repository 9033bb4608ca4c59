#import sigmoid/sigmoid
fn op_silu(x: F) -> F { return x * op_sigmoid(x); }
