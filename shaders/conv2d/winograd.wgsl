// One-dimensional transforms of Winograd's minimal filtering F(4, 3), which computes 4 outputs of a filter with 3 taps
// from 6 inputs with 6 products (Winograd 1980; Lavin and Gray 2015): y = transform_output(transform_weight(g) *
// transform_input(d)), with elementwise products. In two dimensions each transform is applied along the columns, then
// along the rows: 36 products instead of 144.
//
// Polynomials are evaluated at 0, +-A, +-B and infinity. The usual points 0, +-1, +-2 have rounding errors four times
// as large: docs/decisions.md.
const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
// For each of the points 0, +-A, +-B the product of its distances to the others.
const F0: f32 = A2 * B2;
const FA: f32 = 2.0 * A2 * (A2 - B2);
const FB: f32 = 2.0 * B2 * (B2 - A2);

struct Three { e0: vec4<f32>, e1: vec4<f32>, e2: vec4<f32> }
struct Four { e0: vec4<f32>, e1: vec4<f32>, e2: vec4<f32>, e3: vec4<f32> }
struct Six { e0: vec4<f32>, e1: vec4<f32>, e2: vec4<f32>, e3: vec4<f32>, e4: vec4<f32>, e5: vec4<f32> }

fn transform_input(d: Six) -> Six {
    let even_a = d.e4 - B2 * d.e2;
    let odd_a = A * (d.e3 - B2 * d.e1);
    let even_b = d.e4 - A2 * d.e2;
    let odd_b = B * (d.e3 - A2 * d.e1);
    return Six(
        d.e4 - (A2 + B2) * d.e2 + F0 * d.e0,
        even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b,
        d.e5 - (A2 + B2) * d.e3 + F0 * d.e1);
}

fn transform_output(m: Six) -> Four {
    let sum_a = m.e1 + m.e2;
    let difference_a = m.e1 - m.e2;
    let sum_b = m.e3 + m.e4;
    let difference_b = m.e3 - m.e4;
    return Four(
        m.e0 + sum_a + sum_b,
        A * difference_a + B * difference_b,
        A2 * sum_a + B2 * sum_b,
        A2 * A * difference_a + B2 * B * difference_b + m.e5);
}

fn transform_weight(g: Three) -> Six {
    let even_a = (1.0 / FA) * (g.e0 + A2 * g.e2);
    let odd_a = (A / FA) * g.e1;
    let even_b = (1.0 / FB) * (g.e0 + B2 * g.e2);
    let odd_b = (B / FB) * g.e1;
    return Six(
        (1.0 / F0) * g.e0,
        even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b,
        g.e2);
}

// The gradients of transform_output and transform_weight: their transposes.

fn transform_output_grad(y: Four) -> Six {
    let even_a = y.e0 + A2 * y.e2;
    let odd_a = A * (y.e1 + A2 * y.e3);
    let even_b = y.e0 + B2 * y.e2;
    let odd_b = B * (y.e1 + B2 * y.e3);
    return Six(y.e0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, y.e3);
}

fn transform_weight_grad(u: Six) -> Three {
    let sum_a = (1.0 / FA) * (u.e1 + u.e2);
    let difference_a = (A / FA) * (u.e1 - u.e2);
    let sum_b = (1.0 / FB) * (u.e3 + u.e4);
    let difference_b = (B / FB) * (u.e3 - u.e4);
    return Three(
        (1.0 / F0) * u.e0 + sum_a + sum_b,
        difference_a + difference_b,
        A2 * sum_a + B2 * sum_b + u.e5);
}
