//! `wgrad runs`

use super::print_line;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;
use wgrad::run::Monitor;
use wgrad::settings::Settings;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Folder of run folders
    #[arg(value_name = "DIR", default_value = "runs")]
    folder: PathBuf,
    /// Print one JSON line per run and nothing else
    #[arg(long)]
    json: bool,
}

/// A run in the list.
struct Listed {
    path: PathBuf,
    title: String,
    /// Number of the last finished epoch.
    epochs: u64,
    planned: String,
    /// Whether its length is a number of steps.
    in_steps: bool,
    writing: bool,
    /// The best value of the metric by which epochs are compared: its name, the value, the value as text, the epoch.
    best: Option<(&'static str, f64, String, u64)>,
    changed: SystemTime,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let entries = std::fs::read_dir(&args.folder)
        .map_err(wgrad::Error::io("read", &args.folder))?
        .flatten();
    let mut runs: Vec<Listed> = entries.filter_map(|entry| listed(&entry.path())).collect();
    runs.sort_by(|a, b| a.changed.cmp(&b.changed).then_with(|| a.path.cmp(&b.path)));
    if runs.is_empty() && !args.json {
        print_line(format_args!(
            "no runs in {}; wgrad train makes one",
            args.folder.display()
        ))?;
    }
    let longest = |text: &dyn Fn(&Listed) -> usize| runs.iter().map(text).max().unwrap_or(0);
    let name = |run: &Listed| run.path.display().to_string();
    let widths = [
        longest(&|run| name(run).chars().count()),
        longest(&|run| run.title.chars().count()),
    ];
    for run in &runs {
        if args.json {
            let best = run.best.as_ref();
            let best = best.map(
                |(name, value, _, epoch)| json!({"metric": name, "value": value, "epoch": epoch}),
            );
            print_line(json!({
                "run": name(run), "title": run.title, "epochs": run.epochs, "planned": run.planned,
                "writing": run.writing, "best": best,
            }))?;
            continue;
        }
        let best = run
            .best
            .as_ref()
            .map_or(String::new(), |(name, _, shown, epoch)| {
                format!("  best {name} {shown} in epoch {epoch}")
            });
        let writing = match run.writing {
            true => "  (training)",
            false => "",
        };
        print_line(format_args!(
            "{:<2$}  {:<3$}  {4}{best}{writing}",
            name(run),
            run.title,
            widths[0],
            widths[1],
            match run.in_steps {
                true => format!("{}, epoch {}", run.planned, run.epochs),
                false => format!("{} of {}", run.epochs, run.planned),
            }
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The run in the folder `path`; `None` if it holds none that can be read.
fn listed(path: &Path) -> Option<Listed> {
    let (folder, settings) = Settings::open_run(path).ok()?;
    let lines = folder.read_metrics().unwrap_or_default();
    let changed = std::fs::metadata(folder.metrics_path())
        .or_else(|_| std::fs::metadata(path))
        .and_then(|found| found.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH);
    Some(Listed {
        title: settings.title(),
        epochs: lines
            .last()
            .and_then(|line| line["epoch"].as_u64())
            .unwrap_or(0),
        planned: match settings.steps {
            Some(steps) => format!("{steps} steps"),
            None => format!("{} epochs", settings.epochs),
        },
        in_steps: settings.steps.is_some(),
        writing: folder.is_locked(),
        best: best(&settings, &lines),
        path: path.to_path_buf(),
        changed,
    })
}

/// The best value so far, as the run recorded it.
fn best(settings: &Settings, lines: &[Value]) -> Option<(&'static str, f64, String, u64)> {
    if settings.is_agent() {
        const RETURN: &str = "mean_return_last_100";
        let line = lines.iter().rfind(|line| line["is_best"] == true)?;
        let value = line[RETURN].as_f64()?;
        return Some((
            RETURN,
            value,
            format!("{value:.2}"),
            line["epoch"].as_u64()?,
        ));
    }
    let task = settings.named_task().ok()?;
    let monitor = Monitor {
        metric: settings.monitor.clone(),
        ..Monitor::default()
    };
    let metric = monitor.metric(&*task)?;
    let line = lines.iter().rfind(|line| line["is_best"] == true)?;
    let value = line[format!("test_{}", metric.name)].as_f64()?;
    let epoch = line["epoch"].as_u64()?;
    Some((metric.name, value, metric.show(value), epoch))
}
