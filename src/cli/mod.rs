//! The command line: arguments, commands and output. Exit codes: 0 success, 1 a check or training failed, 2 usage error.

mod agent;
mod attack;
mod bench;
mod card;
mod check;
mod choice;
mod compare;
mod completions;
mod config;
mod data;
mod devices;
mod doctor;
mod environment;
mod environments;
mod eval;
mod explain;
mod export;
mod generate;
mod import;
mod init;
mod interrupt;
mod keys;
mod ledger;
mod membership;
mod models;
mod opened;
mod plain;
mod plan;
mod planned;
mod play;
mod predict;
mod privacy;
mod progress;
mod run;
mod runs;
mod schema;
mod sweep;
mod table;
mod tasks;
mod thresholds;
mod train;
mod tune;
mod verify;
mod view;
mod watch;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use opened::OpenedRun;
use plain::plain;
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tracing_subscriber::EnvFilter;
use wgrad::device::DeviceChoice;
use wgrad::gpu::AdapterChoice;
use wgrad::provenance::{LedgerRecord, LedgerSigner};
use wgrad::run::{RunFolder, RunParts};
use wgrad::settings::{Member, Settings};

/// Train and run neural networks on any GPU, through Vulkan, Metal and DX12.
#[derive(Parser)]
#[command(name = "wgrad", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model; without arguments, a small CNN on the built-in digits
    Train(Box<train::Args>),
    /// Evaluate a trained run on its test set
    Eval(eval::Args),
    /// Fit thresholds by which a trained run decides, one for each group of samples, so that groups are treated more alike
    Thresholds(thresholds::Args),
    /// Predict with a trained run: classify image files, rows of a table or texts, or forecast a series
    Predict(predict::Args),
    /// Show a trained agent in its environment: episodes, a film, a table of what it saw and did
    Play(play::Args),
    /// Explain predictions of a trained model: which pixels, tokens or columns they depend on
    Explain(explain::Args),
    /// Compute the privacy loss of a training with noise, or the noise for a privacy loss
    Privacy(privacy::Args),
    /// Attack a trained classifier of images, and show how accurate it stays
    Attack(attack::Args),
    /// Find out how far a trained classifier reveals which samples it was trained on
    Membership(membership::Args),
    /// Generate text with a trained language model, or images with a trained GAN
    Generate(generate::Args),
    /// Compute the outputs of an ONNX file, a run or a model for given arrays
    Run(run::Args),
    /// Describe an ONNX file, and write a model file that trains it further
    Import(import::Args),
    /// Write the network of a run for other programs
    Export(export::Args),
    /// Write a model card of a run: what it knows of its model, data and figures, with blanks for people to fill in
    Card(card::Args),
    /// Verify where a model comes from: the ledger of a run, its files and its data, and whether training again gives the same bits
    Verify(verify::Args),
    /// Add runs to a ledger that several people share
    Ledger(ledger::Args),
    /// Make keys with which the links of ledgers are signed
    Keys(keys::Args),
    /// List the runs of a folder with their best figures
    Runs(runs::Args),
    /// Train runs with different settings, and find the best ones
    Sweep(sweep::Args),
    /// Compare runs: the settings that differ, their metrics, their curves
    Compare(compare::Args),
    /// Serve a page on this machine that follows runs while they train
    Watch(watch::Args),
    /// Describe a data set and draw a contact sheet of it
    Data(data::Args),
    /// Check on an adapter that all kernels and gradients agree with the CPU reference (with --device cpu, gradients only)
    Check(check::Args),
    /// Time kernels and training steps
    Bench(bench::Args),
    /// List adapters with their limits and features
    Devices(devices::Args),
    /// Test an adapter in less than a minute: kernels, repeats, speed, known faults of its driver
    Doctor(doctor::Args),
    /// List the built-in models, print their files, write initial weights
    Models(models::Args),
    /// List the tasks with the fields that they need and the metrics that they report
    Tasks(tasks::Args),
    /// List the environments in which agents learn, with what they see and do
    Environments(environments::Args),
    /// Print the graph, the launches and the memory of a run, without a GPU
    Plan(plan::Args),
    /// Find the fastest kernels for a model on an adapter and save the choice for later runs
    Tune(tune::Args),
    /// Write a first run file for a data set, with a model for its kind
    Init(init::Args),
    /// Check settings and model files
    Config(config::Args),
    /// Print the JSON schema of run, sweep or model files, with which an editor completes and checks them
    Schema(schema::Args),
    /// Print a script that completes commands and options in a shell
    Completions(completions::CompletionsArgs),
    /// Write manual pages, one for each command
    Man(completions::ManArgs),
}

