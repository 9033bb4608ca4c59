//! The command line: what is asked, run and told. Exit codes: 0 good, 1 the check or the training failed, 2 usage.

mod bench;
mod check;
mod choice;
mod data;
mod devices;
mod eval;
mod generate;
mod interrupt;
mod models;
mod plan;
mod planned;
mod predict;
mod progress;
mod tasks;
mod train;
mod tune;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;
use wgrad::device::DeviceChoice;
use wgrad::gpu::AdapterChoice;
use wgrad::nn::ModelSpec;
use wgrad::run::RunFolder;
use wgrad::settings::Settings;

/// Train and run neural networks on any GPU, through Vulkan, Metal and DX12.
#[derive(Parser)]
#[command(name = "wgrad", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network: with no arguments, a small CNN on built-in digits
    Train(Box<train::Args>),
    /// Measure a trained run on its test set
    Eval(eval::Args),
    /// Classify image files, rows of a table or texts with a trained run, or forecast a series
    Predict(predict::Args),
    /// Write text with a run that learned from a text, or draw pictures with one that draws them
    Generate(generate::Args),
    /// Look at data: what it holds, and a contact sheet
    Data(data::Args),
    /// Prove on an adapter that every kernel and every gradient agrees with the CPU reference (with --device cpu, the gradients alone)
    Check(check::Args),
    /// Time kernels and training steps
    Bench(bench::Args),
    /// List adapters with the limits and features that matter
    Devices(devices::Args),
    /// List the built-in models, print their files, write their starting weights
    Models(models::Args),
    /// List the tasks with the fields that they need and the metrics that they report
    Tasks(tasks::Args),
    /// Print the graph, the launches and the memory of a run, without a GPU
    Plan(plan::Args),
    /// Measure which kernels are the fastest for a model on an adapter, for later runs to use
    Tune(tune::Args),
}

/// Where to compute: shared by every command that does.
#[derive(clap::Args, Clone, Debug, Default)]
struct DeviceArgs {
    /// Where to compute [default: what the run or its settings say, else auto]
    #[arg(long, value_parser = choice::device())]
    device: Option<DeviceChoice>,
    /// Adapter to use: its number in `wgrad devices`, or a part of its name
    #[arg(long, value_name = "NUMBER|NAME")]
    adapter: Option<String>,
}

impl DeviceArgs {
    /// Puts what was asked for in place of what `settings` say. Whoever names an adapter wants it used.
    fn apply(self, settings: &mut Settings) {
        if self.adapter.is_some() {
            (settings.device, settings.adapter) = (DeviceChoice::Gpu, self.adapter);
        }
        settings.device = self.device.unwrap_or(settings.device);
    }

    fn choice(&self) -> AdapterChoice {
        let adapter = self.adapter.as_deref();
        adapter.map_or(AdapterChoice::Best, AdapterChoice::from)
    }
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let filter = EnvFilter::try_from_env("WGRAD_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let outcome = match Cli::parse().command {
        Command::Train(args) => train::run(*args),
        Command::Eval(args) => eval::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Data(args) => data::run(args),
        Command::Check(args) => check::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Devices(args) => devices::run(args),
        Command::Models(args) => models::run(args),
        Command::Tasks(args) => tasks::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Tune(args) => tune::run(args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // A reader that went away, as `head` does, is no failure of ours to report.
            let pipe = error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe);
            if pipe {
                return ExitCode::SUCCESS;
            }
            let ours = error.downcast_ref::<wgrad::Error>();
            let message = match ours {
                // Where in the source a node was built means nothing here.
                Some(wgrad::Error::Shape {
                    layer, op, message, ..
                }) => format!("{layer}{op}: {message}"),
                Some(ours) => ours.to_string(),
                None => format!("{error:#}"),
            };
            let message = message.replace('\n', " ");
            if let Some(wgrad::Error::Stopped(_)) = ours {
                let _ = writeln!(std::io::stderr(), "{message}");
                return ExitCode::from(interrupt::EXIT_CODE);
            }
            let _ = writeln!(std::io::stderr(), "error: {message}");
            let usage = ours.is_some_and(wgrad::Error::is_usage);
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

/// Prints a line of results, text or JSON.
fn print_line(line: impl Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Tells the user something beside the results.
fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "note: {text}");
}

/// A run's folder as an argument.
#[derive(clap::Args, Clone, Debug)]
struct RunArg {
    /// Folder of the run
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

/// Which weights of a run to use.
#[derive(clap::Args, Clone, Debug)]
struct WeightsArg {
    /// Use the weights of the last epoch, in place of those of the best
    #[arg(long)]
    last: bool,
}

impl WeightsArg {
    /// The file of a run's weights, and the best epoch if they are its and it is not the last.
    fn path(&self, folder: &RunFolder) -> (PathBuf, Option<u64>) {
        match folder.best_epoch().filter(|_| !self.last) {
            Some((epoch, is_last)) => (folder.best_path(), Some(epoch).filter(|_| !is_last)),
            None => (folder.model_path(), None),
        }
    }

    /// The same, with a note on standard error where the weights are not those of the last epoch.
    fn told(&self, folder: &RunFolder) -> PathBuf {
        let (path, epoch) = self.path(folder);
        if let Some(epoch) = epoch {
            note(format_args!(
                "the weights are those of epoch {epoch}, the best one; --last takes those of the last"
            ));
        }
        path
    }
}

/// The settings that `what` names: a settings file, a model's own file, or a built-in model.
fn settings_of(what: &str) -> wgrad::Result<Settings> {
    let path = Path::new(what);
    if what.ends_with(".toml") || path.is_file() {
        return Settings::read(path);
    }
    Ok(Settings {
        model: ModelSpec::preset(what)?,
        ..Settings::default()
    })
}
