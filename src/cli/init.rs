//! `wgrad init`

use super::{OverwriteArg, choice, note, print_line};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::data::FormatName;
use wgrad::files::write_whole;
use wgrad::settings::Settings;
use wgrad::{Error, Result};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Data to train on: a folder, or a .npz, .csv or .txt file; and the file to write, whose name ends in .toml [default: run.toml]
    #[arg(value_name = "DATA | FILE.toml")]
    paths: Vec<PathBuf>,
    /// Data to train on, as an option
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
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

impl Args {
    /// The data, and the file to write.
    fn data_and_file(&self) -> Result<(String, PathBuf)> {
        let is_file = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "toml");
        let (files, data): (Vec<&PathBuf>, Vec<&PathBuf>) = self.paths.iter().partition(is_file);
        let data = data.into_iter().map(|path| path.display().to_string());
        let data: Vec<String> = data.chain(self.data.clone()).collect();
        let files: Vec<&PathBuf> = files.into_iter().chain(&self.out).collect();
        let wrong = |problem: &str| Err(Error::Config(problem.to_string()));
        match (&data[..], &files[..]) {
            ([data], []) => Ok((data.clone(), PathBuf::from("run.toml"))),
            ([data], [file]) => Ok((data.clone(), (*file).clone())),
            ([], _) => wrong("there are no data to choose for: wgrad init DATA FILE.toml"),
            ([_], _) => wrong("one file is written: give one name that ends in .toml"),
            _ => wrong(
                "one file or folder of data is taken, and the name of the file to write ends in .toml",
            ),
        }
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (data, file) = args.data_and_file()?;
    args.overwrite.check(&file)?;
    // Paths in a file are relative to it.
    let folder = file.parent();
    let beside = folder.is_none_or(|folder| folder.as_os_str().is_empty());
    let source = match Path::new(&data).canonicalize() {
        Ok(path) if !beside => path.display().to_string(),
        _ => data.clone(),
    };
    let own = |settings: &mut Settings| {
        if settings.data.source != data {
            settings.set_source(data.clone());
        }
        settings.data.format = args.format.or(settings.data.format);
        let (target, date) = (args.target.as_deref(), args.date.as_deref());
        settings.data.name_columns(target, date);
        settings.task.name = args.task.clone().or(settings.task.name.take());
        settings.assign(&args.set)
    };
    let chosen = Settings::default().choose(&own)?;
    chosen.notes.iter().for_each(note);
    write_whole(&file, chosen.run_file(&source)?.as_bytes())?;
    let about = chosen.about();
    if args.json {
        print_line(json!({"file": file, "about": about, "chosen": chosen.settings.chosen}))?;
    } else {
        let file = file.display();
        print_line(format_args!(
            "{about}\n{}\nwrote {file}; train it with: wgrad train {file}",
            chosen.settings.chosen.as_deref().unwrap_or_default()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
