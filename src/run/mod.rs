//! Runs: epochs of steps over a data set, with evaluation, checkpoints, resuming and reports.

mod checkpoint;
mod drawing;
mod folder;
mod folds;
mod monitor;
mod report;
mod reports;
mod steps;

pub use checkpoint::{Best, Checkpoint, Progress};
pub use drawing::Drawing;
pub use folder::{RunFolder, RunTexts};
pub use folds::FoldsFolder;
pub use monitor::Monitor;
pub use reports::{
    EpochReport, Evaluation, Figure, LOSS, Observer, Silent, StepReport, epoch_line,
};

use crate::cpu::Tensor;
use crate::data::{DataSettings, Dataset, Fitted, Normalization, Part, Samples, SetLayout};
use crate::device::{Device, Engine};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::nn::weights;
use crate::tasks::{Counters, Decoded, Evaluated, Fit, Metric, Models, Section, Task};
use crate::train::{
    BatchSource, Collected, Evaluator, Loaded, Outputs, PhaseGraphs, Recipe, Sizes, Trainer,
    evaluation_graph, outputs_of, planned_graphs, suggest_batch, training_graphs,
};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// The length of a run.
#[derive(Clone, Debug)]
pub struct Length {
    /// Passes over the training set.
    pub epochs: u32,
    /// Steps of the run, instead of epochs.
    pub steps: Option<u64>,
    /// Steps per epoch; one pass over the training set if absent.
    pub steps_per_epoch: Option<usize>,
    /// Whether every epoch shuffles the samples.
    pub shuffle: bool,
}

/// The parts of a run.
pub struct RunParts {
    /// The task.
    pub task: Arc<dyn Task>,
    /// The models.
    pub models: Models,
    /// How steps are taken.
    pub recipe: Recipe,
    /// How long.
    pub length: Length,
    /// Which epoch is the best, and when to stop.
    pub monitor: Monitor,
    /// The data settings of the user.
    pub data: DataSettings,
    /// The values fitted to the data.
    pub fitted: Fitted,
    /// Initial values of [`Models::state`]; drawn by the seed if absent.
    pub values: Option<Vec<Tensor<f32>>>,
    /// Its name in reports.
    pub title: String,
}

