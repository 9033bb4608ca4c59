// layer_norm without biases.
fn shifted(y: F, k: u32) -> F { return y; }
