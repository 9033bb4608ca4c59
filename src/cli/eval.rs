//! `wgrad eval`

pub(super) mod groups;
mod label_issues;
mod probabilities;

use self::groups::GroupArgs;
use self::probabilities::ProbabilityArgs;
use super::agent::{Evaluated, choice};
use super::opened::OpenedRun;
use super::table::TextTable;
use super::{
    DeviceArgs, OverwriteArg, RunArg, SignArg, WeightsArg, WithArg, choice, note, print_line,
};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use wgrad::agents::Play;
use wgrad::attack::{CorruptedAccuracy, Corruption, SEVERITIES};
use wgrad::data::{Part, Samples, overlap};
use wgrad::device::Engine;
use wgrad::files::write_whole;
use wgrad::html::page_head;
use wgrad::provenance::{EvaluationRecord, LedgerRecord, digest_of_file, figures_of_line};
use wgrad::run::{GroupFolder, GroupKind, Measured};
use wgrad::settings::Settings;
use wgrad::tasks::scores::fairness::{Fairness, fairness_sections};
use wgrad::train::{ImageClassifier, Outputs};

/// Corrupted images that are classified at once.
const CORRUPTED_BATCH: usize = 250;

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("paged").args(["groups", "calibration", "label_issues"]).multiple(true))]
pub(super) struct Args {
    #[command(flatten)]
    run: RunArg,
    /// Evaluate on the test part of another data set
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Part of the data to evaluate on [default: that of the run's settings, else test]
    #[arg(long, value_parser = choice::part())]
    part: Option<Part>,
    /// Write the prediction for each sample to a file: one line of JSON per sample, with its index and its class if it has one
    #[arg(long, value_name = "FILE")]
    outputs: Option<PathBuf>,
    /// Images: also corrupt them in these ways, in five severities each, and report the accuracy; without names, in all ways
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', num_args = 0.., require_equals = true, value_parser = choice::corruption())]
    corrupt: Option<Vec<Corruption>>,
    /// Translations: sequences that the beam search continues for each sentence, 1 for a greedy search [default: task.beam of the run]
    #[arg(long, value_name = "N")]
    beam: Option<u16>,
    /// Agents: number of fresh episodes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    episodes: u32,
    /// Agents: draw actions by their probabilities instead of taking the best ones
    #[arg(long)]
    sample: bool,
    #[command(flatten)]
    groups: GroupArgs,
    #[command(flatten)]
    probabilities: ProbabilityArgs,
    /// With --groups, --calibration or --label-issues: write a page with tables, charts and samples
    #[arg(long, value_name = "FILE", requires = "paged")]
    html: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArg,
    #[command(flatten)]
    with: WithArg,
    #[command(flatten)]
    weights: WeightsArg,
    #[command(flatten)]
    sign: SignArg,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON line and nothing else; with --groups, --calibration and --label-issues, also lines of what these find
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    for path in args
        .outputs
        .as_deref()
        .into_iter()
        .chain(args.html.as_deref())
        .chain(args.probabilities.file())
    {
        args.overwrite.check(path)?;
    }
    let signer = args.sign.read()?;
    if args.probabilities.are_issues_alone()
        && let Some(group) = GroupFolder::open(GroupKind::Folds, &args.run.run)
    {
        return label_issues::of_folds(&args, &group);
    }
    let opened = OpenedRun::open(&args.run.run)?;
    if opened.settings.is_agent() {
        return evaluate_agent(&args, &opened);
    }
    let is_file = opened.is_temporary();
    let folder = &opened.folder;
    let mut settings = opened.settings_for(&args.weights, &args.with);
    if is_file {
        // Those of the data that are named.
        settings.fitted.format = None;
        if args.data.is_none() {
            return Err(wgrad::Error::Config(format!(
                "{} is a network without data; name some with --data",
                args.run.run.display()
            ))
            .into());
        }
    }
    let training = settings.clone();
    let is_other = args.data.is_some();
    args.probabilities
        .check_save(&opened, (&args.weights, &args.with), is_other)?;
    if let Some(data) = args.data {
        // Mean and standard deviation stay those of the training.
        settings.data.source = data;
        settings.data.unsplit = true;
    }
    settings.data.evaluate = args.part.unwrap_or(settings.data.evaluate);
    args.device.apply(&mut settings);
    settings.task.set_beam(args.beam);
    settings.check()?;
    args.groups.apply(&mut settings, &args.run.run)?;
    args.probabilities.check(&settings, &args.run.run)?;
    let mut dataset = settings.load_data()?;
    if is_other && !is_file {
        seen_in_training(training, &dataset.test);
    }
    let (weights, epoch) = args.weights.path(folder);
    let resolved = || {
        args.with
            .resolve(&opened, &args.weights, &settings, &weights)
    };
    let parts = resolved()?;
    let (engine, device_note) = Engine::open(
        settings.device,
        settings.adapter.as_deref(),
        folder.recorded_variants()?,
    )?;
    device_note.iter().chain(&dataset.notes).for_each(note);
    if let Some(kinds) = &args.corrupt {
        let kinds = match &kinds[..] {
            [] => &Corruption::ALL,
            named => named,
        };
        let mut classifier = parts.image_classifier(&engine, CORRUPTED_BATCH)?;
        return corrupted(
            &mut classifier,
            &dataset.test,
            kinds,
            settings.seed,
            args.json,
        );
    }
    let (noun, part) = (dataset.test.noun(), settings.data.evaluate.name());
    let task = parts.task.clone();
    let content = folder.ledger_path().map(|_| dataset.test.content());
    let validation = dataset.validation.take();
    let fit = args.probabilities.predict(&engine, resolved, validation)?;
    let mut measured = Measured::evaluation(&engine, parts, dataset.test)?;
    let keep = match args.outputs {
        Some(_) => Outputs::Every,
        None => Outputs::All,
    };
    let (test, counters, outputs) = measured.run_keeping(keep)?;
    let findings = task.findings(&measured.evaluated(&counters, &outputs));
    if let Some(path) = &args.outputs {
        let lines = measured.sample_lines(&outputs)?;
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        write_whole(path, text.as_bytes())?;
    }
    let fairness = match args.groups.are_compared() {
        true => Some(
            args.groups
                .compare(&settings, measured.samples(), &outputs)?,
        ),
        false => None,
    };
    let examined =
        args.probabilities
            .examine(&mut measured, &outputs, fit, &settings, args.html.is_some())?;
    if let Some(path) = &args.html {
        let title = match is_other {
            true => format!("{}, evaluated on {}", settings.title(), dataset.name),
            false => settings.title(),
        };
        let groups = fairness.as_ref().map(fairness_sections);
        let page = page_head(&title) + &groups.unwrap_or_default() + &examined.html;
        write_whole(path, page.as_bytes())?;
    }
    if let Some(found) = &fairness {
        let is_of_run = !is_file && !is_other && args.with.with.is_empty() && !args.weights.last;
        if is_of_run && !folder.is_locked() {
            let text = format!("{:#}\n", serde_json::to_value(found)?);
            if let Err(error) = folder.write_fairness(&text) {
                note(format_args!(
                    "the figures are not kept for `wgrad card`: {}",
                    error.sentence()
                ));
            }
        }
    }
    let mut line: Map<String, Value> = test.to_json();
    line.insert("part".to_string(), part.into());
    line.insert("count".to_string(), test.count.into());
    line.insert("task".to_string(), task.registered().name.into());
    if content.is_some() {
        let record = EvaluationRecord {
            epoch: None,
            weights: weights_digest(&args.with, &opened, &args.weights, &weights)?,
            data: content,
            figures: figures_of_line(&line),
        };
        SignArg::record(folder, LedgerRecord::Evaluation(record), signer);
    }
    if args.json {
        let weights = if is_file { &args.run.run } else { &weights };
        line.insert("weights".to_string(), weights.display().to_string().into());
        line.extend(findings.brief.json);
        line.extend(findings.full.json);
        print_line(Value::Object(line))?;
        let lines = fairness.iter().flat_map(Fairness::json_lines);
        for line in lines.chain(examined.json_lines()) {
            print_line(line)?;
        }
        args.probabilities.keep(&examined, folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = (test.figures.iter().enumerate())
        .filter(|(place, figure)| *place == 0 || figure.metric.in_epoch_line)
        .map(|(_, figure)| format!(", {part} {}", figure.show()));
    let figures: String = shown.collect();
    let weights = epoch.map_or(String::new(), |epoch| {
        format!(", weights of epoch {epoch}, the best one")
    });
    print_line(format_args!(
        "{part} loss {:.4}{figures} of {} {noun} of {} ({}{weights})",
        test.loss,
        test.count,
        dataset.name,
        engine.name()
    ))?;
    let mut lines = findings.brief.lines.iter().chain(&findings.full.lines);
    lines.try_for_each(print_line)?;
    fairness.as_ref().map_or(Ok(()), groups::print)?;
    examined.print()?;
    args.probabilities.keep(&examined, folder)?;
    Ok(ExitCode::SUCCESS)
}

/// The accuracy on corrupted images, a row for each corruption.
fn corrupted(
    classifier: &mut ImageClassifier<'_>,
    samples: &Samples,
    kinds: &[Corruption],
    seed: u64,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let severities = (1..=SEVERITIES).map(|severity| format!("severity {severity}"));
    let heads = ["corruption".to_string()].into_iter().chain(severities);
    let mut table = TextTable::new(heads.chain(["mean".to_string()]));
    let share = |share: f64| format!("{:.2}%", 100.0 * share);
    let mut means = Vec::new();
    for &kind in kinds {
        let found = CorruptedAccuracy::measure(classifier, samples, kind, seed, samples.len())?;
        if json {
            print_line(found.to_json())?;
        }
        let row = [kind.name().to_string()].into_iter();
        let row = row.chain(found.accuracy.map(share));
        table.push(row.chain([share(found.mean())]));
        means.push(found.mean());
    }
    if json {
        return Ok(ExitCode::SUCCESS);
    }
    let lines = table.lines(TextTable::columns());
    lines.iter().try_for_each(print_line)?;
    print_line(format_args!(
        "mean accuracy over all corruptions {} of {} {}",
        share(means.iter().sum::<f64>() / means.len() as f64),
        samples.len(),
        samples.noun()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The digest of the file of the weights at `path`; `None` where they are averaged with others or adapted.
fn weights_digest(
    with: &WithArg,
    opened: &OpenedRun,
    weights: &WeightsArg,
    path: &Path,
) -> wgrad::Result<Option<String>> {
    let is_average = !opened.others.is_empty() || !with.with.is_empty();
    let is_adapted = weights.lora.is_some();
    match is_average || is_adapted {
        true => Ok(None),
        false => digest_of_file(path).map(Some),
    }
}

/// The mean return of an agent over fresh episodes.
fn evaluate_agent(args: &Args, opened: &OpenedRun) -> anyhow::Result<ExitCode> {
    if args.data.is_some()
        || args.part.is_some()
        || args.outputs.is_some()
        || args.groups.are_compared()
        || args.probabilities.are_asked()
    {
        let message = "the run is that of an agent, which is evaluated in its environment; leave --data, --part, --outputs, --groups, \
                       --calibration and --label-issues out";
        return Err(wgrad::Error::Config(message.to_string()).into());
    }
    let (folder, mut settings) = (&opened.folder, opened.settings.clone());
    args.device.clone().apply(&mut settings);
    settings.check()?;
    let (weights, epoch) = args.weights.path(folder);
    let parts = args.weights.resolve(&settings, &weights)?;
    let (engine, device_note) = Engine::open(
        settings.device,
        settings.adapter.as_deref(),
        folder.recorded_variants()?,
    )?;
    device_note.iter().for_each(note);
    let play = Play {
        episodes: args.episodes as usize,
        seed: settings.seed,
        choice: choice(args.sample),
    };
    let found = Evaluated::of(&engine, &settings, parts, play)?;
    let mut line = found.to_json();
    line.insert(
        "environment".to_string(),
        settings.environment.name.clone().into(),
    );
    line.insert("task".to_string(), settings.task.name.clone().into());
    if folder.ledger_path().is_some() {
        let record = EvaluationRecord {
            epoch: None,
            weights: Some(digest_of_file(&weights)?),
            data: None,
            figures: figures_of_line(&line),
        };
        SignArg::record(folder, LedgerRecord::Evaluation(record), args.sign.read()?);
    }
    if args.json {
        line.insert("weights".to_string(), weights.display().to_string().into());
        print_line(Value::Object(line))?;
        return Ok(ExitCode::SUCCESS);
    }
    let weights = epoch.map_or(String::new(), |epoch| {
        format!(", weights of epoch {epoch}, the best one")
    });
    print_line(format_args!(
        "{} of {} ({}{weights})",
        found.show(),
        settings.environment.name,
        engine.name()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// A note if the run was trained on some of `samples`.
fn seen_in_training(mut training: Settings, samples: &Samples) {
    let Ok(own) = training.load_data() else {
        // The data of the run may be elsewhere by now.
        return;
    };
    let noun = samples.noun();
    match overlap(&own.train, samples) {
        None | Some(0) => {}
        Some(count) => note(format_args!(
            "the run was trained on {count} of these {} {noun}, so the figures are better than on new ones",
            samples.len()
        )),
    }
}
