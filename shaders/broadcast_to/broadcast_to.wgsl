fn op_broadcast_to(x: F) -> F { return x; }
