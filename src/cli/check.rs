//! `wgrad check`

use super::{DeviceArgs, print_line};
use serde_json::json;
use std::process::ExitCode;
use wgrad::check::{Group, check_gradients, check_kernels};
use wgrad::gpu::{AdapterChoice, Gpu, adapters};
use wgrad::ops::REGISTRY;
use wgrad::random::Stream;
use wgrad::settings::Device;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only operations whose name contains this
    #[arg(value_name = "OP")]
    filter: Option<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Check every adapter
    #[arg(long, conflicts_with_all = ["adapter", "device"])]
    all: bool,
    /// Seed of the random cases
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON lines and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let choices = match args.device.device {
        Some(Device::Cpu) => Vec::new(),
        // Without adapters the first of them is missed.
        _ if args.all => (0..adapters().len().max(1))
            .map(AdapterChoice::Number)
            .collect(),
        _ => vec![args.device.choice()],
    };
    let wanted = |name: &str| {
        args.filter
            .as_deref()
            .is_none_or(|part| name.contains(part))
    };
    if !REGISTRY.iter().any(|op| wanted(op.name)) {
        let names: Vec<_> = REGISTRY.iter().map(|op| op.name).collect();
        let asked = args.filter.unwrap_or_default();
        return Err(wgrad::Error::Config(format!(
            "no operation has \"{asked}\" in its name; there are {}",
            names.join(", ")
        ))
        .into());
    }
    let mut table = Table {
        json: args.json,
        groups: 0,
        failed: 0,
        cases: 0,
    };
    table.gradient_rules(&wanted, args.seed)?;
    for choice in choices {
        let gpu = Gpu::open(&choice)?;
        table.adapter(&gpu)?;
        let mut printed = Ok(());
        check_kernels(&gpu, args.seed, wanted, |group| {
            let row = table.row(&gpu.info.name, &group);
            if printed.is_ok() {
                printed = row;
            }
        })?;
        printed?;
    }
    table.end()?;
    Ok(if table.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Table {
    json: bool,
    groups: usize,
    failed: usize,
    cases: usize,
}

impl Table {
    /// Gradient rules against differences in f64: needs no adapter.
    fn gradient_rules(&mut self, wanted: &impl Fn(&str) -> bool, seed: u64) -> anyhow::Result<()> {
        let (mut cases, mut failures) = (0, Vec::new());
        for op in REGISTRY.iter().filter(|op| wanted(op.name)) {
            for case in (op.cases)(&mut Stream::new(seed, 1)) {
                if !case.inputs.iter().any(|i| i.differentiable) {
                    continue;
                }
                cases += 1;
                match check_gradients(&case, seed)? {
                    Ok(()) => {}
                    Err(e) => failures.push(format!("{}: {case:?}: {e:?}", op.name)),
                }
            }
        }
        self.cases += cases;
        self.failed += usize::from(!failures.is_empty());
        if self.json {
            return print_line(json!({
                "op": "all", "pass": "gradient rules", "variant": "f64 differences", "cases": cases, "ok": failures.is_empty(),
            }));
        }
        print_line(format_args!(
            "gradient rules against differences in f64: {cases} cases, {} failed",
            failures.len()
        ))?;
        for failure in failures {
            print_line(format_args!("  {failure}"))?;
        }
        Ok(())
    }

    fn adapter(&self, gpu: &Gpu) -> anyhow::Result<()> {
        if !self.json {
            print_line(format_args!(
                "kernels against the CPU reference on {} ({:?}, {})",
                gpu.info.name, gpu.info.backend, gpu.info.driver_info
            ))?;
            print_line(format_args!(
                "  {:<24} {:<9} {:<10} {:>5}  {:>11}  {:>9}",
                "op", "pass", "variant", "cases", "worst error", "tolerance"
            ))?;
        }
        Ok(())
    }

    fn row(&mut self, adapter: &str, g: &Group) -> anyhow::Result<()> {
        self.groups += 1;
        self.cases += g.cases;
        self.failed += usize::from(!g.ok);
        if self.json {
            return print_line(json!({
                "op": g.op, "pass": g.pass, "variant": g.variant, "cases": g.cases, "worst_error": g.worst_error,
                "tolerance": g.tolerance, "ok": g.ok, "adapter": adapter, "failure": g.failure,
            }));
        }
        let verdict = if g.ok { "ok" } else { "FAILED" };
        print_line(format_args!(
            "  {:<24} {:<9} {:<10} {:>5}  {:>11.1e}  {:>9.1e}  {verdict}",
            g.op, g.pass, g.variant, g.cases, g.worst_error, g.tolerance
        ))?;
        if let Some(failure) = &g.failure {
            print_line(format_args!("    {failure}"))?;
        }
        Ok(())
    }

    fn end(&self) -> anyhow::Result<()> {
        if !self.json {
            print_line(format_args!(
                "{} groups, {} cases, {} failed",
                self.groups, self.cases, self.failed
            ))?;
        }
        Ok(())
    }
}
