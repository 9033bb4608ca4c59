//! `wgrad config`

use super::print_line;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::nn::{InputSpec, ModelSpec, Network};
use wgrad::settings::{Settings, SweepSettings};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Check settings, sweep or model files without data: keys, values, and the layers of the models
    Check(CheckArgs),
}

#[derive(clap::Args)]
struct CheckArgs {
    /// Settings, sweep or model files
    #[arg(required = true, value_name = "FILE.toml")]
    files: Vec<PathBuf>,
    /// Print one JSON line per file and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::Check(args) = args.command;
    let mut all_right = true;
    for file in &args.files {
        let name = file.display().to_string();
        let checked = match SweepSettings::is_at(file) {
            true => SweepSettings::read(file).and_then(|sweep| sweep.check()),
            false => Settings::read(file).and_then(|settings| check(&settings)),
        };
        let problem = checked
            .err()
            .map(|error| error.to_string().replace('\n', " "));
        all_right &= problem.is_none();
        match (args.json, &problem) {
            (true, _) => print_line(json!({"file": name, "error": problem}))?,
            (false, None) => print_line(format_args!("{name}: OK"))?,
            // Most messages name the file.
            (false, Some(problem)) if problem.contains(&name) => {
                print_line(format_args!("error: {problem}"))?;
            }
            (false, Some(problem)) => print_line(format_args!("error: {name}: {problem}"))?,
        }
    }
    Ok(match all_right {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(2),
    })
}

/// Checks all that can be checked without data.
fn check(settings: &Settings) -> wgrad::Result<()> {
    settings.check()?;
    if settings.task.name.is_some() {
        settings.named_task()?;
    }
    let models = std::iter::once(&settings.model).chain(settings.models.values());
    // The layers of a model that takes its shape from the data can only be checked with them.
    let is_known = |model: &&ModelSpec| {
        !model.layers.is_empty() && model.all_inputs().all(|input| *input != InputSpec::Auto)
    };
    for model in models.filter(is_known) {
        Network::new(model.clone().with_some_sizes())?;
    }
    Ok(())
}
