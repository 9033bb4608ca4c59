//! Measures the time of a workload on an adapter, including the wait for its completion.

use super::Workload;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, MAX_STEPS_PER_SUBMIT, Program, Span, Store};
use crate::graph::{Graph, Precision};
use crate::plan::{Plan, Scalar};
use std::time::{Duration, Instant};

/// Minimum runs and time before recording starts, so that pipelines, caches and clock rates settle.
const WARM_UP_RUNS: usize = 3;
const WARM_UP: Duration = Duration::from_millis(300);
/// A run repeats its work until it takes about this long, so that the costs of submission and waiting are negligible.
const RUN_SECONDS: f64 = 0.02;
const MOST_REPETITIONS: usize = 1 << 16;
/// Repetitions of one of a plan's steps per submission.
const REPETITIONS_PER_SUBMIT: usize = 256;
/// Range of the ratio of timestamps to wall clock in which timestamps are trusted. The wall clock includes a submission
/// and a readback as well.
const BELIEVED: std::ops::Range<f64> = 0.7..1.02;
const CLOCK_RUNS: usize = 5;

/// The minimum duration of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Minimum number of recorded runs.
    pub runs: usize,
    /// Minimum total time of the recorded runs.
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

/// Times of the runs in milliseconds per step.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    sorted_ms: Vec<f64>,
}

impl Timing {
    /// From the times of the runs, in milliseconds per step.
    pub fn of(mut ms: Vec<f64>) -> Self {
        ms.sort_by(f64::total_cmp);
        Timing { sorted_ms: ms }
    }

    /// The `q`-quantile of the runs, interpolated between neighbours.
    fn quantile_ms(&self, q: f64) -> f64 {
        let Some(last) = self.sorted_ms.len().checked_sub(1) else {
            return f64::NAN;
        };
        let at = q * last as f64;
        let (below, above) = (at.floor() as usize, at.ceil() as usize);
        let (below_ms, above_ms) = (self.sorted_ms[below], self.sorted_ms[above]);
        below_ms + (above_ms - below_ms) * (at - below as f64)
    }

    /// The median of the runs.
    pub fn median_ms(&self) -> f64 {
        self.quantile_ms(0.5)
    }

