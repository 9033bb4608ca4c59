//! `wgrad bench`

mod report;
mod tables;

use super::{DeviceArgs, OverwriteArg, choice, print_line};
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use wgrad::Error;
use wgrad::bench::{
    Baseline, Bench, Ceilings, Clock, Cost, DECODING, Effort, Record, Timeline, Workload, decoding,
    roofline, trace, workloads,
};
use wgrad::device::{DeviceChoice, Engine};
use wgrad::files::write_whole;
use wgrad::gpu::Gpu;
use wgrad::graph::Precision;

#[derive(clap::Args)]
#[command(after_help = "\
Times are wall-clock times of finished work. The ceilings (multiply-adds in registers; bytes copied and read) are measured \
on the adapter in the same run, and every workload is compared with the limit that they set.

Examples:
  wgrad bench cnn_train                        two training steps
  wgrad bench matmul conv2d --roofline r.svg   draw all contractions under the adapter's roofline
  wgrad bench cnn_train_b32 --launches         where the time of a step goes
  wgrad bench cnn_train_decoded_b32            how long device and decoders wait for each other, with images from files
  wgrad bench --json > old.json                then, after a change:
  wgrad bench --baseline old.json              what became faster or slower")]
pub(super) struct Args {
    /// Run only workloads whose names contain one of these
    #[arg(value_name = "WORKLOAD")]
    filters: Vec<String>,
    /// Print the names of the workloads and exit
    #[arg(long)]
    list: bool,
    /// Precision of matrix products and convolutions
    #[arg(long, value_parser = choice::precision(), default_value = "float32")]
    precision: Precision,
    /// Number of runs, of which the median is reported
    #[arg(long, value_name = "N", default_value_t = Effort::default().runs)]
    runs: usize,
    /// Repeat each workload for at least this long
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    seconds: f64,
    /// Also time every launch of each workload
    #[arg(long)]
    launches: bool,
    /// Write a timeline of one step of each workload for chrome://tracing or ui.perfetto.dev
    #[arg(long, value_name = "FILE.json")]
    trace: Option<PathBuf>,
    /// Draw the workloads under the adapter's roofline
    #[arg(long, value_name = "FILE.svg")]
    roofline: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    /// Compare with the output of an earlier `wgrad bench --json`
    #[arg(long, value_name = "FILE.json")]
    baseline: Option<PathBuf>,
    /// Make report.json and report.md of what scripts/gpu-report.sh wrote into this folder, and exit
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["filters", "list", "launches", "trace", "roofline", "baseline", "json"])]
    report: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print JSON lines and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &args.report {
        report::write(folder, args.overwrite)?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = wanted(&args.filters)?;
    let decodes = chosen(&args.filters, DECODING);
    if args.list {
        let names = wanted.iter().map(|workload| workload.name());
        for name in names.chain(decodes.then(|| DECODING.to_string())) {
            if args.json {
                print_line(json!({ "workload": name }))?;
            } else {
                print_line(name)?;
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let effort = effort(&args)?;
    // All arguments are checked before minutes are spent on measuring.
    let baseline = args.baseline.as_deref().map(Baseline::read).transpose()?;
    for (file, ending) in [(&args.roofline, "svg"), (&args.trace, "json")] {
        if let Some(path) = file {
            check_output(path, ending)?;
            args.overwrite.check(path)?;
        }
    }
    let gpu = Gpu::open(&args.device.choice())?;
    let ceilings = Ceilings::measure(&gpu)?;
    tables::ceilings(&gpu, &ceilings, args.json)?;
    let mut session = Session {
        gpu: &gpu,
        ceilings: &ceilings,
        effort,
        args: &args,
        baseline: baseline.as_ref(),
        records: Vec::new(),
        timelines: Vec::new(),
    };
    let suits = |w: &dyn Workload| {
        !w.needs_gpu() || !gpu.target.software || args.filters.contains(&w.name())
    };
    for workload in wanted.iter().filter(|w| suits(&***w)) {
        session.measure(&**workload)?;
    }
    session.finish()?;
    let is_named = args.filters.iter().any(|filter| filter == DECODING);
    if decodes && (!gpu.target.software || is_named) {
        let adapter = args.device.adapter.as_deref();
        let (engine, _) = Engine::open(DeviceChoice::Gpu, adapter, None)?;
        tables::decoding(&decoding(&engine, args.precision)?, args.json)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn usage<T>(message: impl Into<String>) -> anyhow::Result<T> {
    Err(Error::Config(message.into()).into())
}

fn effort(args: &Args) -> anyhow::Result<Effort> {
    if args.device.device == Some(DeviceChoice::Cpu) {
        return usage("wgrad bench times adapters, not the CPU reference; leave out --device cpu");
    }
    if args.runs == 0 {
        return usage("--runs must be at least 1");
    }
    let Ok(time) = Duration::try_from_secs_f64(args.seconds) else {
        return usage("--seconds must be a number of at least 0");
    };
    let runs = args.runs;
    Ok(Effort { runs, time })
}

/// The workloads that match `filters`; all if there are none.
fn wanted(filters: &[String]) -> anyhow::Result<Vec<Box<dyn Workload>>> {
    let all = workloads();
    for filter in filters {
        let mut names = all.iter().map(|w| w.name()).chain([DECODING.to_string()]);
        if !names.any(|name| name.contains(filter.as_str())) {
            return usage(format!(
                "there is no workload named {filter}; see wgrad bench --list"
            ));
        }
    }
    let wanted = all.into_iter().filter(|w| chosen(filters, &w.name()));
    Ok(wanted.collect())
}

/// Whether `filters` choose the workload `name`: all workloads if there are none.
fn chosen(filters: &[String], name: &str) -> bool {
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}

/// Fails if `path` does not end in `ending`, or can't become a file.
fn check_output(path: &Path, ending: &str) -> anyhow::Result<()> {
    let shown = path.display();
    if path.extension().is_none_or(|e| e != ending) {
        return usage(format!(
            "{shown} must end in .{ending}, the format of the file"
        ));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let why = io::Error::new(io::ErrorKind::NotFound, "there is no such folder");
        return Err(Error::io("write", path)(why).into());
    }
    if path.is_dir() {
        return usage(format!("{shown} is a folder; name a file"));
    }
    Ok(())
}

/// A run of the command, with what it has measured so far.
struct Session<'a> {
    gpu: &'a Gpu,
    ceilings: &'a Ceilings,
    effort: Effort,
    args: &'a Args,
    baseline: Option<&'a Baseline>,
    records: Vec<Record>,
    timelines: Vec<Timeline>,
}

impl Session<'_> {
    /// Measures a workload and prints its line, after those of its launches if requested.
    fn measure(&mut self, workload: &dyn Workload) -> anyhow::Result<()> {
        let (name, roof, json) = (workload.name(), self.ceilings.roof(), self.args.json);
        let mut bench = Bench::new(self.gpu, workload, self.args.precision)?;
        let timing = if self.args.launches || self.args.trace.is_some() {
            let profile = bench.profile(self.effort, self.ceilings.clock)?;
            if self.args.launches {
                tables::launches(self.gpu, &name, &bench.plan, &profile, roof, json)?;
            }
            let timeline = Timeline::new(&name, &bench.plan, &profile);
            self.timelines.push(timeline);
            profile.whole
        } else {
            bench.time(self.effort)?
        };
        let cost = Cost::of_plan(&bench.plan);
        let record = Record {
            precision: self.args.precision,
            ..Record::new(&name, &self.gpu.info.name, &timing, cost, roof)
        };
        let change = self.baseline.and_then(|b| b.change(&record));
        if json {
            tables::record_json(&record, change.as_ref())?;
        } else {
            let first = self.records.is_empty() || self.args.launches;
            tables::record(&record, first)?;
        }
        self.records.push(record);
        Ok(())
    }

    /// Prints the changes since the baseline and writes the requested files.
    fn finish(&self) -> anyhow::Result<()> {
        let (adapter, roof) = (&self.gpu.info.name, self.ceilings.roof());
        if let (Some(baseline), false) = (self.baseline, self.args.json) {
            tables::changes(baseline, &self.records)?;
        }
        if let Some(path) = &self.args.roofline {
            let picture = roofline(adapter, roof, &self.records);
            write_whole(path, picture.as_bytes())?;
        }
        if let Some(path) = &self.args.trace {
            let trace = trace(adapter, roof, &self.timelines);
            write_whole(path, trace.to_string().as_bytes())?;
        }
        if !self.args.json {
            let clock = match self.ceilings.clock {
                Clock::Timestamps => "the adapter's timestamps",
                Clock::Wall => "the wall clock, each launch alone",
            };
            if let Some(path) = &self.args.roofline {
                print_line(format!("roofline: {}", path.display()))?;
            }
            if let Some(path) = &self.args.trace {
                print_line(format!("trace, by {clock}: {}", path.display()))?;
            }
        }
        Ok(())
    }
}
