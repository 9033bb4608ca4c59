//! The roofline model: how fast an adapter could do some work at best (Williams, Waterman and Patterson 2009,
//! doi:10.1145/1498765.1498785).

use super::Cost;
use serde::{Deserialize, Serialize};

/// What an adapter does at best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roof {
    /// Billions of floating-point operations a second.
    pub gflops: f64,
    /// Billions of bytes a second.
    pub gb_per_s: f64,
}

/// What keeps work from going faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Its floating-point operations.
    Arithmetic,
    /// The bytes that it moves.
    Memory,
}

impl Roof {
    /// Floating-point operations a byte above which the arithmetic is the bound.
    pub fn ridge(self) -> f64 {
        self.gflops / self.gb_per_s
    }

    /// Billions of floating-point operations a second that work of this many operations a byte can reach.
    pub fn attainable(self, intensity: f64) -> f64 {
        self.gflops.min(intensity * self.gb_per_s)
    }

    /// Milliseconds that the work takes at best: where no operations are counted, those that its bytes take.
    pub fn least_ms(self, cost: Cost) -> f64 {
        let arithmetic = cost.flops as f64 / self.gflops;
        let memory = cost.bytes as f64 / self.gb_per_s;
        arithmetic.max(memory) / 1e6
    }

    /// How much of what is attainable the work reaches at `ms` milliseconds, in percent.
    pub fn percent(self, cost: Cost, ms: f64) -> f64 {
        100.0 * self.least_ms(cost) / ms
    }

    /// What bounds the work.
    pub fn bound(self, cost: Cost) -> Bound {
        match cost.intensity() {
            Some(intensity) if intensity > self.ridge() => Bound::Arithmetic,
            _ => Bound::Memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOF: Roof = Roof {
        gflops: 100.0,
        gb_per_s: 20.0,
    };

    #[test]
    fn the_roof_rises_to_the_ridge_and_is_flat_from_there() {
        assert_eq!(ROOF.ridge(), 5.0);
        assert_eq!(ROOF.attainable(1.0), 20.0);
        assert_eq!(ROOF.attainable(5.0), 100.0);
        assert_eq!(ROOF.attainable(50.0), 100.0);
    }

    #[test]
    fn the_slower_of_arithmetic_and_memory_is_the_bound() {
        // 1 ms of arithmetic, 0.5 ms of memory.
        let dense = Cost {
            flops: 100_000_000,
            bytes: 10_000_000,
        };
        assert_eq!(ROOF.least_ms(dense), 1.0);
        assert_eq!(ROOF.bound(dense), Bound::Arithmetic);
        assert_eq!(ROOF.percent(dense, 4.0), 25.0);
        // 0.1 ms of arithmetic, 2 ms of memory.
        let sparse = Cost {
            flops: 10_000_000,
            bytes: 40_000_000,
        };
        assert_eq!(ROOF.least_ms(sparse), 2.0);
        assert_eq!(ROOF.bound(sparse), Bound::Memory);
    }

    #[test]
    fn work_without_counted_operations_is_held_to_the_bandwidth() {
        let copy = Cost {
            flops: 0,
            bytes: 20_000_000,
        };
        assert_eq!(ROOF.bound(copy), Bound::Memory);
        assert_eq!(ROOF.percent(copy, 2.0), 50.0);
    }

    #[test]
    fn the_percentage_is_that_of_the_attainable_rate() {
        let cost = Cost {
            flops: 30_000_000,
            bytes: 10_000_000,
        };
        let ms = 0.7;
        let of_rate = 100.0 * cost.gflops(ms).unwrap() / ROOF.attainable(cost.intensity().unwrap());
        assert!((ROOF.percent(cost, ms) - of_rate).abs() < 1e-9);
    }
}
