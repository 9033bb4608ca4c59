//! `wgrad train`

use super::naive::Floors;
use super::progress::{Progress, short};
use super::{DeviceArgs, interrupt, note, print_line, settings_of};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use wgrad::nn::{Model, Network};
use wgrad::optim::OptimizerConfig;
use wgrad::settings::{Settings, named_model};
use wgrad::train::{Evaluation, RunFolder, Session, check_fit, open_engine, remarks};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Settings file, model file, or the name of a built-in model [default: mnist-cnn]
    #[arg(value_name = "run.toml|MODEL", conflicts_with = "config")]
    preset: Option<String>,
    /// Settings file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data: `digits` (built in), a folder (IDX files, CIFAR-10 batches, images in a folder a class), or a .npz, .csv or .txt file
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Model: a built-in one (`wgrad models` lists them), or a TOML file
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Passes over the training set
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<u32>,
    /// Steps of the run, in place of epochs
    #[arg(long, allow_negative_numbers = true)]
    steps: Option<u64>,
    /// Steps of an epoch, after which the run is evaluated and written down [default: as many as the training set has]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    steps_per_epoch: Option<usize>,
    /// Samples in a step
    #[arg(long, allow_negative_numbers = true)]
    batch: Option<usize>,
    /// Optimizer: sgd, adam or adamw
    #[arg(long)]
    optimizer: Option<String>,
    /// Tables: the column to predict
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Train so many times, each time with another part of the samples held out, and tell mean and deviation
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1000))]
    folds: Option<u16>,
    /// Learning rate
    #[arg(long, allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Seed of everything random
    #[arg(long, allow_negative_numbers = true)]
    seed: Option<u64>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Visit the samples in the order of the files
    #[arg(long)]
    no_shuffle: bool,
    /// Weights to start from
    #[arg(long, value_name = "FILE.safetensors")]
    init: Option<PathBuf>,
    /// Folder for the run [default: the next free one under runs]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with a run that was stopped, by Ctrl-C or otherwise, or add epochs to one that ended; its settings stay, but for
    /// epochs, steps and the device
    #[arg(long, value_name = "RUN", conflicts_with_all = ["preset", "config", "data", "model", "batch", "optimizer", "lr", "seed", "no_shuffle", "init", "out", "target", "folds", "steps_per_epoch"])]
    resume: Option<PathBuf>,
    /// Print JSON lines and nothing else
    #[arg(long)]
    json: bool,
}

impl Args {
    /// The settings that file and options give together; options win.
    fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = match (&self.config, &self.preset) {
            (Some(path), _) => Settings::read(path)?,
            (None, Some(what)) => settings_of(what)?,
            (None, None) => Settings::preset()?,
        };
        if let Some(name) = &self.model {
            settings.model = named_model(name, Path::new(""))?;
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
        settings.data.target = self.target.clone().or(settings.data.target);
        self.set_length(&mut settings);
        settings.steps_per_epoch = self.steps_per_epoch.or(settings.steps_per_epoch);
        settings.batch = self.batch.unwrap_or(settings.batch);
        settings.seed = self.seed.unwrap_or(settings.seed);
        settings.shuffle &= !self.no_shuffle;
        settings.init = self.init.clone().or(settings.init);
        settings.out = self.out.clone().or(settings.out);
        self.device.clone().apply(&mut settings);
        Ok(settings)
    }

