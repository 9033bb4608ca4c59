//! `wgrad sweep`

use super::progress::{ProgressPrinter, short};
use super::table::TextTable;
use super::{DeviceArgs, interrupt, note, print_line};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use wgrad::data::Part;
use wgrad::device::Engine;
use wgrad::html::plot::significant;
use wgrad::run::{EpochReport, Observer, StepReport};
use wgrad::settings::{
    Prepared, SessionObserver, Sweep, SweepObserver, SweepSettings, SweepSummary, TrialResult,
    TrialStart, value_text, values_text,
};

/// Most trials in the table at the end; the page has all.
const MOST_ROWS: usize = 40;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Settings of the sweep
    #[arg(value_name = "sweep.toml", required_unless_present = "resume")]
    file: Option<PathBuf>,
    /// Data of the runs, as for `wgrad train`
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Set any key of the run file that all trials share; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Folder of the sweep [default: that of the settings, or the next free one under runs]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Resume the sweep in this folder; only device and adapter may differ from before
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["file", "data", "set", "out"])]
    resume: Option<PathBuf>,
    /// Print a JSON line for each trial and one for the best, and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    interrupt::listen()?;
    let sweep = match (&args.resume, &args.file) {
        (Some(path), _) => {
            let device = args.device.clone();
            Sweep::resume(path, |run| device.apply(run))?
        }
        (None, Some(file)) => {
            let mut settings = SweepSettings::read(file)?;
            if let Some(source) = &args.data {
                settings.run.set_source(source.clone());
            }
            args.device.clone().apply(&mut settings.run);
            settings.run.assign(&args.set)?;
            settings.out = args.out.clone().or(settings.out);
            Sweep::begin(settings)?
        }
        (None, None) => return Err(wgrad::Error::Config("name a sweep.toml".to_string()).into()),
    };
    sweep.notes.iter().for_each(note);
    let mut session = Session {
        json: args.json,
        metric: sweep.metric().to_string(),
        trials: sweep.trials().len(),
        progress: ProgressPrinter::new(args.json),
        noted: BTreeSet::new(),
    };
    session.progress.say(&format!(
        "{} trials in {}, compared by {}",
        session.trials,
        sweep.folder.path.display(),
        session.metric
    ));
    let outcome = sweep.train(&mut session);
    session.progress.finish();
    let summary = outcome?;
    match args.json {
        true => {
            let mut line = summary.to_json();
            line.insert("event".to_string(), "best".into());
            print_line(Value::Object(line))?;
        }
        false => print_summary(&summary)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The output of a sweep.
struct Session {
    json: bool,
    metric: String,
    trials: usize,
    progress: ProgressPrinter,
    /// Notes that were printed: they are the same in many runs.
    noted: BTreeSet<String>,
}

impl Observer for Session {
    fn step(&mut self, report: &StepReport) {
        self.progress.step(report);
    }

    fn epoch(&mut self, _: &EpochReport) -> wgrad::Result<()> {
        Ok(())
    }

    fn stops(&self) -> bool {
        self.progress.stops()
    }
}

impl SessionObserver for Session {
    fn opened(&mut self, prepared: &Prepared, engine: &Engine, notes: &[String]) {
        for text in notes.iter().chain(&prepared.notes) {
            if self.noted.insert(text.clone()) {
                self.progress.note(text);
            }
        }
        self.progress.prepare(engine.compilation());
    }

    fn note(&mut self, text: &str) {
        self.progress.note(text);
    }
}

impl SweepObserver for Session {
    fn begins(&mut self, start: &TrialStart<'_>) {
        self.progress.finish();
        self.progress = ProgressPrinter::new(self.json);
        let seed = match start.trial.seeds.len() {
            1 => String::new(),
            _ => format!(" with seed {}", start.seed),
        };
        let until = match start.epochs {
            None => String::new(),
            Some(1) => " for 1 epoch".to_string(),
            Some(epochs) => format!(" for {epochs} epochs"),
        };
        self.progress.say(&format!(
            "training trial {} of {}{seed}{until}: {}",
            start.trial.number,
            start.trials,
            values_text(&start.trial.values)
        ));
    }

    fn trial(&mut self, result: &TrialResult) -> wgrad::Result<()> {
        self.progress.finish();
        if self.json {
            let mut line = result.to_json(&self.metric);
            line.insert("event".to_string(), "trial".into());
            // A closed pipe does not stop the training.
            let _ = print_line(Value::Object(line));
            return Ok(());
        }
        let number = result.trial;
        self.progress.say(&match &result.error {
            Some(error) => format!("trial {number} failed: {error}"),
            None => format!(
                "trial {number}: {} {} after {}, {}",
                self.metric,
                result.shown_value().unwrap_or_default(),
                match result.epochs() {
                    1 => "1 epoch".to_string(),
                    epochs => format!("{epochs} epochs"),
                },
                short(Duration::from_secs_f64(result.seconds().clamp(0.0, 1e9)))
            ),
        });
        Ok(())
    }
}

/// Prints the trials as a table, the best one, and where the results are.
fn print_summary(summary: &SweepSummary) -> anyhow::Result<()> {
    let ends = [summary.metric.as_str(), "epochs", "steps", "seconds"];
    let head = ["trial"].into_iter().map(String::from);
    let keys = summary.keys.iter().cloned();
    let mut table = TextTable::new(head.chain(keys).chain(ends.map(String::from)));
    for result in summary.results.iter().take(MOST_ROWS) {
        let values = result.values.iter().map(|(_, value)| value_text(value));
        let figures = match result.shown_value() {
            Some(value) => [
                value,
                result.epochs().to_string(),
                result.steps().to_string(),
                significant(result.seconds(), 2),
            ],
            None => ["failed", "", "", ""].map(String::from),
        };
        table.push(
            [result.trial.to_string()]
                .into_iter()
                .chain(values)
                .chain(figures),
        );
    }
    print_line("")?;
    let lines = table.lines(TextTable::columns());
    lines.iter().try_for_each(print_line)?;
    if let Some(more @ 1..) = summary.results.len().checked_sub(MOST_ROWS) {
        print_line(format_args!(
            "and {more} more in {}",
            summary.page_path().display()
        ))?;
    }
    print_line("")?;
    if let Some(best) = summary.best() {
        let run = best.best_run().map(|run| run.path.display().to_string());
        print_line(format_args!(
            "best: trial {}, {} {} of the {} part, with {}; run in {}",
            best.trial,
            summary.metric,
            best.shown_value().unwrap_or_default(),
            summary.part.name(),
            values_text(&best.values),
            run.unwrap_or_default()
        ))?;
    }
    print_line(format_args!(
        "settings in {}, picture in {}",
        summary.best_path().display(),
        summary.page_path().display()
    ))?;
    // What is chosen by a part looks better there than it is.
    if summary.part == Part::Test {
        print_line(
            "the trials were compared on the test part, where the best one looks a little better than it is; data.validation_share = 0.1 \
             with data.evaluate = \"validation\" compares them on other samples",
        )?;
    }
    Ok(())
}
