//! Label issues of `wgrad eval --label-issues` as text and as a CSV file, and those of a folder of folds.

use super::Args;
use super::probabilities::{predicted_logits, print_table};
use crate::cli::opened::OpenedRun;
use crate::cli::table::TextTable;
use crate::cli::{note, print_line};
use std::path::Path;
use std::process::ExitCode;
use wgrad::data::SampleName;
use wgrad::device::Engine;
use wgrad::files::write_whole;
use wgrad::run::{GroupFolder, Measured};
use wgrad::tasks::scores::{IssueSample, LabelIssues, ListedIssues};
use wgrad::{Error, Result};

/// Issues and pairs of classes that are printed.
const SHOWN: usize = 20;
const PAIRS: usize = 10;

/// Writes all issues to the file at `path`.
///
/// # Errors
/// If it can't be written.
pub(super) fn write_csv(path: &Path, listed: &ListedIssues) -> Result<()> {
    let unwritable = |e: csv::Error| Error::Data(format!("the label issues can't be written: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(listed.head()).map_err(unwritable)?;
    for row in listed.rows() {
        writer.write_record(row).map_err(unwritable)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|e| Error::Data(format!("the label issues can't be written: {e}")))?;
    write_whole(path, &bytes)
}

/// Prints a summary, pairs of classes, and the first issues.
pub(super) fn print(listed: &ListedIssues) -> anyhow::Result<()> {
    print_line("")?;
    print_line(listed.summary())?;
    let heads = ["labelled as, probably", "confident", "estimated", "share"];
    let mut table = TextTable::new(heads.map(String::from));
    for pair in listed.found.noise.iter().take(PAIRS) {
        table.push([
            format!(
                "{}, {}",
                listed.class(pair.given),
                listed.class(pair.suggested)
            ),
            pair.counted.to_string(),
            format!("{:.1}", pair.estimated),
            format!("{:.2}%", 100.0 * pair.rate),
        ]);
    }
    if !listed.found.noise.is_empty() {
        print_table(&table)?;
    }
    let heads = ["sample", "given", "", "suggested", "", "margin"];
    let mut table = TextTable::new(heads.map(String::from));
    for (issue, sample) in listed.issues().take(SHOWN) {
        let percent = |p: f64| format!("{:.1}%", 100.0 * p);
        table.push([
            named(sample),
            listed.class(issue.given),
            percent(issue.given_probability),
            listed.class(issue.suggested),
            percent(issue.suggested_probability),
            format!("{:.3}", issue.margin),
        ]);
    }
    match listed.found.issues.is_empty() {
        true => Ok(()),
        false => print_table(&table),
    }
}

/// The name of a sample, with its fold.
fn named(sample: &IssueSample) -> String {
    match sample.fold {
        Some(fold) => format!("fold {fold}: {}", sample.name),
        None => sample.name.to_string(),
    }
}

/// The samples of all folds, each with the prediction of the fold that was not trained on it.
#[derive(Default)]
struct HeldOut {
    logits: Vec<f32>,
    width: usize,
    labels: Vec<u32>,
    names: Vec<(usize, usize, SampleName)>,
    classes: Vec<String>,
}

/// Label issues of all samples of the folds in `group`, by the probabilities of the folds that were not trained on them.
///
/// # Errors
/// If other things are asked for, or a fold is missing or can't be evaluated.
pub(super) fn of_folds(args: &Args, group: &GroupFolder) -> anyhow::Result<ExitCode> {
    let is_more = args.data.is_some()
        || args.part.is_some()
        || args.outputs.is_some()
        || args.html.is_some()
        || args.groups.are_compared()
        || !args.with.with.is_empty();
    if is_more || !args.probabilities.are_issues_alone() {
        return Err(Error::Config(format!(
            "{} is a folder of folds, of which --label-issues lists wrong labels; leave out --calibration, --data, --part, --outputs, \
             --html, --groups and --with, or name one of its folds",
            group.path.display()
        ))
        .into());
    }
    let mut held_out = HeldOut::default();
    let paths = group.run_paths();
    for (fold, path) in (1..).zip(&paths) {
        let (own, folds) = held_out.add(args, path)?;
        if own != fold || (fold == paths.len() && fold != folds) {
            return Err(Error::Config(format!(
                "{} has runs of {} of {folds} folds; train the others with `wgrad train --resume {0}`",
                group.path.display(),
                paths.len()
            ))
            .into());
        }
    }
    let found = LabelIssues::of(&held_out.logits, held_out.width, &held_out.labels)?;
    let samples = found.issues.iter().filter_map(|issue| {
        let (fold, index, name) = held_out.names.get(issue.index)?;
        Some(IssueSample {
            fold: Some(*fold),
            index: *index,
            name: name.clone(),
        })
    });
    let listed = ListedIssues {
        samples: samples.collect(),
        classes: held_out.classes,
        part: "held-out".to_string(),
        found,
    };
    if let Some(path) = args.probabilities.file() {
        write_csv(path, &listed)?;
    }
    match args.json {
        true => listed.json_lines().iter().try_for_each(print_line)?,
        false => print(&listed)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl HeldOut {
    /// Adds the samples that the run of a fold at `path` was not trained on. Returns the number of that fold, and how many there are.
    fn add(&mut self, args: &Args, path: &Path) -> Result<(usize, usize)> {
        let opened = OpenedRun::open(path)?;
        let mut settings = opened.settings_for(&args.weights, &args.with);
        let (fold, folds) = (settings.data.fold, settings.data.folds.unwrap_or_default());
        args.device.clone().apply(&mut settings);
        settings.check()?;
        args.probabilities.check(&settings, path)?;
        let dataset = settings.load_data()?;
        let (weights, _) = args.weights.path(&opened.folder);
        let parts = args
            .with
            .resolve(&opened, &args.weights, &settings, &weights)?;
        let (engine, device_note) = Engine::open(
            settings.device,
            settings.adapter.as_deref(),
            opened.folder.recorded_variants()?,
        )?;
        device_note.iter().for_each(note);
        let mut measured = Measured::evaluation(&engine, parts, dataset.test)?;
        let (_, _, outputs) = measured.run()?;
        let (logits, width) = predicted_logits(&outputs)?;
        let samples = measured.samples();
        if !self.names.is_empty()
            && (width != self.width || settings.fitted.classes != self.classes)
        {
            return Err(Error::Config(format!(
                "{} has other classes than the fold before it; train the folds again from the same data",
                path.display()
            )));
        }
        self.logits.extend_from_slice(logits);
        self.labels
            .extend_from_slice(samples.labels().unwrap_or_default());
        let names = (0..samples.len()).map(|index| (fold, index, samples.name(index)));
        self.names.extend(names);
        (self.width, self.classes) = (width, settings.fitted.classes);
        Ok((fold, folds))
    }
}