    /// How long to train. Who asks for epochs does not want the steps that the settings say.
    fn set_length(&self, settings: &mut Settings) {
        settings.steps = self
            .steps
            .or(settings.steps.filter(|_| self.epochs.is_none()));
        settings.epochs = self.epochs.unwrap_or(settings.epochs);
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    interrupt::listen()?;
    match (&args.resume, args.folds) {
        (Some(path), _) => resume(&args, path)?,
        (None, Some(folds)) => cross_validate(&args, folds.into())?,
        (None, None) => {
            train(&args, args.settings()?, None)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn resume(args: &Args, path: &Path) -> anyhow::Result<()> {
    let (folder, mut settings) = RunFolder::open(path)?;
    args.set_length(&mut settings);
    args.device.clone().apply(&mut settings);
    train(args, settings, Some(folder)).map(|_| ())
}

/// Trains once for each fold, with that held out, and tells mean and standard deviation of the scores.
fn cross_validate(args: &Args, folds: usize) -> anyhow::Result<()> {
    let settings = args.settings()?;
    let mut results = Vec::new();
    for fold in 1..=folds {
        let mut settings = settings.clone();
        (settings.data.folds, settings.data.fold) = (Some(folds), fold);
        settings.out = settings.out.map(|out| out.join(format!("fold-{fold}")));
        results.push(train(args, settings, None)?);
    }
    let Some(measure) = results.first().map(|result| result.measure) else {
        return Ok(());
    };
    let count = results.len() as f64;
    let mean = results.iter().map(|result| result.score).sum::<f64>() / count;
    let squares = results.iter().map(|result| (result.score - mean).powi(2));
    let std = (squares.sum::<f64>() / count).sqrt();
    if args.json {
        let name = measure.name();
        let mut line = json!({"event": "folds", "folds": folds});
        line[format!("mean_test_{name}")] = mean.into();
        line[format!("std_test_{name}")] = std.into();
        print_line(line)
    } else {
        print_line(format_args!(
            "{folds} folds: mean test {} {}, standard deviation {}",
            measure.name(),
            measure.show(mean),
            measure.show(std)
        ))
    }
}

/// Trains a run, new or in the folder `resumed`.
fn train(
    args: &Args,
    mut settings: Settings,
    resumed: Option<RunFolder>,
) -> anyhow::Result<Evaluation> {
    let start = Instant::now();
    settings.check()?;
    if resumed.is_none() {
        RunFolder::check_free(&settings)?;
    }
    let checkpoint = resumed.as_ref().map(RunFolder::latest_checkpoint);
    let checkpoint = checkpoint.transpose()?;
    // A model whose input is its own is checked before data are read, which can take long.
    if !settings.model.takes_its_input_from_data() {
        Network::new(settings.model.clone())?;
    }
    let dataset = settings.load_data()?;
    let network = Network::new(settings.model.clone())?;
    check_fit(&network, &dataset, &settings)?;
    let recorded = resumed.as_ref().map(RunFolder::recorded_variants);
    let (engine, told) = open_engine(&settings, recorded.transpose()?.flatten())?;
    let (noun, part) = (dataset.train.noun(), settings.data.evaluate.name());
    let floors = Floors::of(&dataset.test, &settings.data);
    let mut progress = Progress::new(args.json);
    let remarks = remarks(&network, &dataset, &settings);
    let notes = told.iter().chain(&dataset.notes).chain(&remarks);
    notes.for_each(note);
    progress.say(&format!(
        "{} ({} weights) on {}: {} training and {} {part} {noun}, {}",
        settings.model.name,
        network.parameter_count(),
        dataset.name,
        dataset.train.len(),
        dataset.test.len(),
        engine.name()
    ));
    progress.prepare();
    let mut wanted = settings.clone();
    // What the checkpoint holds takes the place of the weights that the run once started from.
    wanted.init = settings.init.clone().filter(|_| resumed.is_none());
    let mut session = Session::training(&engine, wanted, network, dataset)?;
    let folder = match (resumed, checkpoint) {
        (Some(folder), Some(checkpoint)) => {
            let epoch = checkpoint.epoch;
            session.restore(checkpoint)?;
            folder.forget_after(epoch)?;
            if session.is_done() {
                progress.note(format_args!(
                    "nothing is left to do in {}: the epochs or steps asked for are done; ask for more with --epochs or --steps",
                    folder.path.display()
                ));
            } else {
                folder.write_settings(&settings)?;
            }
            folder
        }
        _ => RunFolder::create(&settings)?,
    };
    let outcome = session.run(&mut progress, Some(&folder));
    progress.finish();
    if !matches!(outcome, Ok(_) | Err(wgrad::Error::Stopped(_))) {
        folder.discard();
    }
    let test = outcome?;
    let seconds = start.elapsed().as_secs_f64();
    let perplexity = test.measure.perplexity(test.loss);
    if args.json {
        let mut line = json!({
            "event": "done",
            "part": part,
            "test_loss": test.loss,
            "seconds": seconds,
            "seconds_to_first_step": progress.first_step().map(|done| (done - start).as_secs_f64()),
            "run": folder.path.display().to_string(),
            "adapter": engine.name(),
            "peak_gpu_bytes": session.peak_bytes(),
        });
        line[format!("test_{}", test.measure.name())] = test.score.into();
        if let Some(perplexity) = perplexity {
            line["test_perplexity"] = perplexity.into();
        }
        floors.add_to(&mut line, &session.details()?);
        print_line(line)?;
    } else {
        let language = perplexity.map_or(String::new(), |perplexity| {
            format!("loss {:.4}, perplexity {perplexity:.3}, ", test.loss)
        });
        print_line(format_args!(
            "{part} {language}{} {} of {} {noun} after {}; run in {}",
            test.measure.name(),
            test.measure.show(test.score),
            test.count,
            short(start.elapsed()),
            folder.path.display()
        ))?;
        floors.print(&session.details()?)?;
    }
    Ok(test)
}
