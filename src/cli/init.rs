//! `wgrad init`

use super::{OverwriteArg, choice, note, print_line};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::data::FormatName;
use wgrad::files::write_whole;
use wgrad::settings::Settings;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Data to train on: a folder, or a .npz, .csv or .txt file
    #[arg(long, value_name = "DIR")]
    data: String,
    /// File to write
    #[arg(
        value_name = "FILE.toml",
        default_value = "run.toml",
        conflicts_with = "out"
    )]
    file: PathBuf,
    /// File to write, as an option
    #[arg(long, value_name = "FILE.toml")]
    out: Option<PathBuf>,
    /// Format of the data [default: detected]
    #[arg(long, value_parser = choice::format())]
    format: Option<FormatName>,
    /// Tables: the column to predict
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Series: the column of the dates; makes a table a series to forecast
    #[arg(long, value_name = "COLUMN")]
    date: Option<String>,
    /// Task, see `wgrad tasks` [default: the first one that fits the data]
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Set a key of [data], or seed, epochs, steps or batch, for example --set data.horizon=48; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    /// Print a JSON line and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(mut args: Args) -> anyhow::Result<ExitCode> {
    if let Some(out) = args.out.take() {
        args.file = out;
    }
    args.overwrite.check(&args.file)?;
    // Paths in a file are relative to it.
    let beside = args
        .file
        .parent()
        .is_none_or(|folder| folder.as_os_str().is_empty());
    let source = match Path::new(&args.data).canonicalize() {
        Ok(path) if !beside => path.display().to_string(),
        _ => args.data.clone(),
    };
    let own = |settings: &mut Settings| {
        if settings.data.source != args.data {
            settings.set_source(args.data.clone());
        }
        settings.data.format = args.format.or(settings.data.format);
        let (target, date) = (args.target.as_deref(), args.date.as_deref());
        settings.data.name_columns(target, date);
        settings.task.name = args.task.clone().or(settings.task.name.take());
        settings.assign(&args.set)
    };
    let chosen = Settings::default().choose(&own)?;
    chosen.notes.iter().for_each(note);
    write_whole(&args.file, chosen.run_file(&source)?.as_bytes())?;
    let about = chosen.about();
    let file = args.file.display();
    if args.json {
        print_line(json!({"file": args.file, "about": about, "chosen": chosen.settings.chosen}))?;
    } else {
        print_line(format_args!(
            "{about}\n{}\nwrote {file}; train it with: wgrad train {file}",
            chosen.settings.chosen.as_deref().unwrap_or_default()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
