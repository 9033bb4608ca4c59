//! `wgrad eval --calibration` and `--label-issues`: how good a classifier's probabilities are, and which labels they speak against.

use super::groups::{check_task, output};
use super::label_issues::{self, write_csv};
use crate::cli::opened::OpenedRun;
use crate::cli::table::TextTable;
use crate::cli::{WeightsArg, WithArg, note, print_line};
use serde_json::Value;
use std::path::{Path, PathBuf};
use wgrad::Error;
use wgrad::data::{FittedTemperature, Part, Samples};
use wgrad::device::Engine;
use wgrad::run::{Measured, RunFolder, RunParts};
use wgrad::settings::Settings;
use wgrad::tasks::classification::{LOGITS, UNDECIDED, UNSCALED};
use wgrad::tasks::scores::{
    Calibrated, CalibrationReport, IssueSample, Judged, LabelIssues, ListedIssues,
    confident_mistakes,
};
use wgrad::train::Collected;

/// Samples that a page shows of confident mistakes, and of label issues.
const MOST_MISTAKES: usize = 24;
const MOST_ISSUES: usize = 48;

#[derive(clap::Args)]
pub(in crate::cli) struct ProbabilityArgs {
    /// Measure calibration, before and after temperature scaling, and accuracy over coverage
    #[arg(long, conflicts_with = "corrupt")]
    calibration: bool,
    /// With --calibration: keep the temperature in the run, whose predictions and ONNX exports divide logits by it from then on
    #[arg(long, requires = "calibration")]
    save: bool,
    /// List samples that are probably labelled wrong, by confident learning, and write all of them to a file if one is named; RUN may be
    /// a folder of --folds, each of which judges the samples that it was not trained on
    #[arg(long, value_name = "FILE.csv", num_args = 0..=1, require_equals = true, conflicts_with = "corrupt")]
    label_issues: Option<Option<PathBuf>>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Examined {
    calibration: Option<CalibrationReport>,
    issues: Option<ListedIssues>,
    /// The sections of a page; empty without one.
    pub html: String,
}

/// Logits and labels of the samples that a temperature is fitted to.
pub(super) type FitSamples = (Vec<f32>, Vec<u32>);

impl ProbabilityArgs {
    /// The file for label issues, if one is to be written.
    pub(super) fn file(&self) -> Option<&Path> {
        self.label_issues.as_ref()?.as_deref()
    }

    /// Whether probabilities are examined.
    pub(super) fn are_asked(&self) -> bool {
        self.calibration || self.label_issues.is_some()
    }

    /// Whether label issues are listed, and nothing else of probabilities.
    pub(super) fn are_issues_alone(&self) -> bool {
        self.label_issues.is_some() && !self.calibration
    }

    /// Checks that the run at `run` predicts one class for each sample.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn check(&self, settings: &Settings, run: &Path) -> wgrad::Result<()> {
        let what = match self.calibration {
            true => "calibration is judged by",
            false => "wrong labels are found by",
        };
        match self.are_asked() {
            true => check_task(&*settings.named_task()?, run, what),
            false => Ok(()),
        }
    }

    /// Checks that a temperature can be kept in the run `opened`.
    ///
    /// # Errors
    /// If it would be that of other weights or data than its own.
    pub(super) fn check_save(
        &self,
        opened: &OpenedRun,
        (weights, with): (&WeightsArg, &WithArg),
        is_other: bool,
    ) -> wgrad::Result<()> {
        let is_own = !opened.is_temporary() && opened.is_alone(weights, with) && !is_other;
        match self.save && !is_own {
            true => Err(Error::Config(
                "--save keeps a temperature in a run, fitted to its own best weights and data; leave out --data, --with, --last and --lora, \
                 and name the folder of a single run"
                    .to_string(),
            )),
            false => Ok(()),
        }
    }

