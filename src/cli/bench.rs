//! `wgrad bench`

use super::{DeviceArgs, print_line};
use serde_json::json;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use wgrad::Error;
use wgrad::bench::{Bench, Cost, Effort, Timing, Workload, workloads};
use wgrad::gpu::Gpu;
use wgrad::plan::{Plan, Step};
use wgrad::settings::Device;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only workloads whose name contains one of these
    #[arg(value_name = "WORKLOAD")]
    filters: Vec<String>,
    /// Print the names of the workloads and stop
    #[arg(long)]
    list: bool,
    /// Time every launch of each workload on its own
    #[arg(long)]
    launches: bool,
    /// Runs to take the median of
    #[arg(long, default_value_t = Effort::default().runs)]
    runs: usize,
    /// Go on with more runs for at least this long, for each workload
    #[arg(long, default_value_t = 0.0)]
    seconds: f64,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print JSON lines and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let wanted = wanted(&args.filters)?;
    if args.list {
        for workload in &wanted {
            if args.json {
                print_line(json!({ "workload": workload.name() }))?;
            } else {
                writeln!(io::stdout(), "{}", workload.name())?;
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.device.device == Some(Device::Cpu) {
        return usage("wgrad bench times adapters, not the CPU reference; leave --device cpu out");
    }
    if args.runs == 0 {
        return usage("--runs must be at least 1");
    }
    let Ok(time) = Duration::try_from_secs_f64(args.seconds) else {
        return usage("--seconds must be a number of at least 0");
    };
    let runs = args.runs;
    let effort = Effort { runs, time };
    let gpu = Gpu::open(&args.device.choice())?;
    if !args.json {
        heading(&gpu)?;
        if !args.launches {
            writeln!(
                io::stdout(),
                "{:<40} {:>11} {:>11} {:>11} {:>5} {:>9} {:>8}",
                "workload",
                "median ms",
                "min ms",
                "max ms",
                "runs",
                "GFLOP/s",
                "GB/s"
            )?;
        }
    }
    for workload in &wanted {
        let mut bench = Bench::new(&gpu, &**workload)?;
        if args.launches {
            launches(&gpu, &workload.name(), &mut bench, effort, args.json)?;
        } else {
            let timing = bench.time(effort)?;
            let cost = Cost::of_plan(&bench.plan);
            whole(&gpu, &workload.name(), &timing, cost, args.json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn usage(message: &str) -> anyhow::Result<ExitCode> {
    Err(Error::Config(message.to_string()).into())
}

/// The workloads that `filters` name; all if there are none.
fn wanted(filters: &[String]) -> anyhow::Result<Vec<Box<dyn Workload>>> {
    let all = workloads();
    for filter in filters {
        if !all.iter().any(|w| w.name().contains(filter.as_str())) {
            return Err(Error::Config(format!(
                "no workload is called {filter}; wgrad bench --list names them all"
            ))
            .into());
        }
    }
    let chosen =
        |name: &str| filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str()));
    Ok(all.into_iter().filter(|w| chosen(&w.name())).collect())
}

fn heading(gpu: &Gpu) -> io::Result<()> {
    let info = &gpu.info;
    writeln!(
        io::stdout(),
        "{} ({:?}, {})",
        info.name,
        info.backend,
        info.driver_info
    )
}

/// The line of one workload.
fn whole(gpu: &Gpu, name: &str, timing: &Timing, cost: Cost, json: bool) -> anyhow::Result<()> {
    let median = timing.median_ms();
    if json {
        return print_line(json!({
            "workload": name,
            "adapter": gpu.info.name,
            "median_ms": median,
            "min_ms": timing.min_ms(),
            "max_ms": timing.max_ms(),
            "runs": timing.runs(),
            "gflops": cost.gflops(median),
            "gb_per_s": cost.gb_per_s(median),
        }));
    }
    writeln!(
        io::stdout(),
        "{name:<40} {median:>11.4} {:>11.4} {:>11.4} {:>5} {:>9} {:>8.2}",
        timing.min_ms(),
        timing.max_ms(),
        timing.runs(),
        rate(cost.gflops(median)),
        cost.gb_per_s(median)
    )?;
    Ok(())
}

fn rate(gflops: Option<f64>) -> String {
    gflops.map_or("-".to_string(), |rate| format!("{rate:.2}"))
}

/// What a step of the plan does, and with which kernel.
fn describe(plan: &Plan, step: &Step) -> (String, String) {
    match step {
        Step::Launch(launch) => (launch.label.clone(), launch.shader.name.clone()),
        Step::Copy { to, .. } => (
            plan.values[to.index()].label.clone(),
            "buffer copy".to_string(),
        ),
        Step::Texture(value) => (
            plan.values[value.index()].label.clone(),
            "texture copy".to_string(),
        ),
    }
}

/// The table of a workload's steps, each timed alone, and of the whole. Shares are of the steps' sum.
fn launches(
    gpu: &Gpu,
    name: &str,
    bench: &mut Bench<'_>,
    effort: Effort,
    json: bool,
) -> anyhow::Result<()> {
    let profile = bench.profile(effort)?;
    let ms: Vec<f64> = profile.steps.iter().map(Timing::median_ms).collect();
    let sum: f64 = ms.iter().sum();
    let steps = &bench.plan.steps;
    let mut out = io::stdout().lock();
    if !json {
        writeln!(
            out,
            "{:>4} {:>10} {:>6} {:>9} {:>8}  {:<30} of",
            "step", "ms", "share", "GFLOP/s", "GB/s", "kernel"
        )?;
    }
    for (index, (step, &ms)) in steps.iter().zip(&ms).enumerate() {
        let cost = Cost::of_step(&bench.plan, step);
        let (label, kernel) = describe(&bench.plan, step);
        let share = ms / sum;
        let (gflops, gb_per_s) = (cost.gflops(ms), cost.gb_per_s(ms));
        if json {
            let line = json!({
                "workload": name,
                "adapter": gpu.info.name,
                "step": index,
                "label": label,
                "kernel": kernel,
                "median_ms": ms,
                "share": share,
                "gflops": gflops,
                "gb_per_s": gb_per_s,
            });
            writeln!(out, "{line}")?;
        } else {
            let percent = 100.0 * share;
            let gflops = rate(gflops);
            writeln!(
                out,
                "{index:>4} {ms:>10.4} {percent:>5.1}% {gflops:>9} {gb_per_s:>8.2}  {kernel:<30} {label}"
            )?;
        }
    }
    if !json {
        let views = steps.iter().zip(&ms);
        let views = views.filter(|(step, _)| matches!(step, Step::Texture(_)));
        let copies: f64 = views.map(|(_, ms)| ms).sum();
        let whole = profile.whole.median_ms();
        writeln!(
            out,
            "{name}: {whole:.4} ms; its steps alone add up to {sum:.4} ms, {copies:.4} ms of it texture copies"
        )?;
    }
    Ok(())
}
