// Maximum; see the imported file.
fn identity() -> f32 { return -3.40282346638528859811704183484516925440e+38f; }
fn combine(a: F, b: F) -> F { return max(a, b); }
#import shared/reduce
