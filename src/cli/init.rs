//! `wgrad init`

use super::{OverwriteArg, choice, print_line};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::data::FormatName;
use wgrad::files::write_whole;
use wgrad::settings::{DataSettings, Settings};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Data to train on: a folder, or a .npz, .csv or .txt file
    #[arg(long, value_name = "DIR")]
    data: String,
    /// File to write
    #[arg(value_name = "FILE.toml", default_value = "run.toml")]
    file: PathBuf,
    /// Format of the data [default: detected]
    #[arg(long, value_parser = choice::format())]
    format: Option<FormatName>,
    /// Tables: the column to predict
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Task, see `wgrad tasks` [default: the first one that fits the data]
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    /// Print a JSON line and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    args.overwrite.check(&args.file)?;
    // Paths in a file are relative to it.
    let beside = args
        .file
        .parent()
        .is_none_or(|folder| folder.as_os_str().is_empty());
    let source = match Path::new(&args.data).canonicalize() {
        Ok(path) if !beside => path.display().to_string(),
        _ => args.data,
    };
    let mut settings = Settings {
        data: DataSettings {
            source,
            format: args.format,
            target: args.target,
            ..DataSettings::default()
        },
        ..Settings::default()
    };
    settings.task.name = args.task;
    let (text, about) = settings.first_run_file()?;
    write_whole(&args.file, text.as_bytes())?;
    let file = args.file.display();
    if args.json {
        print_line(json!({"file": args.file, "about": about}))?;
    } else {
        print_line(format_args!(
            "{about}\nwrote {file}; train it with: wgrad train {file}"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
