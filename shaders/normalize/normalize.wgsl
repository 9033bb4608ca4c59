fn op_normalize(x: F, mean: F, scale: F, shift: F) -> F { return (x - mean) * scale + shift; }
