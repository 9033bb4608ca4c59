//! Timing a workload on an adapter: medians of finished work.

use super::Workload;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, MAX_STEPS_PER_SUBMIT, Program, Store};
use crate::plan::{Access, Plan, Scalar, Step, ValueId};
use std::time::{Duration, Instant};

/// Runs and time before anything is recorded: pipelines, caches and clocks settle.
const WARM_UP_RUNS: usize = 3;
const WARM_UP: Duration = Duration::from_millis(300);
/// A run repeats its work until it lasts about this long, so that submission and waiting do not show.
const RUN_SECONDS: f64 = 0.02;
const MOST_REPETITIONS: usize = 1 << 16;
/// Repetitions of one of a plan's steps that go into a submission.
const REPETITIONS_PER_SUBMIT: usize = 256;

/// How long to go on measuring.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Recorded runs, at least.
    pub runs: usize,
    /// Time of the recorded runs together, at least.
    pub time: Duration,
}

impl Default for Effort {
    fn default() -> Self {
        Effort {
            runs: 9,
            time: Duration::ZERO,
        }
    }
}

impl Effort {
    fn done(self, runs: usize, start: Instant) -> bool {
        runs >= self.runs.max(1) && start.elapsed() >= self.time
    }
}

/// What the runs took: milliseconds a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    sorted_ms: Vec<f64>,
}

impl Timing {
    fn new(mut ms: Vec<f64>) -> Self {
        ms.sort_by(f64::total_cmp);
        Timing { sorted_ms: ms }
    }

    /// The middle run, or the mean of the two in the middle.
    pub fn median_ms(&self) -> f64 {
        let half = self.sorted_ms.len() / 2;
        match self.sorted_ms.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => self.sorted_ms[half],
            _ => (self.sorted_ms[half - 1] + self.sorted_ms[half]) / 2.0,
        }
    }

    /// The fastest run.
    pub fn min_ms(&self) -> f64 {
        self.sorted_ms.first().copied().unwrap_or(f64::NAN)
    }

    /// The slowest run.
    pub fn max_ms(&self) -> f64 {
        self.sorted_ms.last().copied().unwrap_or(f64::NAN)
    }

    /// Number of runs.
    pub fn runs(&self) -> usize {
        self.sorted_ms.len()
    }
}

/// Work that a plan or one of its steps does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations of the contractions; 0 where nobody counts them.
    pub flops: u64,
    /// Bytes that cross memory if every launch reads what it needs once and writes its results once.
    pub bytes: u64,
}

impl Cost {
    /// Of a whole step, without the copies into texture views, which serve the adapter and not the computation.
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