    /// The lower and upper quartile of the runs.
    pub fn quartiles_ms(&self) -> [f64; 2] {
        [self.quantile_ms(0.25), self.quantile_ms(0.75)]
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

/// A workload prepared to run on an adapter.
pub struct Bench<'a> {
    gpu: &'a Gpu,
    /// The plan of the workload.
    pub plan: Plan,
    program: Program,
    /// Scalar inputs of the steps of a full submission; all steps have the same.
    scalars: Vec<Scalar>,
}

impl<'a> Bench<'a> {
    /// Plans `workload` in `precision` for the adapter and uploads its variables.
    ///
    /// # Errors
    /// If the workload does not fit the adapter, or the adapter fails.
    pub fn new(gpu: &'a Gpu, workload: &dyn Workload, precision: Precision) -> Result<Bench<'a>> {
        let graph = Graph {
            precision,
            ..workload.graph()?
        };
        let plan = Plan::new(&graph, &gpu.target)?;
        let mut store = Store::new();
        for (name, value) in workload.variables(&graph)? {
            store.set(gpu, &name, &value)?;
        }
        Self::of_plan(gpu, plan, &store, workload.scalars())
    }

    /// The same for a plan whose variables are in `store`, with scalar inputs by name.
    ///
    /// # Errors
    /// If the plan does not fit the adapter, or the adapter fails.
    pub fn of_plan(
        gpu: &'a Gpu,
        plan: Plan,
        store: &Store,
        scalars: Vec<(String, Scalar)>,
    ) -> Result<Bench<'a>> {
        let program = Program::new(gpu, &plan, store)?;
        let value = |name: &String| {
            let found = scalars.iter().find(|(known, _)| known == name);
            found
                .map(|(_, value)| *value)
                .ok_or_else(|| Error::Graph(format!("there is no value for {name}")))
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

    /// The prepared program.
    pub fn program(&self) -> &Program {
        &self.program
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
        Ok(Timing::of(ms))
    }

    /// Times only step `step` of the plan, repeated.
    ///
    /// # Errors
    /// If the adapter fails.
    pub fn time_step(&mut self, step: usize, effort: Effort) -> Result<Timing> {
        let times = self.warm_up(Part::Step(step), WARM_UP)?;
        let (start, mut ms) = (Instant::now(), Vec::new());
        while !effort.done(ms.len(), start) {
            ms.push(self.ms_each(Part::Step(step), times)?);
        }
        Ok(Timing::of(ms))
    }

    /// Times the whole step, and each of the plan's steps by `clock`. Every round times everything once, so that times
    /// are comparable even if the speed of the machine drifts.
    ///
    /// # Errors
    /// If the adapter fails.
    pub fn profile(&mut self, effort: Effort, clock: Clock) -> Result<Profile> {
        let whole = self.warm_up(Part::Whole, WARM_UP)?;
        let count = self.plan.steps.len();
        // A step in several submissions has no timestamps.
        let clock = match self.program.is_divided() {
            true => Clock::Wall,
            false => clock,
        };
        let times = match clock {
            Clock::Timestamps => Vec::new(),
            Clock::Wall => (0..count)
                .map(|index| self.warm_up(Part::Step(index), Duration::ZERO))
                .collect::<Result<_>>()?,
        };
        let (start, mut whole_ms) = (Instant::now(), Vec::new());
        let mut rounds: Vec<Vec<Span>> = Vec::new();
        while !effort.done(rounds.len(), start) {
            whole_ms.push(self.ms_each(Part::Whole, whole)?);
            rounds.push(match clock {
                Clock::Timestamps => self.timestamps()?,
                Clock::Wall => self.one_by_one(&times)?,
            });
        }
        let steps = (0..count).map(|index| {
            let ms = rounds.iter().map(|spans| spans[index].ms());
            Timing::of(ms.collect())
        });
        let steps = steps.collect();
        // The round with the median total time.
        let length = |spans: &Vec<Span>| spans.iter().map(|span| span.ms()).sum::<f64>();
        rounds.sort_by(|a, b| length(a).total_cmp(&length(b)));
        let middle = rounds.len() / 2;
        Ok(Profile {
            whole: Timing::of(whole_ms),
            steps,
            spans: rounds.swap_remove(middle),
            clock,
        })
    }

    /// Spans of device time of each of the plan's steps.
    fn timestamps(&mut self) -> Result<Vec<Span>> {
        let each = self.program.scalar_names().len();
        let spans = self.program.run_timed(self.gpu, &self.scalars[..each])?;
        spans.ok_or_else(|| Error::Device(format!("{} has no timestamps", self.gpu.info.name)))
    }

    /// Times each of the plan's steps by itself, repeated `times[i]` times on the memory that a whole step leaves. The
    /// spans are placed end to end.
    fn one_by_one(&mut self, times: &[usize]) -> Result<Vec<Span>> {
        let mut end_ns = 0.0;
        let mut spans = Vec::with_capacity(times.len());
        for (index, &times) in times.iter().enumerate() {
            let start_ns = end_ns;
            end_ns += 1e6 * self.ms_each(Part::Step(index), times)?;
            spans.push(Span { start_ns, end_ns });
        }
        Ok(spans)
    }

    /// Selects the clock for timing the steps of plans: timestamps if the adapter supports them and those around this
    /// plan's steps add up to approximately the wall-clock time. The plan should keep the adapter busy for
    /// milliseconds.
    ///
    /// # Errors
    /// If the adapter fails.
    pub fn clock(&mut self) -> Result<Clock> {
        self.ms_each(Part::Whole, 1)?;
        if !self.gpu.has_timestamps() || self.program.is_divided() {
            return Ok(Clock::Wall);
        }
        self.timestamps()?;
        let mut shares = Vec::with_capacity(CLOCK_RUNS);
        for _ in 0..CLOCK_RUNS {
            let start = Instant::now();
            let spans = self.timestamps()?;
            let wall = 1e3 * start.elapsed().as_secs_f64();
            shares.push(spans.iter().map(|span| span.ms()).sum::<f64>() / wall);
        }
        // Use the run that was disturbed the least by other work on the machine.
        let share = shares.into_iter().fold(0.0, f64::max);
        tracing::info!("timestamps add up to {share:.3} of the wall clock's time");
        Ok(if BELIEVED.contains(&share) {
            Clock::Timestamps
        } else {
            Clock::Wall
        })
    }

    /// Runs `part` until `time` has passed, and at least a few times. Returns the number of repetitions that take
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

    /// Milliseconds per repetition of `times` repetitions, including the wait for their completion.
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

/// The part to time: the whole plan, or one step of it.
#[derive(Clone, Copy)]
enum Part {
    Whole,
    Step(usize),
}

/// How the time of one of a plan's steps is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Timestamps that the adapter writes around each step of a single run.
    Timestamps,
    /// The wall clock, around many repetitions of a single step.
    Wall,
}

impl Clock {
    /// Name for files.
    pub fn name(self) -> &'static str {
        match self {
            Clock::Timestamps => "timestamps",
            Clock::Wall => "wall",
        }
    }
}

/// The time of a workload, divided among the steps of its plan.
#[derive(Clone, Debug)]
pub struct Profile {
    /// All steps together, in one run, by the wall clock.
    pub whole: Timing,
    /// Each step, in the order of [`Plan::steps`].
    pub steps: Vec<Timing>,
    /// The steps of the median round: as they followed one another, or placed end to end if timed by the wall clock.
    pub spans: Vec<Span>,
    /// The clock for the steps.
    pub clock: Clock,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_run() {
        let timing = Timing::of(vec![5.0, 1.0, 3.0]);
        assert_eq!(
            (timing.median_ms(), timing.min_ms(), timing.max_ms()),
            (3.0, 1.0, 5.0)
        );
        assert_eq!(Timing::of(vec![4.0, 1.0, 2.0, 10.0]).median_ms(), 3.0);
    }

    #[test]
    fn half_of_the_runs_lie_between_the_quartiles() {
        let timing = Timing::of(vec![5.0, 1.0, 2.0, 4.0, 3.0]);
        assert_eq!(timing.quartiles_ms(), [2.0, 4.0]);
        assert_eq!(Timing::of(vec![1.0, 2.0]).quartiles_ms(), [1.25, 1.75]);
        assert_eq!(Timing::of(vec![7.0]).quartiles_ms(), [7.0, 7.0]);
    }
}
