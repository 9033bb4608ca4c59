//! `wgrad train`

use super::progress::{ProgressPrinter, short};
use super::{DeviceArgs, SignArg, agent, interrupt, note, print_line};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use wgrad::data::{DIGITS, Part, Source, detect, is_built_in};
use wgrad::device::Engine;
use wgrad::nn::ModelSpec;
use wgrad::optim::OptimizerConfig;
use wgrad::run::{
    CheckpointInterval, EpochReport, Evaluation, GroupFolder, GroupKind, Observer, Run, RunFolder,
    StepReport,
};
use wgrad::settings::{
    Folds, Initialisation, Prepared, SessionObserver, Settings, Stages, TaskScores, named_model,
};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Settings file, model file, the name of a built-in model, or data: a file or folder as for --data, for which model and
    /// settings are chosen [default: mnist-cnn on drawn digits]
    #[arg(value_name = "run.toml|MODEL|DATA", conflicts_with = "config")]
    preset: Option<String>,
    /// Settings file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data: `digits` (built in), a folder (IDX files, CIFAR-10 batches, one folder of images per class), or a .npz, .csv or .txt file;
    /// without a settings file or model, those that suit the data are chosen
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Model: the name of a built-in one (see `wgrad models`), or a TOML file
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Task, see `wgrad tasks` [default: the first one that fits the data]
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Set any key of a run file, for example --set optimizer.lr=0.01; can be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Number of passes over the training set
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<u32>,
    /// Number of training steps, instead of epochs
    #[arg(long, allow_negative_numbers = true)]
    steps: Option<u64>,
    /// Number of steps per epoch, after which the run is evaluated and saved [default: one pass over the training set]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    steps_per_epoch: Option<usize>,
    /// Samples per step
    #[arg(long, allow_negative_numbers = true)]
    batch: Option<usize>,
    /// Optimizer, for example adam or sgd; docs/model-format.md lists them all
    #[arg(long)]
    optimizer: Option<String>,
    /// Tables and series: the column to predict
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Series: the column of the dates, by which rows are sorted; makes a table a series to forecast
    #[arg(long, value_name = "COLUMN")]
    date: Option<String>,
    /// Cross-validate: train N times, each time with another fold held out, and report mean and standard deviation
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1000))]
    folds: Option<u16>,
    /// Train N runs that differ in their seeds, whose predictions `wgrad eval` and `wgrad predict` average
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1000), conflicts_with = "folds")]
    ensemble: Option<u16>,
    /// Learning rate
    #[arg(long, allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Random seed
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Write a checkpoint within epochs, too: a number of steps (500) or a time (10m) [default: only after every epoch]
    #[arg(long, value_name = "N|TIME")]
    checkpoint_every: Option<CheckpointInterval>,
    /// Write event files for TensorBoard into the run folder
    #[arg(long)]
    tensorboard: bool,
    #[command(flatten)]
    sign: SignArg,
    #[command(flatten)]
    device: DeviceArgs,
    /// Do not shuffle: visit the samples in file order
    #[arg(long)]
    no_shuffle: bool,
    /// Initial weights
    #[arg(long, value_name = "FILE.safetensors")]
    init: Option<PathBuf>,
    /// Run folder [default: the next free one under runs]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Resume a run, folds or stages that were interrupted, or add epochs to a finished run; only the length of the run, the settings
    /// that select the best epoch, checkpoints, event files, and the device may differ from before
    #[arg(long, value_name = "RUN", conflicts_with_all = ["preset", "config", "data", "model", "batch", "optimizer", "lr", "seed", "no_shuffle", "init", "out", "target", "date", "folds", "ensemble", "steps_per_epoch", "task", "set"])]
    resume: Option<PathBuf>,
    /// Print JSON lines and nothing else
    #[arg(long)]
    json: bool,
}

/// What a run begins with.
enum Start {
    Settings(Box<Settings>),
    /// A source of data, for which settings are chosen.
    Data(String),
}

