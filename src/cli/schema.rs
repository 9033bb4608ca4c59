//! `wgrad schema`

use super::{OverwriteArg, print_line};
use clap::ValueEnum;
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::files::write_whole;
use wgrad::settings::{model_schema, run_schema, sweep_schema};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Files that the schema describes
    #[arg(value_enum, default_value = "run")]
    files: Files,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
}

#[derive(Clone, Copy, ValueEnum)]
enum Files {
    /// Run files
    Run,
    /// Model files
    Model,
    /// Settings of sweeps
    Sweep,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let schema = match args.files {
        Files::Run => run_schema(),
        Files::Model => model_schema(),
        Files::Sweep => sweep_schema(),
    };
    let text = serde_json::to_string_pretty(&schema)?;
    match args.out {
        None => print_line(text)?,
        Some(path) => {
            args.overwrite.check(&path)?;
            write_whole(&path, format!("{text}\n").as_bytes())?;
            let beside = if path.is_relative() { "./" } else { "" };
            let shown = path.display();
            print_line(format_args!(
                "wrote {shown}; name it in the first line of a file: #:schema {beside}{shown}"
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