    /// The predictions for the `validation` part, to which a temperature is fitted, by a model from `parts`; `None` if none is needed.
    ///
    /// # Errors
    /// If the device failed, or as `parts`.
    pub(super) fn predict(
        &self,
        engine: &Engine,
        parts: impl FnOnce() -> wgrad::Result<RunParts>,
        validation: Option<Samples>,
    ) -> wgrad::Result<Option<FitSamples>> {
        let Some(samples) = validation.filter(|part| self.calibration && !part.is_empty()) else {
            return Ok(None);
        };
        let labels = samples.labels().unwrap_or_default().to_vec();
        let mut measured = Measured::evaluation(engine, parts()?, samples)?;
        let (_, _, outputs) = measured.run()?;
        let (logits, _) = own_logits(&outputs)?;
        Ok(Some((logits.to_vec(), labels)))
    }

    /// Examines the probabilities in the `outputs` of `measured`, with a temperature by `fit`; writes the file of label issues, and the
    /// sections of a page if `is_shown`.
    ///
    /// # Errors
    /// If there are too few samples, or the file can't be written.
    pub(super) fn examine(
        &self,
        measured: &mut Measured<'_>,
        outputs: &Collected,
        fit: Option<FitSamples>,
        settings: &Settings,
        is_shown: bool,
    ) -> wgrad::Result<Examined> {
        let mut found = Examined::default();
        if !self.are_asked() {
            return Ok(found);
        }
        let (part, classes) = (settings.data.evaluate, &settings.fitted.classes);
        let labels = measured.samples().labels().unwrap_or_default().to_vec();
        let (logits, width) = predicted_logits(outputs)?;
        if self.calibration {
            let (logits, width) = own_logits(outputs)?;
            let judged = |logits, labels| Judged {
                logits,
                classes: width,
                labels,
            };
            let fit = fit.as_ref();
            let fit = fit.map(|(logits, labels)| judged(logits, labels));
            let report =
                CalibrationReport::of(judged(logits, &labels), fit, part.name(), settings.seed)?;
            report.warning().iter().for_each(note);
            found.html = report.html();
            found.calibration = Some(report);
        }
        if is_shown {
            let judged = Judged {
                logits,
                classes: width,
                labels: &labels,
            };
            let mistakes = confident_mistakes(judged, classes, MOST_MISTAKES);
            let about = format!(
                "Of the {} part, those predicted wrong with the highest confidence",
                part.name()
            );
            let section = measured.sample_section(&mistakes, &about)?;
            if !section.is_empty() {
                found.html += &format!("<h2>Confident mistakes</h2>\n{section}");
            }
        }
        if self.label_issues.is_some() {
            let issues = LabelIssues::of(logits, width, &labels)?;
            let samples = measured.samples();
            let each = issues.issues.iter().map(|issue| IssueSample {
                fold: None,
                index: issue.index,
                name: samples.name(issue.index),
            });
            let listed = ListedIssues {
                samples: each.collect(),
                found: issues,
                classes: classes.clone(),
                part: part.name().to_string(),
            };
            if part == Part::Train {
                note(
                    "the run was trained on these samples, so that their probabilities are too good and wrong labels that it has learned are \
                     missed; train with --folds and name the folder of the folds, or another part",
                );
            }
            self.file()
                .map_or(Ok(()), |path| write_csv(path, &listed))?;
            if is_shown {
                let about = "Those first whose class the model contradicts most clearly";
                found.html += &listed.html();
                found.html += &measured.sample_section(&listed.shown(MOST_ISSUES), about)?;
            }
            found.issues = Some(listed);
        }
        Ok(found)
    }