/// Settings that leave everything but the source open.
fn of_data(source: String) -> Settings {
    let mut settings = Settings::default();
    settings.set_source(source);
    settings
}

/// `what` if it is neither a settings or model file nor the name of a built-in model, but names data.
///
/// # Errors
/// If it is the folder of a run.
fn data_of(what: &str) -> wgrad::Result<Option<String>> {
    let path = Path::new(what);
    if what.ends_with(".toml") || ModelSpec::preset(what).is_ok() {
        return Ok(None);
    }
    if path.is_dir() && path.join("run.toml").is_file() {
        return Err(wgrad::Error::Config(format!(
            "{what} is a run: resume it with --resume {what}, or name data, a settings file or a model"
        )));
    }
    let is_data = path.is_dir() || path.is_file() && detect(&Source::look(what)?).is_ok();
    Ok((is_data || is_built_in(what)).then(|| what.to_string()))
}

impl Args {
    /// What the run begins with: the settings of a file or model, or data.
    fn start(&self) -> wgrad::Result<Start> {
        let given = match (&self.config, &self.preset) {
            (Some(path), _) => Some(Settings::read(path)?),
            (None, Some(what)) => match data_of(what)? {
                Some(source) => return Ok(Start::Data(source)),
                None => Some(Settings::named(what, Path::new(""))?),
            },
            (None, None) => None,
        };
        Ok(match (given, &self.data) {
            (Some(settings), _) => Start::Settings(Box::new(settings)),
            (None, Some(source)) if self.model.is_none() && source != DIGITS => {
                Start::Data(source.clone())
            }
            (None, _) => Start::Settings(Box::new(Settings::preset()?)),
        })
    }

    /// The settings, chosen by the data if only they are given, overridden by the options.
    fn settings(&self) -> wgrad::Result<Settings> {
        match self.start()? {
            Start::Settings(mut settings) => {
                self.apply(&mut settings)?;
                self.check_agent(&settings)?;
                Ok(*settings)
            }
            Start::Data(source) => {
                let chosen = of_data(source).choose(&|settings| self.apply(settings))?;
                chosen.notes.iter().for_each(note);
                Ok(chosen.settings)
            }
        }
    }

    /// Refuses data where an agent learns in an environment.
    fn check_agent(&self, settings: &Settings) -> wgrad::Result<()> {
        let given = [
            ("--data", self.data.is_some()),
            ("--folds", self.folds.is_some()),
            ("--ensemble", self.ensemble.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) if settings.is_agent() => Err(wgrad::Error::Config(format!(
                "{option} is for data, and the settings name an environment in which an agent learns; leave it out"
            ))),
            _ => Ok(()),
        }
    }

    /// Overrides `settings` by the options.
    fn apply(&self, settings: &mut Settings) -> wgrad::Result<()> {
        if let Some(name) = &self.model {
            settings.model = named_model(name, Path::new(""))?;
        }
        if let Some(name) = &self.task {
            settings.task.name = Some(name.clone());
        }
        if let Some(name) = &self.optimizer {
            settings.optimizer = OptimizerConfig::named(name)?;
        }
        if let Some(lr) = self.lr {
            settings.optimizer.set_lr(lr);
        }
        if let Some(source) = &self.data {
            settings.set_source(source.clone());
        }
        let (target, date) = (self.target.as_deref(), self.date.as_deref());
        settings.data.name_columns(target, date);
        self.set_length(settings);
        settings.steps_per_epoch = self.steps_per_epoch.or(settings.steps_per_epoch);
        settings.batch = self.batch.unwrap_or(settings.batch);
        settings.seed = self.seed.unwrap_or(settings.seed);
        settings.shuffle &= !self.no_shuffle;
        settings.init = self.init.clone().or(settings.init.take());
        settings.out = self.out.clone().or(settings.out.take());
        self.device.clone().apply(settings);
        settings.assign(&self.set)
    }

