//! The adapter's peak rates, measured by the kernels under `shaders/bench` in the same run as the workloads.

use super::measure::{Bench, Effort};
use super::{Clock, Cost, Roof};
use crate::error::Result;
use crate::gpu::{Gpu, Store};
use crate::plan::{Launch, Launches, Plan, Step, Target, TextureReads};
use crate::tensor::TensorType;
use std::time::Duration;

/// Elements that the bandwidth kernels stream: 64 MiB, larger than most caches.
const STREAMED: usize = 16 << 20;
/// Elements that a workgroup of `shaders/bench/copy.wgsl` copies.
const COPIED: usize = 4 * 256;
/// Elements that a workgroup of `shaders/bench/read.wgsl` reads; the next constant is what it writes.
const STRETCH: usize = 4 * 1024;
const SUMS: usize = 4 * 64;
/// Constants of `shaders/bench/multiply_add.wgsl`.
const ROUNDS: usize = 512;
const FLOPS_PER_ROUND: usize = 2 * 96;
const INVOCATIONS: usize = 64;
/// The multiply-add kernel gets more workgroups until it takes this long or reaches the maximum.
const ARITHMETIC_MS: f64 = 5.0;
const MOST_WORKGROUPS: usize = 1 << 16;
/// The ceiling is the fastest of these runs.
const EFFORT: Effort = Effort {
    runs: 7,
    time: Duration::ZERO,
};

/// Bandwidth of one kind of access.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bandwidth {
    /// Kind of access.
    pub name: &'static str,
    /// Billions of bytes per second.
    pub gb_per_s: f64,
}

/// Peak rates of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceilings {
    /// Multiply-adds in registers, each counted as two operations, in billions of operations per second.
    pub gflops: f64,
    /// Bandwidth of kernels that copy and of kernels that only read, through buffers and, if the planner uses them,
    /// through texture views.
    pub bandwidths: Vec<Bandwidth>,
    /// How single launches are timed on this adapter.
    pub clock: Clock,
}

impl Ceilings {
    /// Measures `gpu`. This takes a few seconds.
    ///
    /// # Errors
    /// If the adapter fails.
    pub fn measure(gpu: &Gpu) -> Result<Ceilings> {
        let (gflops, clock) = arithmetic(gpu)?;
        let mut bandwidths = Vec::new();
        for (reads, plan) in stream_plans(&gpu.target)? {
            let mut bench = Bench::of_plan(gpu, plan, &Store::new(), Vec::new())?;
            let launches = (0..bench.plan.steps.len())
                .filter(|&step| matches!(bench.plan.steps[step], Step::Launch(_)))
                .collect::<Vec<_>>();
            for (step, name) in launches.into_iter().zip(reads) {
                let cost = Cost::of_step(&bench.plan, &bench.plan.steps[step]);
                let gb_per_s = cost.gb_per_s(bench.time_step(step, EFFORT)?.min_ms());
                bandwidths.push(Bandwidth { name, gb_per_s });
            }
        }
        Ok(Ceilings {
            gflops,
            bandwidths,
            clock,
        })
    }

    /// The ceilings that workloads are compared with: the arithmetic rate and the largest bandwidth.
    pub fn roof(&self) -> Roof {
        let bandwidths = self.bandwidths.iter().map(|b| b.gb_per_s);
        Roof {
            gflops: self.gflops,
            gb_per_s: bandwidths.fold(0.0, f64::max),
        }
    }
}

/// The arithmetic ceiling, and whether the adapter's timestamps agree with the wall clock during its measurement.
fn arithmetic(gpu: &Gpu) -> Result<(f64, Clock)> {
    let mut workgroups = 64;
    loop {
        let plan = arithmetic_plan(&gpu.target, workgroups)?;
        let mut bench = Bench::of_plan(gpu, plan, &Store::new(), Vec::new())?;
        let ms = bench.time_step(0, EFFORT)?.min_ms();
        if ms >= ARITHMETIC_MS || workgroups >= MOST_WORKGROUPS {
            let cost = Cost::of_step(&bench.plan, &bench.plan.steps[0]);
            return Ok((cost.gflops(ms).unwrap_or(0.0), bench.clock()?));
        }
        workgroups *= 4;
    }
}

/// Two launches of the multiply-add kernel, each with its own span: timestamps that are not taken around the launches
/// can't add up to the time of the wall clock.
fn arithmetic_plan(target: &Target, workgroups: usize) -> Result<Plan> {
    let mut launches = Launches::new();
    let sums = TensorType::f32([workgroups * INVOCATIONS * 4]);
    for label in ["multiply-adds", "multiply-adds again"] {
        let out = launches.temporary(&sums, label);
        launches.push(
            Launch::new("bench/multiply_add")
                .write("out", out)
                .constant("ROUNDS", ROUNDS as u32)
                .param("scale", 0.5_f32)
                .param("shift", 0.25_f32)
                .workgroups(workgroups as u64)
                .flops((workgroups * INVOCATIONS * ROUNDS * FLOPS_PER_ROUND) as u64),
        );
    }
    launches.plan(target)
}

/// A plan that copies and then reads, for each way in which kernels may read on `target`, with the names of its two
/// launches.
fn stream_plans(target: &Target) -> Result<Vec<([&'static str; 2], Plan)>> {
    let plan = |texture_reads| {
        let mut launches = Launches::new();
        let ty = TensorType::f32([STREAMED]);
        let x = launches.temporary(&ty, "x");
        let copy = launches.temporary(&ty, "a copy of x");
        let loads = STREAMED as u64 / 4;
        launches.push(
            Launch::new("bench/copy")
                .read("x", x, loads)
                .write("out", copy)
                .workgroups((STREAMED / COPIED) as u64),
        );
        let workgroups = STREAMED / STRETCH;
        let sums = launches.temporary(&TensorType::f32([workgroups * SUMS]), "sums of x");
        launches.push(
            Launch::new("bench/read")
                .read("x", x, loads)
                .write("out", sums)
                .workgroups(workgroups as u64),
        );
        launches.plan(&Target {
            texture_reads,
            ..target.clone()
        })
    };
    let mut plans = vec![(["copy", "read"], plan(TextureReads::Never)?)];
    if target.texture_reads != TextureReads::Never {
        let names = ["copy through a texture view", "read through a texture view"];
        plans.push((names, plan(TextureReads::Always)?));
    }
    Ok(plans)
}

/// Every plan that measures an adapter like `target`, for tests of the shaders.
///
/// # Errors
/// As [`Plan::new`].
pub fn ceiling_plans(target: &Target) -> Result<Vec<Plan>> {
    let streams = stream_plans(target)?.into_iter().map(|(_, plan)| plan);
    Ok(std::iter::once(arithmetic_plan(target, 64)?)
        .chain(streams)
        .collect())
}