    /// Keeps the temperature that was `found` in the run's `folder`, if that was asked for.
    ///
    /// # Errors
    /// If it is no minimum, or can't be written.
    pub(super) fn keep(&self, found: &Examined, folder: &RunFolder) -> wgrad::Result<()> {
        let Some(report) = found.calibration.as_ref().filter(|_| self.save) else {
            return Ok(());
        };
        if let Some(warning) = report.warning() {
            return Err(Error::Data(format!("{warning}; it is not kept")));
        }
        let fitted_to = match report.fitted_to {
            "half" => format!("half of the {} part", report.part),
            part => format!("the {part} part"),
        };
        folder
            .clone()
            .lock()?
            .write_temperature(&FittedTemperature {
                temperature: report.temperature,
                fitted_to,
                samples: report.fitted_samples as u64,
            })
    }
}

impl Examined {
    /// Lines of JSON.
    pub(super) fn json_lines(&self) -> Vec<Value> {
        let calibration = self
            .calibration
            .iter()
            .flat_map(CalibrationReport::json_lines);
        let issues = self.issues.iter().flat_map(ListedIssues::json_lines);
        calibration.chain(issues).collect()
    }

    /// Prints everything as text.
    pub(super) fn print(&self) -> anyhow::Result<()> {
        if let Some(report) = &self.calibration {
            print_calibration(report)?;
        }
        self.issues.as_ref().map_or(Ok(()), label_issues::print)
    }
}

/// The logits as the model gives them, and how many a sample has.
fn own_logits(outputs: &Collected) -> wgrad::Result<(&[f32], usize)> {
    output(outputs, UNSCALED).or_else(|_| predicted_logits(outputs))
}

/// The logits by which probabilities are predicted, and how many a sample has.
pub(super) fn predicted_logits(outputs: &Collected) -> wgrad::Result<(&[f32], usize)> {
    output(outputs, UNDECIDED).or_else(|_| output(outputs, LOGITS))
}

fn print_calibration(report: &CalibrationReport) -> anyhow::Result<()> {
    print_line(format_args!(
        "calibration of {} samples of the {} part, with a temperature of {:.4}, fitted to {}:",
        report.own.scores.samples,
        report.part,
        report.temperature,
        report.fitted_in_words()
    ))?;
    let mut table = TextTable::new(["figure", "model", "scaled"].map(String::from));
    for (name, values) in report.rows() {
        let values = values.map(|value| format!("{value:.4}"));
        table.push([name.to_string()].into_iter().chain(values));
    }
    print_table(&table)?;
    for (name, of) in [("confidence", &report.own), ("scaled", &report.scaled)] {
        print_table(&bins(name, of))?;
    }
    let heads = [
        "coverage",
        "accuracy",
        "confidence from",
        "scaled: accuracy",
        "confidence from",
    ];
    let mut table = TextTable::new(heads.map(String::from));
    let scaled = &report.scaled.selective.points;
    for (own, scaled) in report.own.selective.points.iter().zip(scaled) {
        let each = [
            own.accuracy,
            own.threshold,
            scaled.accuracy,
            scaled.threshold,
        ];
        let coverage = format!("{:.0}%", 100.0 * own.coverage);
        table.push([coverage].into_iter().chain(each.map(percent)));
    }
    print_table(&table)
}

/// The bins of a reliability diagram that hold samples.
fn bins(name: &str, of: &Calibrated) -> TextTable {
    let mut table = TextTable::new([name, "samples", "mean", "accuracy"].map(String::from));
    for (place, bin) in of.bins.bins.iter().enumerate() {
        let [from, to] = of.bins.range(place);
        if let (Some(mean), Some(accuracy)) = (bin.mean_confidence(), bin.accuracy()) {
            table.push([
                format!("{:.1}% to {:.1}%", 100.0 * from, 100.0 * to),
                bin.samples.to_string(),
                percent(mean),
                percent(accuracy),
            ]);
        }
    }
    table
}

fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

/// Prints a table below an empty line.
pub(super) fn print_table(table: &TextTable) -> anyhow::Result<()> {
    print_line("")?;
    let lines = table.lines(TextTable::columns());
    lines.iter().try_for_each(print_line)
}
