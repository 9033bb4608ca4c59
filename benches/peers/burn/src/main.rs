//! The workloads of `wgrad bench` in burn: a JSON line each.
//!
//!     peer-burn --backend wgpu|flex [--runs N] [WORKLOAD...]
//!
//! A WORKLOAD chooses those whose names contain it. Times are milliseconds of finished work: every run ends with a wait for
//! the device, and repeats its work for about 20 ms.

mod model;

use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::softmax;
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use model::Cnn;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// As in `wgrad bench`.
const RUN_SECONDS: f64 = 0.02;
const WARM_UP: Duration = Duration::from_millis(300);
/// Autotuning takes a while before the first steps are representative.
const WARM_UP_RUNS: usize = 8;
/// Results are kept until their run ends, so there can't be many.
const MOST_REPETITIONS: usize = 16;
const MOST_WARM_UP: Duration = Duration::from_secs(60);

struct Args {
    backend: String,
    runs: usize,
    filters: Vec<String>,
}

fn args() -> Result<Args, String> {
    let mut parsed = Args {
        backend: "wgpu".to_string(),
        runs: 9,
        filters: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--backend" => parsed.backend = value()?,
            "--runs" => {
                let number = value()?;
                let runs = number.parse().ok().filter(|&runs| runs > 0);
                parsed.runs = runs.ok_or(format!("--runs is a number above 0, not {number}"))?;
            }
            _ if word.starts_with('-') => return Err(format!("there is no option {word}")),
            _ => parsed.filters.push(word),
        }
    }
    Ok(parsed)
}

fn device(backend: &str) -> Result<Device, String> {
    match backend {
        "wgpu" => match Device::wgpu_options().init_with_setup() {
            Ok((device, _)) => Ok(device),
            Err(e) => Err(format!("burn opens no adapter: {e:?}")),
        },
        "flex" => Ok(Device::flex()),
        other => Err(format!("there is no backend {other}, only wgpu and flex")),
    }
}

fn uniform<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-0.5, 0.5), device)
}

fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[half]
    } else {
        (sorted[half - 1] + sorted[half]) / 2.0
    }
}

struct Bench {
    args: Args,
    device: Device,
}

