//! The roofline model: the highest rate at which an adapter could do some work (Williams, Waterman and Patterson 2009,
//! doi:10.1145/1498765.1498785).

use super::Cost;
use serde::{Deserialize, Serialize};

/// Peak rates of an adapter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roof {
    /// Billions of floating-point operations per second.
    pub gflops: f64,
    /// Billions of bytes per second.
    pub gb_per_s: f64,
}

/// The resource that limits the speed of some work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Floating-point operations.
    Arithmetic,
    /// Memory traffic.
    Memory,
}

impl Roof {
    /// Floating-point operations per byte above which arithmetic is the bound.
    pub fn ridge(self) -> f64 {
        self.gflops / self.gb_per_s
    }

    /// Billions of floating-point operations per second that work with `intensity` operations per byte can reach.
    pub fn attainable(self, intensity: f64) -> f64 {
        self.gflops.min(intensity * self.gb_per_s)
    }

    /// Minimum time of the work in milliseconds; if operations are not counted, the time of its memory traffic.
    pub fn least_ms(self, cost: Cost) -> f64 {
        let arithmetic = cost.flops as f64 / self.gflops;
        let memory = cost.bytes as f64 / self.gb_per_s;
        arithmetic.max(memory) / 1e6
    }

    /// The rate of the work for a time of `ms` milliseconds, as a percentage of the attainable one.
    pub fn percent(self, cost: Cost, ms: f64) -> f64 {
        100.0 * self.least_ms(cost) / ms
    }

    /// The resource that limits the work.
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