impl RunParts {
    fn normal(&self) -> Normalization<'_> {
        Normalization {
            mean: &self.fitted.mean,
            std: &self.fitted.std,
        }
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            batch: self.recipe.batch,
            stream: self.data.stream,
        }
    }

    /// The layout of `samples` in batches of `batch`, on a device whose kernels read up to `most_bytes` of a tensor.
    pub fn layout(&self, set: &str, samples: &Samples, batch: usize, most_bytes: u64) -> SetLayout {
        let streamed = self.sizes().streamed(samples, most_bytes);
        SetLayout::of(set, samples, self.normal(), batch, streamed)
    }

    /// The graphs of a training step over a set, a phase each.
    ///
    /// # Errors
    /// If models, data and recipe don't fit together.
    pub fn training_graphs(&self, set: SetLayout) -> Result<Vec<PhaseGraphs>> {
        let source = BatchSource::Set(set);
        training_graphs(&*self.task, &self.models, &self.recipe, &source)
    }

    /// The graph of an evaluation step over a set.
    ///
    /// # Errors
    /// If models and data don't fit together.
    pub fn evaluation_graph(&self, set: SetLayout) -> Result<Graph> {
        evaluation_graph(&*self.task, &self.models, &BatchSource::Set(set))
    }

    /// The layout of a hypothetical set of `samples` samples, in batches of `batch`.
    ///
    /// # Errors
    /// If the task's fields can only be determined from data.
    pub fn example_layout(&self, set: &str, samples: usize, batch: usize) -> Result<SetLayout> {
        let layout = SetLayout::new(set, samples, batch);
        self.task
            .example_layout(&self.models, layout, self.normal())
    }

    fn initial(&mut self) -> Vec<Tensor<f32>> {
        let seed = self.recipe.seed;
        self.values
            .take()
            .unwrap_or_else(|| self.models.initial_state(seed))
    }

    /// Checks models, data and settings against each other.
    ///
    /// # Errors
    /// If shapes, classes or labels don't fit, or a batch is larger than the training set.
    pub fn check(&self, dataset: &Dataset<Samples>) -> Result<()> {
        let fit = |part, samples| self.fit(part, samples, &dataset.classes, &dataset.name);
        self.task.check(&fit("training", &dataset.train))?;
        self.task.check(&fit("test", &dataset.test))?;
        let samples = dataset.train.len();
        if self.recipe.batch > samples {
            return Err(Error::Config(format!(
                "a batch of {} is larger than the training set of {samples} {}; use --batch {samples} or less",
                self.recipe.batch,
                dataset.train.noun()
            )));
        }
        if let Some(plateau) = self.recipe.schedule.plateau() {
            monitor::check_metric("schedule.metric", &plateau.metric, &*self.task)?;
        }
        self.monitor.check(&*self.task)
    }

    /// Warnings about settings that are valid but rarely intended, one sentence each.
    pub fn remarks(&self, dataset: &Dataset<Samples>) -> Vec<String> {
        let fit = self.fit("training", &dataset.train, &dataset.classes, &dataset.name);
        let mut told = self.task.remarks(&fit);
        let each = (self.recipe.batch * self.recipe.accumulate).max(1);
        let of_epoch = self
            .length
            .steps_per_epoch
            .unwrap_or(dataset.train.len().div_ceil(each));
        let all = of_epoch as u64 * u64::from(self.length.epochs);
        let steps = self.length.steps.unwrap_or(all);
        if let Some(warmup) = self.recipe.schedule.warmup_steps()
            && warmup >= steps
        {
            told.push(format!(
                "the warm-up takes {warmup} steps and the run has {steps}, so the learning rate rises until the end"
            ));
        }
        let normalized = |name: &str| name.ends_with("running_mean");
        if self.recipe.accumulate > 1 && self.models.state().any(|part| normalized(&part.name)) {
            told.push(
                "gradients are accumulated, but batch normalisation sees each batch by itself: the steps are not equivalent to those of one \
                 large batch"
                    .to_string(),
            );
        }
        told
    }

    fn fit<'a>(
        &'a self,
        part: &'a str,
        samples: &'a Samples,
        classes: &'a [String],
        data: &'a str,
    ) -> Fit<'a> {
        Fit {
            models: &self.models,
            samples,
            part,
            classes,
            data,
            normal: self.normal(),
        }
    }
}

/// The number of training samples per epoch. A `set` of random windows is resized to what `steps_per_epoch` asks for.
///
/// # Errors
/// If an epoch would have more steps than the set has batches.
pub fn samples_of_epoch(set: &mut Samples, length: &Length, recipe: &Recipe) -> Result<usize> {
    let each = recipe.batch * recipe.accumulate;
    let Some(steps) = length.steps_per_epoch else {
        return Ok(set.len());
    };
    let wanted = steps * each;
    if set.starts().is_some_and(|starts| starts.anywhere) && length.shuffle {
        set.resize_epoch(wanted);
    } else {
        let all = set.len().div_ceil(each);
        if steps > all {
            return Err(Error::Config(format!(
                "steps_per_epoch is {steps}, but the training set has only {all} batches of {each}; make it smaller"
            )));
        }
    }
    Ok(wanted.min(set.len()))
}

/// A training run on an engine.
pub struct Run<'e> {
    engine: &'e Engine,
    trainer: Trainer<'e>,
    evaluator: Evaluator,
    train: Loaded,
    length: Length,
    monitor: Monitor,
    data: DataSettings,
    fitted: Fitted,
    title: String,
    progress: Progress,
    /// Counters of the last evaluation, and the outputs for the report.
    last: Option<(Counters, Collected)>,
    peak_bytes: u64,
    epoch_samples: usize,
    /// The task's score, if training steps compute it.
    score: Option<Metric>,
    /// Positions of loss, score and weight among the watched counters.
    places: [Option<usize>; 3],
}