    /// Of one of the plan's steps.
    pub fn of_step(plan: &Plan, step: &Step) -> Cost {
        let size = |value: ValueId| plan.values[value.index()].bytes;
        match step {
            Step::Launch(launch) => {
                let bytes = launch.operands.iter().map(|operand| {
                    let whole = size(operand.value);
                    match operand.access {
                        // Some read only a part: a batch of a data set.
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

    /// Billions of floating-point operations a second at `ms` milliseconds; `None` where they are not counted.
    pub fn gflops(&self, ms: f64) -> Option<f64> {
        (self.flops > 0).then(|| self.flops as f64 / ms / 1e6)
    }

    /// Billions of bytes a second at `ms` milliseconds.
    pub fn gb_per_s(&self, ms: f64) -> f64 {
        self.bytes as f64 / ms / 1e6
    }
}

/// A workload that is ready to run on an adapter.
pub struct Bench<'a> {
    gpu: &'a Gpu,
    /// What runs.
    pub plan: Plan,
    program: Program,
    /// Scalar inputs of the steps of a full submission; the same for each.
    scalars: Vec<Scalar>,
}

impl<'a> Bench<'a> {
    /// Plans `workload` for the adapter and puts its variables there.
    ///
    /// # Errors
    /// If it does not fit the adapter, or the adapter fails.
    pub fn new(gpu: &'a Gpu, workload: &dyn Workload) -> Result<Bench<'a>> {
        let graph = workload.graph()?;
        let plan = Plan::new(&graph, &gpu.target)?;
        let mut store = Store::new();
        for (name, value) in workload.variables(&graph)? {
            store.set(gpu, &name, &value)?;
        }
        let program = Program::new(gpu, &plan, &store)?;
        let known = workload.scalars();
        let value = |name: &String| {
            let found = known.iter().find(|(known, _)| known == name);
            found
                .map(|(_, value)| *value)
                .ok_or_else(|| Error::Graph(format!("{} has no value for {name}", workload.name())))
        };
        let row = program
            .scalar_names()
            .iter()
            .map(value)
            .collect::<Result<Vec<_>>>()?;
        Ok(Bench {
            gpu,
            plan,
            program,
            scalars: row.repeat(MAX_STEPS_PER_SUBMIT),
        })
    }

    /// The commands of one step, encoded and not submitted: to time the host's share.
    pub fn encode(&self) -> wgpu::CommandBuffer {
        self.program.encode(self.gpu, 1)
    }

    /// Times the whole step.
    ///
    /// # Errors
    /// If the adapter fails.
    pub fn time(&mut self, effort: Effort) -> Result<Timing> {
        let times = self.warm_up(Part::Whole, WARM_UP)?;
        let (start, mut ms) = (Instant::now(), Vec::new());
        while !effort.done(ms.len(), start) {
            ms.push(self.ms_each(Part::Whole, times)?);
        }
        Ok(Timing::new(ms))
    }

    /// Times the whole step and each of the plan's steps alone, repeated on the memory that a whole step leaves. Every
    /// round times each once, so that they compare even on a machine whose speed drifts.
    ///
    /// # Errors
    /// If the adapter fails.
    pub fn profile(&mut self, effort: Effort) -> Result<Profile> {
        let whole = self.warm_up(Part::Whole, WARM_UP)?;
        let steps = (0..self.plan.steps.len())
            .map(|index| self.warm_up(Part::Step(index), Duration::ZERO))
            .collect::<Result<Vec<_>>>()?;
        let (start, mut whole_ms, mut steps_ms) =
            (Instant::now(), Vec::new(), vec![Vec::new(); steps.len()]);
        while !effort.done(whole_ms.len(), start) {
            whole_ms.push(self.ms_each(Part::Whole, whole)?);
            for (index, (&times, ms)) in steps.iter().zip(&mut steps_ms).enumerate() {
                ms.push(self.ms_each(Part::Step(index), times)?);
            }
        }
        Ok(Profile {
            whole: Timing::new(whole_ms),
            steps: steps_ms.into_iter().map(Timing::new).collect(),
        })
    }

    /// Runs `part` until `time` has passed, and at least a few times; returns how many repetitions make a run of
    /// [`RUN_SECONDS`].
    fn warm_up(&mut self, part: Part, time: Duration) -> Result<usize> {
        let (start, mut runs, mut times) = (Instant::now(), 0, 1);
        while runs < WARM_UP_RUNS || start.elapsed() < time {
            let wanted = (1e3 * RUN_SECONDS / self.ms_each(part, times)?).ceil() as usize;
            times = wanted.clamp(1, (times * 8).min(MOST_REPETITIONS));
            runs += 1;
        }
        Ok(times)
    }

    /// Milliseconds that each of `times` repetitions takes until it is finished.
    fn ms_each(&mut self, part: Part, times: usize) -> Result<f64> {
        let start = Instant::now();
        let mut left = times;
        while left > 0 {
            left -= match part {
                Part::Whole => {
                    let now = left.min(MAX_STEPS_PER_SUBMIT);
                    let each = self.program.scalar_names().len();
                    self.program
                        .run(self.gpu, now, &self.scalars[..now * each])?;
                    now
                }
                Part::Step(index) => {
                    let now = left.min(REPETITIONS_PER_SUBMIT);
                    self.program.repeat(self.gpu, index, now)?;
                    now
                }
            };
        }
        self.gpu.wait()?;
        Ok(1e3 * start.elapsed().as_secs_f64() / times as f64)
    }
}

/// What is timed: the whole plan, or one step of it.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    Step(usize),
}

/// A workload's time by the steps of its plan.
#[derive(Clone, Debug)]
pub struct Profile {
    /// All steps together, as they run.
    pub whole: Timing,
    /// Each step alone, in the order of [`Plan::steps`].
    pub steps: Vec<Timing>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_run() {
        let timing = Timing::new(vec![5.0, 1.0, 3.0]);
        assert_eq!(
            (timing.median_ms(), timing.min_ms(), timing.max_ms()),
            (3.0, 1.0, 5.0)
        );
        assert_eq!(Timing::new(vec![4.0, 1.0, 2.0, 10.0]).median_ms(), 3.0);
    }

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
