//! `wgrad doctor`

use super::{DeviceArgs, print_line};
use anyhow::Context as _;
use serde_json::json;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wgrad::bench::{Ceilings, workloads};
use wgrad::check::{SelfTest, repeats, self_test};
use wgrad::gpu::{AdapterSummary, Gpu, KnownFault, adapters, known_faults};
use wgrad::host_memory;

/// The training step that is repeated, and how often.
const REPEATED: (&str, usize) = ("cnn_train_b32", 5);
/// Time after which the test of kernels ends.
const LONGEST: Duration = Duration::from_secs(45);

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Seed of the random cases
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print a JSON line and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.device.device == Some(wgrad::device::DeviceChoice::Cpu) {
        let text = "wgrad doctor tests adapters; the CPU reference is what it compares them with"
            .to_string();
        return Err(wgrad::Error::Config(text).into());
    }
    let found = adapters()?;
    if !args.json {
        print_line(machine(&found))?;
    }
    let gpu = Gpu::open(&args.device.choice())?;
    let report = Report::of(&gpu, args.seed)?;
    if args.json {
        print_line(report.line(&gpu))?;
    } else {
        print_line(report.text(&gpu))?;
    }
    Ok(if report.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The program, the machine and its adapters.
fn machine(found: &[AdapterSummary]) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = match host_memory::available() {
        Some(bytes) => format!(
            "{:.1} GiB of memory available",
            bytes as f64 / f64::from(1 << 30)
        ),
        None => "unknown memory".to_string(),
    };
    let mut lines = vec![format!(
        "wgrad {} on {} {}, {cores} processor cores, {memory}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    )];
    lines.extend(found.iter().enumerate().map(|(number, adapter)| {
        format!(
            "adapter {number}: {} ({:?})",
            adapter.info.name, adapter.info.backend
        )
    }));
    lines.join("\n")
}

/// The results of the tests of an adapter.
struct Report {
    kernels: SelfTest,
    seconds: f64,
    repeats: bool,
    ceilings: Ceilings,
    faults: Vec<&'static KnownFault>,
}

impl Report {
    fn of(gpu: &Gpu, seed: u64) -> anyhow::Result<Report> {
        let start = Instant::now();
        let kernels = self_test(gpu, seed, start + LONGEST)?;
        let seconds = start.elapsed().as_secs_f64();
        let all = workloads();
        let repeated = all.iter().find(|w| w.name() == REPEATED.0);
        let workload = repeated.with_context(|| format!("there is no workload {}", REPEATED.0))?;
        let graph = workload.graph()?;
        let variables = workload.variables(&graph)?;
        let repeats = repeats(gpu, &graph, &variables, &workload.scalars(), REPEATED.1)?;
        Ok(Report {
            kernels,
            seconds,
            repeats,
            ceilings: Ceilings::measure(gpu)?,
            faults: known_faults(&gpu.info).collect(),
        })
    }

    fn is_well(&self) -> bool {
        self.kernels.failures.is_empty() && self.repeats
    }

    fn line(&self, gpu: &Gpu) -> serde_json::Value {
        let faults: Vec<&str> = self.faults.iter().map(|fault| fault.advice).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"), "adapter": gpu.info.name, "backend": format!("{:?}", gpu.info.backend),
            "driver": gpu.info.driver, "driver_info": gpu.info.driver_info, "graphs": self.kernels.graphs,
            "left_out": self.kernels.left_out, "failures": self.kernels.failures, "seconds": self.seconds,
            "repeats": self.repeats, "gflops": self.ceilings.gflops, "gb_per_s": self.ceilings.roof().gb_per_s,
            "known_faults": faults, "ok": self.is_well(),
        })
    }

    fn text(&self, gpu: &Gpu) -> String {
        let (test, info) = (&self.kernels, &gpu.info);
        let mut lines = vec![format!(
            "tested: {} ({:?}, {} {})",
            info.name, info.backend, info.driver, info.driver_info
        )];
        lines.push(format!(
            "  kernels: {} of {} graphs agree with the CPU reference, {:.1} s",
            test.graphs - test.failures.len(),
            test.graphs,
            self.seconds
        ));
        lines.extend(test.failures.iter().map(|failure| format!("    {failure}")));
        if test.left_out > 0 {
            lines.push(format!(
                "    {} operations were not reached in {} s",
                test.left_out,
                LONGEST.as_secs()
            ));
        }
        lines.push(format!(
            "  repeats: {} steps of a CNN, trained twice, give {} weights",
            REPEATED.1,
            if self.repeats {
                "the same"
            } else {
                "DIFFERENT"
            }
        ));
        lines.push(format!(
            "  speed: {:.0} GFLOP/s of multiply-adds, {:.1} GB/s of memory",
            self.ceilings.gflops,
            self.ceilings.roof().gb_per_s
        ));
        lines.extend(
            self.faults
                .iter()
                .map(|fault| format!("  known: {}", fault.advice)),
        );
        lines.push(match self.is_well() {
            true => "the adapter works; wgrad check tests all kernels".to_string(),
            false => "results of this adapter are wrong: update its driver, or use --adapter or --device cpu".to_string(),
        });
        lines.join("\n")
    }
}