impl<'e> Run<'e> {
    /// Puts weights, optimizer state and both sets on `engine` and prepares training and evaluation.
    ///
    /// # Errors
    /// If the data do not fit the models, or device memory is too small.
    pub fn new(
        engine: &'e Engine,
        mut parts: RunParts,
        dataset: impl Into<Dataset<Samples>>,
    ) -> Result<Run<'e>> {
        let mut dataset = dataset.into();
        let epoch_samples = samples_of_epoch(&mut dataset.train, &parts.length, &parts.recipe)?;
        parts.check(&dataset)?;
        let each = parts.recipe.batch * parts.recipe.accumulate;
        parts.recipe.steps_per_epoch = epoch_samples.div_ceil(each) as u64;
        let mut device = engine.device();
        let (train, test) = (dataset.train, dataset.test);
        let most_bytes = device.max_tensor_bytes();
        let streamed = parts.sizes().streamed(&train, most_bytes);
        if streamed && parts.recipe.accumulate > 1 && parts.task.phases().len() > 1 {
            return Err(Error::Config(format!(
                "the task {} has several phases, each of which takes all batches of a step, and batches that are streamed come \
                 once: leave out accumulate, or data.stream if the data fit the device",
                parts.task.registered().name
            )));
        }
        let layout = |batch: usize| parts.layout("train", &train, batch, most_bytes);
        let graphs = |recipe: &Recipe| {
            let source = BatchSource::Set(layout(recipe.batch));
            planned_graphs(&*device, &*parts.task, &parts.models, recipe, &source)
        };
        let graphs = graphs(&parts.recipe).map_err(|error| {
            suggest_batch(error, &parts.recipe, |recipe| graphs(recipe).is_ok())
        })?;
        let layout = layout(parts.recipe.batch);
        let source = BatchSource::Set(layout.clone());
        let values = parts.initial();
        parts.models.put(&mut *device, &values)?;
        let evaluator = Evaluator::evaluation(
            &mut *device,
            parts.task.clone(),
            &parts.models,
            test,
            parts.normal(),
            parts.sizes(),
        )?;
        let train = Loaded::new(&mut *device, layout, streamed, train)?;
        let trainer = Trainer::with_graphs(
            device,
            parts.task,
            parts.models,
            parts.recipe,
            source,
            graphs,
        )?;
        let places = ["loss", "score", "weight"].map(|name| trainer.watched(name));
        let metrics = trainer.task().metrics();
        let score = metrics.first().filter(|_| places[1].is_some()).copied();
        let mut run = Run {
            engine,
            trainer,
            evaluator,
            train,
            length: parts.length,
            monitor: parts.monitor,
            data: parts.data,
            fitted: parts.fitted,
            title: parts.title,
            progress: Progress::default(),
            last: None,
            peak_bytes: 0,
            epoch_samples,
            score,
            places,
        };
        run.trainer.set_planned_steps(run.planned_steps());
        run.note_memory();
        Ok(run)
    }

    fn note_memory(&mut self) {
        let now = self.trainer.device().allocated_bytes().unwrap_or(0);
        self.peak_bytes = self.peak_bytes.max(now);
    }

    /// Peak number of bytes allocated on the device; 0 if the device does not report it.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// Bytes of weights, state, data and the steps' workspace on a device, according to the plan.
    pub fn planned_bytes(&self) -> u64 {
        let device = self.trainer.device();
        device.variable_bytes()
            + self.trainer.workspace_bytes()
            + self.evaluator.workspace_bytes(device)
    }

    /// Makes the run end after a total of `epochs` epochs.
    pub fn extend(&mut self, epochs: u32) {
        self.length.epochs = epochs;
        self.trainer.set_planned_steps(self.planned_steps());
    }

    /// The trainer, with its device and models.
    pub fn trainer(&self) -> &Trainer<'e> {
        &self.trainer
    }

    /// The progress of the run.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The name of the metric by which epochs are compared, if they are.
    pub fn monitored(&self) -> Option<&'static str> {
        let metric = self.monitor.metric(&**self.trainer.task())?;
        Some(metric.name)
    }

    /// Whether the run stopped early.
    pub fn stopped_early(&self) -> bool {
        self.gives_up() && !self.is_complete()
    }

    /// Resumes from `checkpoint`.
    ///
    /// # Errors
    /// If it is of another model or optimizer.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let other = |what: String| {
            Error::Config(format!(
                "the checkpoint is of another model or optimizer: {what}; resume with the run.toml that it was made with"
            ))
        };
        let state = self.trainer.state().to_vec();
        for name in &state {
            let found = checkpoint.variables.iter().find(|(n, _)| n == name);
            let (_, value) = found.ok_or_else(|| other(format!("it lacks {name}")))?;
            let (have, want) = (value.ty(), self.trainer.device().ty(name)?);
            if have != want {
                return Err(other(format!("its {name} is {have}, this run's is {want}")));
            }
        }
        for (name, value) in checkpoint.variables {
            if !state.contains(&name) {
                return Err(other(format!(
                    "it holds {name}, which this run does not have"
                )));
            }
            self.trainer.device_mut().set(&name, &value)?;
        }
        self.trainer.set_steps_done(checkpoint.progress.step);
        self.trainer
            .set_plateau(checkpoint.progress.plateau.clone());
        self.progress = checkpoint.progress;
        Ok(())
    }

    /// A checkpoint from which the run can be resumed.
    ///
    /// # Errors
    /// If the device failed.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let device = self.trainer.device();
        let read = |name: &String| Ok((name.clone(), device.get(name)?));
        let variables = self.trainer.state().iter().map(read);
        Ok(Checkpoint {
            variables: variables.collect::<Result<Vec<_>>>()?,
            progress: Progress {
                step: self.trainer.steps_done(),
                plateau: self.trainer.plateau().clone(),
                ..self.progress.clone()
            },
        })
    }

    /// Writes weights, or their moving averages, and buffers in PyTorch's layouts.
    ///
    /// # Errors
    /// If the device failed, or the file can't be written.
    pub fn save_model(&self, path: &Path) -> Result<()> {
        let values = self.trainer.values()?;
        weights::save(
            path,
            self.trainer.models().spec(),
            &values,
            self.trainer.steps_done(),
        )
    }

    /// Trains until all epochs or steps are done, or the run stops early. After every epoch, and when the observer stops the
    /// training, `observer` is notified and a checkpoint and the weights are written to `folder`, if there is one.
    ///
    /// # Errors
    /// If the device failed, the loss is not finite, the folder can't be written, or the observer stopped the training.
    pub fn fit(
        &mut self,
        observer: &mut dyn Observer,
        folder: Option<&RunFolder>,
    ) -> Result<Evaluation> {
        if let (Some(folder), Some(tuning)) = (folder, self.engine.tuning()) {
            folder.record_variants(&tuning)?;
        }
        let mut last = None;
        while !self.is_done() {
            let Some(report) = self.run_epoch(observer)? else {
                return Err(self.stopped(folder)?);
            };
            if let Some(folder) = folder {
                folder.add_metrics(&epoch_line(&report))?;
                folder.add_checkpoint(&self.checkpoint()?)?;
                self.save_model(&folder.model_path())?;
                if report.is_best {
                    self.save_model(&folder.best_path())?;
                }
                self.write_report(folder)?;
                self.write_epoch_files(folder, report.epoch)?;
            }
            observer.epoch(&report)?;
            last = Some(report.test);
        }
        match last {
            Some(evaluation) => Ok(evaluation),
            None => {
                let evaluation = self.evaluate()?;
                if let Some(folder) = folder {
                    self.save_model(&folder.model_path())?;
                }
                Ok(evaluation)
            }
        }
    }

    /// Writes the checkpoint of a stopped run and returns the message about it.
    fn stopped(&self, folder: Option<&RunFolder>) -> Result<Error> {
        let what = format!(
            "stopped after step {} of {}",
            self.trainer.steps_done(),
            self.planned_steps()
        );
        let Some(folder) = folder else {
            return Ok(Error::Stopped(what));
        };
        folder.add_checkpoint(&self.checkpoint()?)?;
        self.save_model(&folder.model_path())?;
        let path = folder.resumed_path().display();
        Ok(Error::Stopped(format!(
            "{what}; resume with: wgrad train --resume {path}"
        )))
    }

    /// Whether all epochs or steps are done, or the run stopped early.
    pub fn is_done(&self) -> bool {
        self.is_complete() || self.gives_up()
    }

    /// Whether all epochs or steps are done.
    fn is_complete(&self) -> bool {
        match self.length.steps {
            Some(steps) => self.trainer.steps_done() >= steps,
            None => self.progress.epoch >= self.length.epochs,
        }
    }

    /// Whether the run is out of patience.
    fn gives_up(&self) -> bool {
        let patience = self.monitor.patience;
        patience.is_some_and(|patience| self.progress.epochs_without_improvement >= patience)
    }

    /// Loss and figures on the part to evaluate.
    ///
    /// # Errors
    /// If the device failed.
    pub fn evaluate(&mut self) -> Result<Evaluation> {
        let shown = Outputs::First(self.trainer.task().shown_samples());
        self.trainer.exchange_averages()?;
        let passed = self.evaluator.run(self.trainer.device_mut(), shown);
        self.trainer.exchange_averages()?;
        let (counters, outputs) = passed?;
        let evaluation = evaluation(&**self.trainer.task(), &counters, self.data.evaluate);
        self.last = Some((counters, outputs));
        Ok(evaluation)
    }

    /// The last evaluation, for the task's findings and report.
    pub fn evaluated(&self) -> Option<Evaluated<'_>> {
        let (counters, outputs) = self.last.as_ref()?;
        Some(Evaluated {
            counters,
            samples: self.evaluator.samples(),
            fitted: &self.fitted,
            data: &self.data,
            outputs,
            complete: false,
        })
    }

    /// Writes the task's files of an epoch.
    fn write_epoch_files(&self, folder: &RunFolder, epoch: u32) -> Result<()> {
        let Some(found) = self.evaluated() else {
            return Ok(());
        };
        let files = self.trainer.task().epoch_files(&found)?;
        let mut files = files.iter();
        files.try_for_each(|file| folder.add_epoch_file(file, epoch))
    }

    fn write_report(&self, folder: &RunFolder) -> Result<()> {
        let task = self.trainer.task();
        let found = self.evaluated();
        let sections: Vec<Section> = found.map(|found| task.report(&found)).unwrap_or_default();
        let best = self.progress.best.as_ref();
        let best = best.zip(self.monitor.metric(&**task));
        let page = report::html(&report::Page {
            title: &self.title,
            device: &self.engine.name(),
            metrics: &task.metrics(),
            epochs: &folder.read_metrics()?,
            best: best.map(|(best, metric)| (best.epoch, metric.name, metric.show(best.value))),
            sections: &sections,
            settings: &folder.read_settings()?,
        });
        folder.write_report(&page)
    }
}