    /// Sets the length of the run, its checkpoints, its event files and who signs its ledger: `--epochs` overrides `steps` of the settings.
    fn set_length(&self, settings: &mut Settings) {
        settings.steps = self
            .steps
            .or(settings.steps.filter(|_| self.epochs.is_none()));
        settings.epochs = self.epochs.unwrap_or(settings.epochs);
        settings.checkpoint_every = self.checkpoint_every.or(settings.checkpoint_every);
        settings.tensorboard |= self.tensorboard;
        settings.sign = self.sign.sign.clone();
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    interrupt::listen()?;
    // A key that can't be used is refused before anything is read or trained.
    args.sign.read()?;
    let several = match (args.folds, args.ensemble) {
        (Some(folds), _) => Some((GroupKind::Folds, folds)),
        (None, members) => members.map(|members| (GroupKind::Ensemble, members)),
    };
    match (&args.resume, several) {
        (Some(path), _) => resume(&args, path)?,
        (None, Some((kind, count))) => {
            train_several(&args, Folds::begin(args.settings()?, kind, count.into())?)?;
        }
        (None, None) => {
            let start = Instant::now();
            match args.start()? {
                Start::Settings(mut settings) => {
                    args.apply(&mut settings)?;
                    args.check_agent(&settings)?;
                    match (settings.is_agent(), settings.stages().is_empty()) {
                        (true, _) => agent::train(args.json, settings.prepare_agent()?, start)?,
                        (false, true) => train(&args, settings.prepare()?, start).map(|_| ())?,
                        (false, false) => train_stages(&args, Stages::begin(*settings)?)?,
                    }
                }
                Start::Data(source) => {
                    let prepared = of_data(source).prepare_chosen(&|own| args.apply(own))?;
                    train(&args, prepared, start)?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn resume(args: &Args, path: &Path) -> anyhow::Result<()> {
    let start = Instant::now();
    let change = |settings: &mut Settings| {
        args.set_length(settings);
        args.device.clone().apply(settings);
    };
    let kinds = [GroupKind::Folds, GroupKind::Ensemble];
    if kinds
        .iter()
        .any(|&kind| GroupFolder::open(kind, path).is_some())
    {
        return train_several(args, Folds::resume(path, change)?);
    }
    if Settings::open_run(path).is_ok_and(|(_, settings)| settings.is_agent()) {
        return agent::train(
            args.json,
            Settings::prepare_resumed_agent(path, change)?,
            start,
        );
    }
    if GroupFolder::open(GroupKind::Stages, path).is_some() {
        return train_stages(args, Stages::resume(path, change)?);
    }
    let prepared = Settings::prepare_resumed(path, change)?;
    train(args, prepared, start).map(|_| ())
}

/// Trains the folds or members that are not finished, and prints mean and standard deviation of every metric, the score last.
fn train_several(args: &Args, folds: Folds) -> anyhow::Result<()> {
    folds.notes.iter().for_each(note);
    let summary = folds.train(|prepared| train(args, prepared, Instant::now()))?;
    if args.json {
        let mut line = summary.to_json();
        let event = match summary.kind {
            GroupKind::Ensemble => "ensemble",
            _ => "folds",
        };
        line.insert("event".to_string(), event.into());
        return print_line(Value::Object(line));
    }
    let (count, noun) = (summary.folds, summary.kind.noun());
    let path = summary.path.display();
    print_line(format_args!("{count} {noun} in {path}"))?;
    if summary.kind == GroupKind::Ensemble {
        note(format_args!("`wgrad eval {path}` evaluates their average"));
    }
    summary
        .spreads
        .iter()
        .rev()
        .try_for_each(|spread| print_line(format_args!("{count} {noun}: {}", spread.show())))
}

/// Trains the stages that are not finished, and prints the score on every task after each.
fn train_stages(args: &Args, stages: Stages) -> anyhow::Result<()> {
    stages.notes.iter().for_each(note);
    let summary = stages.train(|prepared| train(args, prepared, Instant::now()))?;
    if args.json {
        let mut line = summary.to_json();
        line.insert("event".to_string(), "stages".into());
        return print_line(Value::Object(line));
    }
    let count = summary.rows.len();
    print_line(format_args!("{count} stages in {}", summary.path.display()))?;
    summary.lines().iter().try_for_each(print_line)
}

/// Trains a run, new or resumed.
fn train(args: &Args, mut prepared: Prepared, start: Instant) -> anyhow::Result<Evaluation> {
    let initialisation = prepared.initialisation.take();
    let mut session = Session {
        json: args.json,
        start,
        part: prepared.settings.data.evaluate.name(),
        noun: prepared.run.dataset().train.noun(),
        initialisation,
        progress: ProgressPrinter::new(args.json),
        opened: false,
        printed: Ok(()),
    };
    let outcome = prepared.train(&mut session);
    session.progress.finish();
    let last = outcome?;
    session.printed?;
    Ok(last)
}

/// The output of a run.
struct Session {
    json: bool,
    start: Instant,
    /// Name of the evaluated part.
    part: &'static str,
    /// What a sample is called.
    noun: &'static str,
    initialisation: Option<Initialisation>,
    progress: ProgressPrinter,
    /// Whether the device was opened: it is opened again if it is lost.
    opened: bool,
    /// How printing the result went.
    printed: anyhow::Result<()>,
}

impl Observer for Session {
    fn step(&mut self, report: &StepReport) {
        self.progress.step(report);
    }

    fn epoch(&mut self, report: &EpochReport) -> wgrad::Result<()> {
        self.progress.epoch(report)
    }

    fn stops(&self) -> bool {
        self.progress.stops()
    }
}

impl SessionObserver for Session {
    fn opened(&mut self, prepared: &Prepared, engine: &Engine, notes: &[String]) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        notes.iter().chain(&prepared.notes).for_each(note);
        let dataset = prepared.run.dataset();
        let chosen = prepared.settings.chosen.iter();
        let lines = dataset.found.iter().chain(chosen);
        lines.for_each(|line| self.progress.say(line));
        self.progress.say(&format!(
            "{} ({} weights) on {}: {} training and {} {} {}, {}",
            prepared
                .settings
                .title()
                .split(" on ")
                .next()
                .unwrap_or_default(),
            prepared.run.parts().models.parameter_count(),
            dataset.name,
            dataset.train.len(),
            dataset.test.len(),
            self.part,
            self.noun,
            engine.name()
        ));
        if let (Some(found), false) = (&self.initialisation, self.json) {
            let remarks = found.remarks.iter();
            remarks.for_each(|remark| self.progress.note(remark));
        }
        self.progress.prepare(engine.compilation());
    }

    fn started(&mut self, run: &Run<'_>, folder: &RunFolder) {
        if run.is_done() {
            self.progress.note(format_args!(
                "nothing left to train in {}: {}",
                folder.path.display(),
                match () {
                    () if run.stopped_early() => {
                        "it stopped early; raise patience in its run.toml to continue"
                    }
                    () if run.has_spent_budget() => {
                        "its privacy budget is spent, which can't be raised: a new run spends a budget of its own in addition"
                    }
                    () => "all epochs or steps are done; raise --epochs or --steps to continue",
                }
            ));
        }
    }

    fn note(&mut self, text: &str) {
        self.progress.note(text);
    }

    fn finished(&mut self, run: &Run<'_>, engine: &Engine, folder: &RunFolder, last: &Evaluation) {
        self.progress.finish();
        self.printed = match self.json {
            true => self.print_json(run, engine, folder, last),
            false => self.print_text(run, folder, last),
        };
    }

    fn tasks(&mut self, scores: &TaskScores) {
        let print = || match self.json {
            true => scores.to_json().iter().try_for_each(print_line),
            false => scores.lines().iter().try_for_each(print_line),
        };
        if self.printed.is_ok() {
            self.printed = print();
        }
    }
}

impl Session {
    fn print_json(
        &self,
        run: &Run<'_>,
        engine: &Engine,
        folder: &RunFolder,
        last: &Evaluation,
    ) -> anyhow::Result<()> {
        if let Some(found) = &self.initialisation {
            print_line(initialisation_line(found))?;
        }
        let seconds = self.start.elapsed().as_secs_f64();
        let first = self.progress.first_step();
        let best = run.progress().best.as_ref();
        let mut line = last.to_json();
        line.extend(Map::from_iter([
            ("event".to_string(), "done".into()),
            ("part".to_string(), self.part.into()),
            ("seconds".to_string(), seconds.into()),
            (
                "seconds_to_first_step".to_string(),
                first.map(|done| (done - self.start).as_secs_f64()).into(),
            ),
            ("run".to_string(), folder.path.display().to_string().into()),
            ("adapter".to_string(), engine.name().into()),
            ("peak_gpu_bytes".to_string(), run.peak_bytes().into()),
            (
                "task".to_string(),
                run.trainer().task().registered().name.into(),
            ),
            ("monitor".to_string(), run.monitored().into()),
            ("stopped_early".to_string(), run.stopped_early().into()),
            ("best_epoch".to_string(), best.map(|best| best.epoch).into()),
        ]));
        if let (Some(best), Some(metric)) = (best, run.monitored()) {
            line.insert(format!("best_{metric}"), best.value.into());
        }
        if let Some((spent, delta)) = run.privacy_loss()? {
            line.insert("epsilon".to_string(), spent.epsilon.into());
            line.insert("delta".to_string(), delta.into());
        }
        line.extend(run.findings().json);
        print_line(Value::Object(line))
    }

    fn print_text(
        &self,
        run: &Run<'_>,
        folder: &RunFolder,
        last: &Evaluation,
    ) -> anyhow::Result<()> {
        let best = run.progress().best.as_ref();
        if run.stopped_early()
            && let (Some(best), Some(metric)) = (best, run.monitored())
        {
            print_line(format_args!(
                "stopped early: {metric} has not improved since epoch {}",
                best.epoch
            ))?;
        }
        print_line(format_args!(
            "{} {} of {} {} after {}; run in {}",
            self.part,
            shown_figures(last),
            last.count,
            self.noun,
            short(self.start.elapsed()),
            folder.path.display()
        ))?;
        if let Some(best) = best.filter(|best| best.epoch < run.progress().epoch) {
            // What is chosen by a part looks a little better there than it is.
            let advice = match self.part == Part::Test.name() {
                true => {
                    " on the test part; data.validation_share = 0.1 with data.evaluate = \"validation\" chooses by other samples"
                }
                false => "",
            };
            print_line(format_args!(
                "`wgrad eval` and `wgrad predict` use the weights of epoch {}, the best one{advice}",
                best.epoch
            ))?;
        }
        run.findings().lines.iter().try_for_each(print_line)
    }
}

/// The figures of a result that the epoch line shows, preceded by the loss unless the score is the only one.
fn shown_figures(test: &Evaluation) -> String {
    let shown = test.figures.iter().filter(|f| f.metric.in_epoch_line);
    let mut figures: Vec<String> = shown.map(|figure| figure.show()).collect();
    if figures.len() != 1 {
        figures.insert(0, format!("loss {:.4}", test.loss));
    }
    figures.join(", ")
}

/// The JSON line about the initial weights.
fn initialisation_line(found: &Initialisation) -> Value {
    let reasons = |left: &[(String, String)]| -> Vec<Value> {
        left.iter()
            .map(|(name, reason)| json!({"name": name, "reason": reason}))
            .collect()
    };
    json!({
        "event": "init",
        "matched": found.matched,
        "missing": reasons(&found.missing),
        "unused": reasons(&found.unused),
        "frozen": found.frozen,
    })
}
