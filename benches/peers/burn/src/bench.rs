//! Runs a step repeatedly and prints its time.

use crate::args::Args;
use burn::prelude::*;
use burn::tensor::Distribution;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// As in `wgrad bench`.
const RUN_SECONDS: f64 = 0.02;
const WARM_UP: Duration = Duration::from_millis(300);
/// Autotuning delays the first steps, so they are not measured.
const WARM_UP_RUNS: usize = 8;
/// Results are kept until their run ends, so their number is limited.
const MOST_REPETITIONS: usize = 16;
const MOST_WARM_UP: Duration = Duration::from_secs(60);

pub struct Bench {
    args: Args,
    /// Start time of the program, until the very first step is done.
    started: Cell<Option<Instant>>,
    pub device: Device,
    /// The same device, with gradients.
    pub autodiff: Device,
}

impl Bench {
    pub fn new(args: Args, device: Device, started: Instant) -> Self {
        let autodiff = device.clone().autodiff();
        Bench {
            args,
            started: Cell::new(Some(started)),
            device,
            autodiff,
        }
    }

    pub fn wanted(&self, name: &str) -> bool {
        let filters = &self.args.filters;
        filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str()))
    }

    fn wait(&self) {
        self.device.sync().expect("the device finishes");
    }

    fn ms_each<R>(&self, times: usize, step: &mut impl FnMut() -> R) -> f64 {
        let start = Instant::now();
        // The result of a step must live until its work is done, or the backend may drop the work.
        let results: Vec<R> = (0..times).map(|_| step()).collect();
        self.wait();
        let ms = 1e3 * start.elapsed().as_secs_f64() / times as f64;
        drop(results);
        ms
    }

    /// Times `step` and prints its result as a line.
    pub fn measure<R>(&self, name: &str, mut step: impl FnMut() -> R) {
        let start = Instant::now();
        self.ms_each(1, &mut step);
        let first_step_s = self
            .started
            .take()
            .map(|started| started.elapsed().as_secs_f64());
        let (mut times, mut warm_ups) = (1, 1);
        while (warm_ups < WARM_UP_RUNS || start.elapsed() < WARM_UP)
            && (warm_ups < 2 || start.elapsed() < MOST_WARM_UP)
        {
            let wanted = 1e3 * RUN_SECONDS / self.ms_each(times, &mut step);
            times = (wanted.ceil() as usize).clamp(1, (times * 8).min(MOST_REPETITIONS));
            warm_ups += 1;
        }
        let runs = self.args.runs;
        let mut ms: Vec<f64> = (0..runs).map(|_| self.ms_each(times, &mut step)).collect();
        ms.sort_by(f64::total_cmp);
        let mut line = serde_json::json!({
            "peer": format!("burn 0.22, {}", self.args.backend),
            "workload": name,
            "median_ms": median(&ms),
            "min_ms": ms[0],
            "max_ms": ms[runs - 1],
            "runs": runs,
        });
        if let Some(seconds) = first_step_s {
            line["first_step_s"] = seconds.into();
        }
        println!("{line}");
    }

    /// Times `function` of a random tensor of `shape` with its gradient.
    pub fn with_gradient<const D: usize, const E: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        function: impl Fn(Tensor<D>) -> Tensor<E>,
    ) {
        if self.wanted(name) {
            let x = uniform(shape, &self.autodiff).require_grad();
            self.measure(name, || {
                let y = function(x.clone());
                // The gradient of the sum of all elements of `y`: the upstream gradient is all ones.
                let grads = y.backward();
                (y, x.grad(&grads))
            });
        }
    }
}

fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[half]
    } else {
        (sorted[half - 1] + sorted[half]) / 2.0
    }
}

pub fn uniform<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-0.5, 0.5), device)
}

/// The indices below `bound`, in turn.
pub fn indices<const D: usize>(shape: [usize; D], bound: i32, device: &Device) -> Tensor<D, Int> {
    let count = shape.iter().product::<usize>() as i32;
    let values: Vec<i32> = (0..count).map(|n| n % bound).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
