//! `wgrad check`

mod junit;

use self::junit::Suite;
use super::{DeviceArgs, OverwriteArg, choice, print_line};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use wgrad::check::{Checks, Extent, Group, check_gradient_rules, check_kernels, open_for_checks};
use wgrad::device::DeviceChoice;
use wgrad::files::write_whole;
use wgrad::gpu::{AdapterChoice, adapters};
use wgrad::graph::Precision;
use wgrad::ops::REGISTRY;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only operations whose name contains this
    #[arg(value_name = "OP")]
    filter: Option<String>,
    /// Of those, only the I-th of N parts, so that N processes check all of them side by side
    #[arg(long, value_name = "I/N")]
    part: Option<Part>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Check all adapters
    #[arg(long, conflicts_with_all = ["adapter", "device"])]
    all: bool,
    /// Precision of matrix products and convolutions; mixed checks the operations that it changes
    #[arg(long, value_parser = choice::precision(), default_value = "float32")]
    precision: Precision,
    /// Check only the first two cases of each kernel: one that reads through texture views, and one that does not
    #[arg(long)]
    quick: bool,
    /// Write the rows to a JUnit XML file, too, which CI services show as tests
    #[arg(long, value_name = "FILE.xml")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    /// Seed of the random cases
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON lines and nothing else
    #[arg(long)]
    json: bool,
}

/// One of `of` parts of the operations: every `of`-th from number `index` on, which counts from 1.
#[derive(Clone, Copy, Debug)]
struct Part {
    index: usize,
    of: usize,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Part, String> {
        let numbers = text.split_once('/');
        let numbers = numbers.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, of)) if (1..=of).contains(&index) => Ok(Part { index, of }),
            _ => Err("a part is I/N with I from 1 to N, for example 1/4".to_string()),
        }
    }
}

impl Part {
    /// Whether the operation with this number in the registry is in the part.
    fn contains(self, number: usize) -> bool {
        number % self.of == self.index - 1
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.junit {
        args.overwrite.check(path)?;
    }
    let choices = match args.device.device {
        Some(DeviceChoice::Cpu) => Vec::new(),
        // Without any adapter, adapter 0 is the one that is missing.
        _ if args.all => (0..adapters()?.len().max(1))
            .map(AdapterChoice::Number)
            .collect(),
        _ => vec![args.device.choice()],
    };
    let named = |name: &str| {
        args.filter
            .as_deref()
            .is_none_or(|part| name.contains(part))
    };
    if !REGISTRY.iter().any(|op| named(op.name)) {
        let names: Vec<_> = REGISTRY.iter().map(|op| op.name).collect();
        let asked = args.filter.unwrap_or_default();
        return Err(wgrad::Error::Config(format!(
            "no operation has \"{asked}\" in its name; there are {}",
            names.join(", ")
        ))
        .into());
    }
    let names: Vec<&str> = REGISTRY
        .iter()
        .map(|op| op.name)
        .filter(|name| named(name))
        .collect();
    let in_part = |number: usize| args.part.is_none_or(|part| part.contains(number));
    let wanted = |name: &str| names.iter().position(|n| *n == name).is_some_and(in_part);
    let mut table = Table {
        json: args.json,
        ..Table::default()
    };
    let seed = args.seed;
    // The rules of gradients know no precision.
    if args.precision == Precision::Float32 {
        table.head("gradients against finite differences in f64, on the CPU")?;
        let mut printed = Ok(());
        check_gradient_rules(seed, wanted, |group| table.row(None, &group, &mut printed))?;
        printed?;
    }
    for choice in choices {
        let gpus = open_for_checks(&choice)?;
        let Some(gpu) = gpus.first() else { continue };
        let info = &gpu.info;
        table.head(&format!(
            "kernels against the CPU reference on {} ({:?}, {})",
            info.name, info.backend, info.driver_info
        ))?;
        let mut printed = Ok(());
        let checks = Checks {
            precision: args.precision,
            seed,
            extent: match args.quick {
                true => Extent::Quick,
                false => Extent::All,
            },
        };
        check_kernels(&gpus, &gpu.target, checks, wanted, |group| {
            table.row(Some(&info.name), &group, &mut printed);
        })?;
        printed?;
    }
    table.end()?;
    if let Some(path) = &args.junit {
        write_whole(path, &junit::text(&table.suites)?)?;
    }
    Ok(if table.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[derive(Default)]
struct Table {
    json: bool,
    rows: usize,
    failed: usize,
    cases: usize,
    suites: Vec<Suite>,
}

impl Table {
    fn head(&mut self, title: &str) -> anyhow::Result<()> {
        self.suites.push(Suite::new(title));
        if self.json {
            return Ok(());
        }
        print_line(title)?;
        print_line(format_args!(
            "  {:<24} {:<9} {:<18} {:>5}  {:>11}  {:>9}",
            "op", "pass", "variant", "cases", "worst error", "tolerance"
        ))
    }

    /// Prints a row, unless one before could not be `printed`.
    fn row(&mut self, adapter: Option<&str>, g: &Group, printed: &mut anyhow::Result<()>) {
        self.rows += 1;
        self.cases += g.cases;
        self.failed += usize::from(!g.ok);
        if let Some(suite) = self.suites.last_mut() {
            suite.groups.push(g.clone());
        }
        if printed.is_ok() {
            *printed = self.print(adapter, g);
        }
    }

    fn print(&self, adapter: Option<&str>, g: &Group) -> anyhow::Result<()> {
        if self.json {
            return print_line(json!({
                "op": g.op, "pass": g.pass, "variant": g.variant, "cases": g.cases, "worst_error": g.worst_error,
                "tolerance": g.tolerance, "seconds": g.seconds, "ok": g.ok, "adapter": adapter, "failure": g.failure,
            }));
        }
        let verdict = if g.ok { "ok" } else { "FAILED" };
        print_line(format_args!(
            "  {:<24} {:<9} {:<18} {:>5}  {:>11.1e}  {:>9.1e}  {verdict}",
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
                "{} of {} rows failed; {} cases in all",
                self.failed, self.rows, self.cases
            ))?;
        }
        Ok(())
    }
}
