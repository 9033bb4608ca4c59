//! The result of measuring one workload: a line of `wgrad bench --json`.

use super::{Bound, Cost, Roof, Timing};
use crate::graph::Precision;
use serde::{Deserialize, Serialize};

/// The measurement of one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the workload.
    pub workload: String,
    /// Its precision.
    #[serde(default)]
    pub precision: Precision,
    /// Name of the adapter.
    pub adapter: String,
    /// Milliseconds per step: the median of the runs.
    pub median_ms: f64,
    /// The fastest run.
    pub min_ms: f64,
    /// The slowest run.
    pub max_ms: f64,
    /// Lower quartile of the runs.
    pub q1_ms: f64,
    /// Upper quartile.
    pub q3_ms: f64,
    /// Number of runs.
    pub runs: usize,
    /// Floating-point operations of the contractions; 0 if not counted.
    pub flops: u64,
    /// Bytes transferred, each counted once per launch.
    pub bytes: u64,
    /// Billions of operations per second.
    pub gflops: Option<f64>,
    /// Billions of bytes per second.
    pub gb_per_s: f64,
    /// Billions of operations per second that the adapter could reach at this arithmetic intensity.
    pub attainable_gflops: Option<f64>,
    /// Milliseconds per step at the adapter's ceilings.
    pub ceiling_ms: f64,
    /// The rate reached, as a percentage of the attainable one.
    pub percent_of_ceiling: f64,
    /// Which ceiling is the bound: `arithmetic` or `memory`.
    pub bound: Bound,
}

impl Record {
    /// The record of `workload` in 32 bits on `adapter`, whose peak rates are `roof`.
    pub fn new(workload: &str, adapter: &str, timing: &Timing, cost: Cost, roof: Roof) -> Record {
        let median_ms = timing.median_ms();
        let [q1_ms, q3_ms] = timing.quartiles_ms();
        Record {
            workload: workload.to_string(),
            precision: Precision::Float32,
            adapter: adapter.to_string(),
            median_ms,
            min_ms: timing.min_ms(),
            max_ms: timing.max_ms(),
            q1_ms,
            q3_ms,
            runs: timing.runs(),
            flops: cost.flops,
            bytes: cost.bytes,
            gflops: cost.gflops(median_ms),
            gb_per_s: cost.gb_per_s(median_ms),
            attainable_gflops: cost.intensity().map(|i| roof.attainable(i)),
            ceiling_ms: roof.least_ms(cost),
            percent_of_ceiling: roof.percent(cost, median_ms),
            bound: roof.bound(cost),
        }
    }

    /// The work that was timed.
    pub fn cost(&self) -> Cost {
        Cost {
            flops: self.flops,
            bytes: self.bytes,
        }
    }
}

#[cfg(test)]
impl Record {
    /// A measurement of `flops` and `bytes` with a median of `ms` and quartiles `spread` below and above it.
    pub(super) fn example(workload: &str, [flops, bytes]: [u64; 2], ms: f64, spread: f64) -> Self {
        let roof = Roof {
            gflops: 100.0,
            gb_per_s: 20.0,
        };
        let cost = Cost { flops, bytes };
        let timing = Timing::of(vec![ms, ms, ms]);
        Record {
            q1_ms: ms - spread,
            q3_ms: ms + spread,
            ..Record::new(workload, "an adapter", &timing, cost, roof)
        }
    }
}
