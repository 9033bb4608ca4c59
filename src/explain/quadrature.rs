//! Gauss-Legendre quadrature: the points of integrated gradients.

use std::f64::consts::PI;

/// Points from 0 to 1 and their weights, whose sum is 1: the zeros of the Legendre polynomial of degree `count`, by Newton's method
/// (Abramowitz and Stegun 25.4.29).
pub(super) fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    let node = |index: usize| {
        let mut x = (PI * (index as f64 + 0.75) / (count as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (mut before, mut value) = (1.0, x);
            for degree in 2..=count {
                let d = degree as f64;
                (before, value) = (
                    value,
                    ((2.0 * d - 1.0) * x * value - (d - 1.0) * before) / d,
                );
            }
            if count == 1 {
                (before, value) = (1.0, x);
            }
            slope = count as f64 * (x * value - before) / (x * x - 1.0);
            let step = value / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        let weight = 2.0 / ((1.0 - x * x) * slope * slope);
        ((1.0 + x) / 2.0, weight / 2.0)
    };
    (0..count).map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadrature_is_exact_for_polynomials() {
        for count in [1, 2, 5, 50] {
            let nodes = gauss_legendre(count);
            for degree in 0..2 * count.min(4) {
                let sum: f64 = nodes.iter().map(|(x, w)| w * x.powi(degree as i32)).sum();
                assert!(
                    (sum - 1.0 / (degree as f64 + 1.0)).abs() < 1e-12,
                    "{count} {degree} {sum}"
                );
            }
        }
    }
}
