//! The work that a plan does, counted from its launches.

use crate::plan::{Access, Plan, Step, ValueId};

/// Work of a plan or of one of its steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations of the contractions; 0 if not counted.
    pub flops: u64,
    /// Bytes transferred if every launch reads each operand once and writes its results once.
    pub bytes: u64,
}

impl Cost {
    /// The work of a plan, without copies into texture views, which the adapter needs but the computation does not.
    pub fn of_plan(plan: &Plan) -> Cost {
        let steps = plan.steps.iter();
        let counted = steps.filter(|step| !matches!(step, Step::Texture(_)));
        counted.fold(Cost::default(), |sum, step| {
            let cost = Cost::of_step(plan, step);
            Cost {
                flops: sum.flops + cost.flops,
                bytes: sum.bytes + cost.bytes,
            }
        })
    }

    /// The work of one step of a plan.
    pub fn of_step(plan: &Plan, step: &Step) -> Cost {
        let size = |value: ValueId| plan.values[value.index()].bytes;
        match step {
            Step::Launch(launch) => {
                let bytes = launch.operands.iter().map(|operand| {
                    let whole = size(operand.value);
                    match operand.access {
                        // Some launches read only a part, such as a batch of a data set.
                        Access::Read => whole.min(operand.loads * 16),
                        Access::Write => whole,
                        Access::ReadWrite => 2 * whole,
                    }
                });
                Cost {
                    flops: launch.flops,
                    bytes: bytes.sum(),
                }
            }
            Step::Copy { from: value, .. } | Step::Texture(value) => Cost {
                flops: 0,
                bytes: 2 * size(*value),
            },
        }
    }

    /// Billions of floating-point operations per second for a time of `ms` milliseconds; `None` if not counted.
    pub fn gflops(&self, ms: f64) -> Option<f64> {
        (self.flops > 0).then(|| self.flops as f64 / ms / 1e6)
    }

    /// Floating-point operations per byte; `None` if not counted.
    pub fn intensity(&self) -> Option<f64> {
        (self.flops > 0).then(|| self.flops as f64 / self.bytes as f64)
    }

    /// Billions of bytes per second for a time of `ms` milliseconds.
    pub fn gb_per_s(&self, ms: f64) -> f64 {
        self.bytes as f64 / ms / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second() {
        let cost = Cost {
            flops: 2_000_000,
            bytes: 4_000_000,
        };
        assert_eq!(cost.gflops(2.0), Some(1.0));
        assert_eq!(cost.gb_per_s(2.0), 2.0);
        assert_eq!(Cost { flops: 0, ..cost }.gflops(1.0), None);
    }
}