/// Where to compute. Shared by all commands that compute.
#[derive(clap::Args, Clone, Debug, Default)]
struct DeviceArgs {
    /// Device to compute on [default: that of the run or its settings, else auto]
    #[arg(long, value_parser = choice::device())]
    device: Option<DeviceChoice>,
    /// Adapter to use: its number in `wgrad devices`, or part of its name
    #[arg(long, value_name = "NUMBER|NAME")]
    adapter: Option<String>,
}

impl DeviceArgs {
    /// Overrides the device of `settings` with the options. Naming an adapter implies the device `gpu`.
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
    environment::prepare();
    let filter = EnvFilter::try_from_env("WGRAD_LOG").unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let outcome = match Cli::parse().command {
        Command::Train(args) => train::run(*args),
        Command::Eval(args) => eval::run(args),
        Command::Thresholds(args) => thresholds::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Play(args) => play::run(args),
        Command::Environments(args) => environments::run(args),
        Command::Attack(args) => attack::run(args),
        Command::Membership(args) => membership::run(args),
        Command::Privacy(args) => privacy::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Run(args) => run::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
        Command::Data(args) => data::run(args),
        Command::Check(args) => check::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Devices(args) => devices::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Init(args) => init::run(args),
        Command::Models(args) => models::run(args),
        Command::Tasks(args) => tasks::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Tune(args) => tune::run(args),
        Command::Card(args) => card::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Ledger(args) => ledger::run(args),
        Command::Keys(args) => keys::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Sweep(args) => sweep::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Config(args) => config::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => completions::completions(args),
        Command::Man(args) => completions::man(args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // A reader that closed the pipe, as `head` does, is not an error.
            let pipe = error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe);
            if pipe {
                return ExitCode::SUCCESS;
            }
            let ours = error.downcast_ref::<wgrad::Error>();
            let message = match ours {
                Some(ours) => ours.sentence(),
                None => format!("{error:#}"),
            };
            let message = message.replace('\n', " ");
            if let Some(wgrad::Error::Stopped(_)) = ours {
                let _ = writeln!(std::io::stderr(), "{}", plain(&message));
                return ExitCode::from(interrupt::EXIT_CODE);
            }
            let _ = writeln!(std::io::stderr(), "error: {}", plain(&message));
            let usage = ours.is_some_and(wgrad::Error::is_usage);
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

/// Prints a line of results, text or JSON.
fn print_line(line: impl Display) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", plain(&line.to_string()))
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Prints a note on standard error.
fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "note: {}", plain(&text.to_string()));
}

