//! `wgrad compare`

use super::table::TextTable;
use super::{OverwriteArg, note, print_line};
use std::path::PathBuf;
use std::process::ExitCode;
use wgrad::files::write_whole;
use wgrad::settings::Comparison;

/// Most settings that differ in the text; pages and JSON have all.
const MOST_SETTINGS: usize = 24;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Folders of runs; a cross-validation or a sweep stands for all its runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Also write the comparison with the curves of all runs as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let found = Comparison::of(&args.runs)?;
    if let Some(path) = &args.html {
        args.overwrite.check(path)?;
        write_whole(path, found.page().as_bytes())?;
    }
    if args.json {
        print_line(found.to_json())?;
        return Ok(ExitCode::SUCCESS);
    }
    found.notes.iter().for_each(note);
    let print = |table: &TextTable| -> anyhow::Result<()> {
        let lines = table.lines(TextTable::columns());
        lines.iter().try_for_each(print_line)
    };
    print_runs(&found)?;
    print_line("")?;
    print(&metrics(&found))?;
    print_line("")?;
    if found.settings.is_empty() {
        print_line("all settings are the same")?;
    } else {
        print(&settings(&found))?;
    }
    if let Some(more) = found.settings.len().checked_sub(MOST_SETTINGS + 1) {
        print_line(format_args!(
            "and {} more settings that differ, which --html and --json have",
            more + 1
        ))?;
    }
    if let Some(path) = &args.html {
        print_line(format_args!("wrote {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The runs with their numbers, which are the columns of the tables.
fn print_runs(found: &Comparison) -> anyhow::Result<()> {
    for (number, run) in (1..).zip(&found.runs) {
        let best = run.best.map_or(String::new(), |(epoch, metric)| {
            format!(", best epoch {epoch} by {metric}")
        });
        let epochs = match run.epochs {
            1 => "1 epoch".to_string(),
            epochs => format!("{epochs} epochs"),
        };
        print_line(format_args!(
            "{number}: {}: {}, {epochs}{best}, {:.1} s",
            run.path.display(),
            run.title,
            run.seconds
        ))?;
    }
    Ok(())
}

fn head(first: &str, found: &Comparison) -> TextTable {
    let numbers = (1..=found.runs.len()).map(|number| number.to_string());
    TextTable::new([first.to_string()].into_iter().chain(numbers))
}

/// The metrics, with a mark beside the best values.
fn metrics(found: &Comparison) -> TextTable {
    let mut table = head("metric (* is the best)", found);
    for row in &found.metrics {
        let winners = row.winners();
        let values = row.values.iter().enumerate().map(|(index, value)| {
            let mark = if winners.contains(&index) { "*" } else { "" };
            let text = value.map_or("-".to_string(), |value| row.metric.show(value));
            format!("{mark}{text}")
        });
        table.push([row.title()].into_iter().chain(values));
    }
    table
}

/// The settings that differ.
fn settings(found: &Comparison) -> TextTable {
    let mut table = head("setting", found);
    for row in found.settings.iter().take(MOST_SETTINGS) {
        table.push([row.key.clone()].into_iter().chain(row.shown()));
    }
    table
}