/// The metrics of `task` from its counters.
pub(crate) fn evaluation(task: &dyn Task, counters: &Counters, part: Part) -> Evaluation {
    let figures = task.metrics().into_iter().filter_map(|metric| {
        let value = (metric.figure)(counters)?;
        Some(Figure { metric, value })
    });
    Evaluation {
        part,
        loss: counters.loss().unwrap_or(f64::NAN),
        figures: figures.collect(),
        count: counters.samples as usize,
    }
}

/// Trained models and samples to evaluate or predict, on an engine.
pub struct Measured<'e> {
    device: Box<dyn Device + 'e>,
    evaluator: Evaluator,
    data: DataSettings,
    fitted: Fitted,
}

impl<'e> Measured<'e> {
    /// Puts weights and a set on `engine` for evaluation.
    ///
    /// # Errors
    /// If the data do not fit the models, or device memory is too small.
    pub fn evaluation(
        engine: &'e Engine,
        parts: RunParts,
        samples: impl Into<Samples>,
    ) -> Result<Measured<'e>> {
        Self::new(engine, parts, samples.into(), "test")
    }

    /// Puts weights and samples without targets on `engine` for prediction.
    ///
    /// # Errors
    /// If the data do not fit the models, or device memory is too small.
    pub fn prediction(
        engine: &'e Engine,
        parts: RunParts,
        samples: impl Into<Samples>,
    ) -> Result<Measured<'e>> {
        Self::new(engine, parts, samples.into(), "prediction")
    }

    fn new(
        engine: &'e Engine,
        mut parts: RunParts,
        samples: Samples,
        part: &str,
    ) -> Result<Measured<'e>> {
        parts
            .task
            .check(&parts.fit(part, &samples, &parts.fitted.classes, &parts.data.source))?;
        let mut device = engine.device();
        let values = parts.initial();
        parts.models.put(&mut *device, &values)?;
        let make = match part {
            "prediction" => Evaluator::prediction,
            _ => Evaluator::evaluation,
        };
        let evaluator = make(
            &mut *device,
            parts.task.clone(),
            &parts.models,
            samples,
            parts.normal(),
            parts.sizes(),
        )?;
        Ok(Measured {
            device,
            evaluator,
            data: parts.data,
            fitted: parts.fitted,
        })
    }

    /// Passes over the samples and returns the metrics, the counters and all outputs.
    ///
    /// # Errors
    /// If the device failed.
    pub fn run(&mut self) -> Result<(Evaluation, Counters, Collected)> {
        let (counters, outputs) = self.evaluator.run(&mut *self.device, Outputs::All)?;
        let task = self.evaluator.task();
        let evaluation = evaluation(&**task, &counters, self.data.evaluate);
        Ok((evaluation, counters, outputs))
    }

    /// The decoded predictions of all samples whose outputs were kept: one or more lines of JSON per sample, with its index and,
    /// if it has one, its class as `label`.
    ///
    /// # Errors
    /// If the task can't decode its outputs.
    pub fn sample_lines(&self, outputs: &Collected) -> Result<Vec<Value>> {
        let (samples, task) = (self.evaluator.samples(), self.evaluator.task());
        let mut lines = Vec::new();
        for index in 0..samples.len() {
            let said = task.decode(&Decoded {
                outputs: &outputs_of(outputs, index),
                samples,
                index,
                picture: None,
                fitted: &self.fitted,
                data: &self.data,
                top: usize::MAX,
                out_named: false,
            })?;
            let label = samples.labels().and_then(|labels| labels.get(index));
            let class = label.map(|&label| match self.fitted.classes.get(label as usize) {
                Some(name) => name.clone(),
                None => label.to_string(),
            });
            for line in said.lines {
                let mut json = line.json;
                json.insert("index".to_string(), index.into());
                if let Some(class) = &class {
                    json.insert("label".to_string(), class.clone().into());
                }
                lines.push(Value::Object(json));
            }
        }
        Ok(lines)
    }

    /// The results of a pass, for the task's findings and report.
    pub fn evaluated<'a>(
        &'a self,
        counters: &'a Counters,
        outputs: &'a Collected,
    ) -> Evaluated<'a> {
        Evaluated {
            counters,
            samples: self.evaluator.samples(),
            fitted: &self.fitted,
            data: &self.data,
            outputs,
            complete: true,
        }
    }
}
