// WGSL allows an absolute error of 1e-5 for tanh, and some adapters compute infinity / infinity far from 0. This
// function uses an odd polynomial near 0 (minimax for the relative error on [0, 0.55]: 3.7e-8) and 1 - 2 / (e^2x + 1)
// elsewhere, which is 1 in f32 from 9.1 on.
fn op_tanh(x: F) -> F {
    let c = min(max(x, F(-10.0)), F(10.0));
    let u = c * c;
    let p = F(-0.3333294664) + u * (0.1332072506 + u * (-0.05267181363 + u * 0.01643758136));
    let near = c + c * u * p;
    let far = 1.0 - 2.0 / (exp(2.0 * abs(c)) + 1.0);
    return select(sign(c) * far, near, abs(c) < F(0.55));
}