/// A run's folder as an argument.
#[derive(clap::Args, Clone, Debug)]
struct RunArg {
    /// Folder of the run; for eval and predict also a network file (ONNX, Keras)
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

/// Other runs, whose predictions are averaged with those of a run.
#[derive(clap::Args, Clone, Debug)]
struct WithArg {
    /// Average the predictions with those of another run on the same data, as an ensemble; can be repeated
    #[arg(long, value_name = "RUN", conflicts_with = "lora")]
    with: Vec<PathBuf>,
}

impl WithArg {
    /// The parts of the run `opened` with these `settings` and the weights in the file `path`, together with those of the other runs.
    fn resolve(
        &self,
        opened: &OpenedRun,
        weights: &WeightsArg,
        settings: &Settings,
        path: &Path,
    ) -> wgrad::Result<RunParts> {
        let others = opened.others.iter().chain(&self.with);
        if others.clone().next().is_none() {
            return weights.resolve(settings, path);
        }
        let others = others.map(|path| Member::open(path, weights.last));
        settings.resolve_ensemble(path, &others.collect::<wgrad::Result<Vec<_>>>()?)
    }
}

/// Which weights of a run to use.
#[derive(clap::Args, Clone, Debug)]
struct WeightsArg {
    /// Use the weights of the last epoch instead of the best one
    #[arg(long)]
    last: bool,
    /// Add the low-rank adapters in this file, which were trained on these weights
    #[arg(long, value_name = "FILE")]
    lora: Option<PathBuf>,
}

impl WeightsArg {
    /// The parts of the run with these `settings` and the weights in the file `path`.
    fn resolve(&self, settings: &Settings, path: &Path) -> wgrad::Result<RunParts> {
        match &self.lora {
            Some(lora) => settings.resolve_adapted(path, lora),
            None => settings.resolve_trained(path),
        }
    }

    /// The file with the weights, and the best epoch if they are from it and it is not the last.
    fn path(&self, folder: &RunFolder) -> (PathBuf, Option<u64>) {
        let best = folder.best_epoch().filter(|_| !self.last);
        let epoch = best.filter(|(_, is_last)| !is_last).map(|(epoch, _)| epoch);
        (folder.weights_path(self.last), epoch)
    }

    /// Whether they are the best weights of the run in `folder`, without adapters.
    fn are_best(&self, folder: &RunFolder) -> bool {
        let is_best = match folder.best_epoch() {
            Some((_, is_last)) => is_last || !self.last,
            None => true,
        };
        is_best && self.lora.is_none()
    }

    /// The same as [`WeightsArg::path`], with a note on standard error where the weights are not those of the last epoch.
    fn path_with_note(&self, folder: &RunFolder) -> PathBuf {
        let (path, epoch) = self.path(folder);
        if let Some(epoch) = epoch {
            note(format_args!(
                "using the weights of epoch {epoch}, the best one; --last uses those of the last epoch"
            ));
        }
        path
    }
}

/// Who signs what a command adds to a ledger.
#[derive(clap::Args, Clone, Debug)]
struct SignArg {
    /// Sign what is added to the ledger with the private key in this file, see `wgrad keys`
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
}

impl SignArg {
    /// The key.
    ///
    /// # Errors
    /// If the file holds something else, or others can read it.
    fn read(&self) -> wgrad::Result<Option<Arc<LedgerSigner>>> {
        let signer = self.sign.as_deref().map(LedgerSigner::read);
        Ok(signer.transpose()?.map(Arc::new))
    }

    /// Adds what was done with the run in `folder` to its ledger. A ledger that can't be written, as on a disk that is read only, is a
    /// note: the work itself is done.
    fn record(folder: &RunFolder, record: LedgerRecord, signer: Option<Arc<LedgerSigner>>) {
        if let Err(error) = folder.record_later(record, signer) {
            note(format_args!(
                "this is not in the ledger of the run: {}",
                error.sentence()
            ));
        }
    }
}

/// Whether output files that exist may be replaced.
#[derive(clap::Args, Clone, Copy, Debug)]
struct OverwriteArg {
    /// Replace output files that exist
    #[arg(long)]
    overwrite: bool,
}

impl OverwriteArg {
    /// Checks that `path` may be written.
    ///
    /// # Errors
    /// If it exists and must not be replaced.
    fn check(self, path: &Path) -> wgrad::Result<()> {
        match self.overwrite || path.symlink_metadata().is_err() {
            true => Ok(()),
            false => Err(wgrad::Error::Config(format!(
                "{} already exists; name another file, or replace it with --overwrite",
                path.display()
            ))),
        }
    }
}