impl Bench {
    fn wanted(&self, name: &str) -> bool {
        let filters = &self.args.filters;
        filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str()))
    }

    fn wait(&self) {
        self.device.sync().expect("the device finishes");
    }

    fn ms_each<R>(&self, times: usize, step: &mut impl FnMut() -> R) -> f64 {
        let start = Instant::now();
        // What a step returns must live until its work is done, or the backend may drop the work.
        let results: Vec<R> = (0..times).map(|_| step()).collect();
        self.wait();
        let ms = 1e3 * start.elapsed().as_secs_f64() / times as f64;
        drop(results);
        ms
    }

    /// Times `step` and prints its line.
    fn measure<R>(&self, name: &str, mut step: impl FnMut() -> R) {
        let (start, mut times, mut warm_ups) = (Instant::now(), 1, 0);
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
        let line = serde_json::json!({
            "peer": format!("burn 0.22, {}", self.args.backend),
            "workload": name,
            "median_ms": median(&ms),
            "min_ms": ms[0],
            "max_ms": ms[runs - 1],
            "runs": runs,
        });
        println!("{line}");
    }

    fn products(&self) {
        for [m, k, n] in [
            [256, 256, 256],
            [512, 512, 512],
            [1024, 1024, 1024],
            [128, 784, 128],
            [8, 4096, 1024],
            [4096, 1024, 8],
        ] {
            let name = format!("matmul_{m}x{k}x{n}");
            if self.wanted(&name) {
                let (a, b) = (uniform([m, k], &self.device), uniform([k, n], &self.device));
                self.measure(&name, || a.clone().matmul(b.clone()));
            }
        }
        for transposed in ["tn", "nt", "tt"] {
            let name = format!("matmul_{transposed}_512x512x512");
            if self.wanted(&name) {
                let side = |is_transposed: bool| {
                    let stored: Tensor<2> = uniform([512, 512], &self.device);
                    if is_transposed { stored.transpose() } else { stored }
                };
                let a = side(transposed.starts_with('t'));
                let b = side(transposed.ends_with('t'));
                self.measure(&name, || a.clone().matmul(b.clone()));
            }
        }
        let name = "matmul_nt_32x128x32x128";
        if self.wanted(name) {
            let a: Tensor<3> = uniform([32, 128, 32], &self.device);
            let b: Tensor<3> = uniform([32, 128, 32], &self.device);
            self.measure(name, || a.clone().matmul(b.clone().swap_dims(1, 2)));
        }
    }

    fn convolutions(&self) {
        let autodiff = self.device.clone().autodiff();
        for [n, c, size, o, k, p, s, g] in [
            [32, 1, 28, 32, 3, 0, 1, 1],
            [32, 32, 13, 64, 3, 0, 1, 1],
            [16, 64, 32, 64, 3, 1, 1, 1],
            [16, 3, 32, 64, 3, 1, 1, 1],
            [16, 64, 32, 64, 1, 0, 1, 1],
            [16, 32, 16, 64, 5, 2, 1, 1],
            [16, 64, 32, 128, 3, 1, 2, 1],
            [16, 64, 32, 64, 3, 1, 1, 64],
        ] {
            let options = || ConvOptions::new([s, s], [p, p], [1, 1], g);
            let mut shape = format!("{n}x{c}x{size}x{size}_to{o}_k{k}_p{p}");
            for (letter, value) in [('s', s), ('g', g)] {
                if value != 1 {
                    shape += &format!("_{letter}{value}");
                }
            }
            let name = format!("conv2d_fwd_{shape}");
            if self.wanted(&name) {
                let x = uniform([n, c, size, size], &self.device);
                let w = uniform([o, c / g, k, k], &self.device);
                self.measure(&name, || conv2d(x.clone(), w.clone(), None, options()));
            }
            let name = format!("conv2d_fwdbwd_{shape}");
            if self.wanted(&name) {
                let x = uniform([n, c, size, size], &autodiff).require_grad();
                let w = uniform([o, c / g, k, k], &autodiff).require_grad();
                let out = (size + 2 * p - k) / s + 1;
                let upstream: Tensor<4> = uniform([n, o, out, out], &autodiff);
                self.measure(&name, || {
                    let y = conv2d(x.clone(), w.clone(), None, options());
                    let grads = (y * upstream.clone()).sum().backward();
                    (x.grad(&grads), w.grad(&grads))
                });
            }
        }
    }

    /// Times `function` and its gradient, weighted by a random upstream gradient of shape `out`.
    fn with_gradient<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        out: [usize; D],
        function: impl Fn(Tensor<D>) -> Tensor<D>,
    ) {
        if self.wanted(name) {
            let autodiff = self.device.clone().autodiff();
            let x = uniform(shape, &autodiff).require_grad();
            let upstream: Tensor<D> = uniform(out, &autodiff);
            self.measure(name, || {
                let y = function(x.clone());
                let grads = (y * upstream.clone()).sum().backward();
                x.grad(&grads)
            });
        }
    }

    fn memory(&self) {
        let (images, pooled) = ([32, 32, 26, 26], [32, 32, 13, 13]);
        self.with_gradient("maxpool2x2_fwdbwd_32x32x26x26", images, pooled, |x| {
            max_pool2d(x, MaxPoolOptions::new([2, 2]))
        });
        self.with_gradient("avgpool2x2_fwdbwd_32x32x26x26", images, pooled, |x| {
            avg_pool2d(x, [2, 2], [2, 2], [0, 0], true, false)
        });
        let rows = [4096, 1024];
        self.with_gradient("softmax_fwdbwd_4096x1024", rows, rows, |x| softmax(x, 1));
        if self.wanted("add_16m") {
            let (a, b): (Tensor<1>, Tensor<1>) = (
                uniform([1 << 24], &self.device),
                uniform([1 << 24], &self.device),
            );
            self.measure("add_16m", || a.clone() + b.clone());
        }
        if self.wanted("sum_16m") {
            let x: Tensor<1> = uniform([1 << 24], &self.device);
            self.measure("sum_16m", || x.clone().sum());
        }
    }

    fn training(&self) {
        let autodiff = self.device.clone().autodiff();
        for batch in [32, 128] {
            let name = format!("cnn_train_b{batch}");
            if !self.wanted(&name) {
                continue;
            }
            let images: Tensor<4> = uniform([batch, 1, 28, 28], &autodiff);
            let labels: Vec<i32> = (0..batch as i32).map(|i| i % 10).collect();
            let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [batch]), &autodiff);
            let mut optimizer = AdamConfig::new().init();
            let mut model = Some(Cnn::new(&autodiff));
            self.measure(&name, || {
                let Some(current) = model.take() else { return };
                let loss = current.loss(images.clone(), labels.clone());
                let gradients = GradientsParams::from_grads(loss.backward(), &current);
                model = Some(optimizer.step(1e-3, current, gradients));
            });
        }
    }
}

fn main() -> ExitCode {
    let ready = args().and_then(|args| {
        let device = device(&args.backend)?;
        Ok(Bench { args, device })
    });
    let bench = match ready {
        Ok(bench) => bench,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    bench.products();
    bench.convolutions();
    bench.memory();
    bench.training();
    ExitCode::SUCCESS
}
