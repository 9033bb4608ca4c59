//! Runs: epochs of steps over a data set, with evaluation, checkpoints, resuming and reports.

pub mod chart;
mod checkpoint;
mod diagnosis;
mod epoch_plan;
pub mod events;
mod federated;
mod folder;
mod group;
mod kernel_shares;
mod lock;
mod manifest;
mod measured;
mod monitor;
mod norms;
mod observer;
mod parts;
mod private;
mod report;
mod saving;
mod steps;
mod variables_file;

pub use checkpoint::{Best, Checkpoint, Progress};
pub use folder::{RunFolder, RunTexts};
pub use group::{GroupFolder, GroupKind};
pub use kernel_shares::KernelShares;
pub use measured::Measured;
pub use monitor::Monitor;
pub use observer::{
    DataWaits, EpochReport, Evaluation, Figure, LOSS, Observer, PrivacySpent, Silent, StepReport,
    epoch_line,
};
pub use parts::{CheckedRun, Length, RunParts};
pub use saving::{CheckpointInterval, Saving};

use crate::cpu::Tensor;
use crate::data::labelled::Mixture;
use crate::data::{Buckets, DataSettings, Fitted, Part, most_drawn};
use crate::device::Engine;
use crate::error::{Error, Result};
use crate::federated::Federation;
use crate::files::write_whole;
use crate::nn::weights;
use crate::tasks::{Counters, Evaluated, Metric, Reported, Section, Task};
use crate::train::{
    BatchSource, Collected, Evaluator, Loaded, Outputs, PreparedSteps, Recipe, Trainer,
    planned_graphs, suggest_batch,
};
use events::TensorBoard;
use norms::EpochStart;
use report::ReportPace;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A training run on an engine.
pub struct Run<'e> {
    engine: &'e Engine,
    trainer: Trainer<'e>,
    evaluator: Evaluator,
    train: Loaded,
    /// The lengths of training batches, if they are padded to less than the context.
    buckets: Option<Buckets>,
    /// How samples with and without classes are mixed, if the task learns from both.
    mixture: Option<Mixture>,
    /// The clients, if the run averages what they learn.
    federation: Option<Federation>,
    /// Share of the clients of the last private round whose updates were clipped.
    clipped_clients: f64,
    length: Length,
    monitor: Monitor,
    saving: Saving,
    data: DataSettings,
    fitted: Fitted,
    title: String,
    progress: Progress,
    /// Counters of the last evaluation, and the outputs for the report.
    last: Option<(Counters, Collected)>,
    /// What the task found in the last evaluation, where a report needed its outputs, which are dropped after it.
    found: Option<Reported>,
    peak_bytes: u64,
    epoch_samples: usize,
    /// The task's score, if training steps compute it.
    score: Option<Metric>,
    /// Positions of loss, score and weight among the watched counters.
    places: [Option<usize>; 3],
    report_pace: ReportPace,
    /// Whether a report follows the epoch that was evaluated last.
    report_follows: bool,
    /// The sections of the task in the last report, with the epoch that they are about.
    sections: Option<(u32, Vec<Section>)>,
    /// The parameters at the start of the epoch.
    epoch_start: EpochStart,
    /// The waiting for data in the last epoch, if pictures are decoded while the device trains.
    waits: Option<DataWaits>,
    /// The shares of the kernels, once a step of this process was timed.
    kernels: Option<Arc<KernelShares>>,
    /// The event files, if the run writes them.
    tensorboard: Option<TensorBoard>,
    /// When the last checkpoint was written, or the run began.
    saved: Instant,
}

impl<'e> Run<'e> {
    /// Puts weights, optimizer state and both sets on `engine` and prepares training and evaluation.
    ///
    /// # Errors
    /// If device memory is too small, or the data would have to be streamed to a task of several phases that accumulates.
    pub fn new(engine: &'e Engine, run: CheckedRun) -> Result<Run<'e>> {
        let CheckedRun {
            mut parts,
            dataset,
            epoch_samples,
            federation,
        } = run;
        let mut device = engine.device();
        let (train, test) = (dataset.train, dataset.test);
        let part = parts.data.evaluate.name();
        let tensorboard = parts.tensorboard.then(|| TensorBoard::new(&test, part));
        let most_bytes = device.max_tensor_bytes();
        let streamed = parts.sizes().streamed(&train, most_bytes);
        if streamed && parts.recipe.accumulate > 1 && parts.task.phases().len() > 1 {
            return Err(Error::Config(format!(
                "the task {} has several phases, each of which takes all batches of a step, and batches that are streamed come \
                 once: leave out accumulate, or data.stream if the data fit the device",
                parts.task.registered().name
            )));
        }
        // Other passes visit every sample at most once.
        let visits = match (&parts.recipe.privacy, &federation) {
            (Some(private), _) => {
                let steps = epoch_samples.div_ceil(private.expected);
                Some(most_drawn(steps, private.expected))
            }
            (None, Some(federation)) => Some(federation.visits().max(train.len())),
            (None, None) => None,
        };
        if streamed && visits.is_some() {
            return Err(Error::Config(
                "[privacy] and [federated] choose samples from all of them, and these are streamed because the device has no room for them: take \
                 a smaller set or smaller images"
                    .to_string(),
            ));
        }
        let layout = |batch: usize| {
            let layout = parts.layout("train", &train, batch, most_bytes);
            match visits {
                Some(visits) => layout.with_visits(visits),
                None => layout,
            }
        };
        let graphs = |recipe: &Recipe| {
            let source = BatchSource::Set(layout(recipe.batch));
            planned_graphs(&*device, &*parts.task, &parts.models, recipe, &source)
        };
        let planned = graphs(&parts.recipe).map_err(|error| {
            suggest_batch(error, &parts.recipe, |recipe| graphs(recipe).is_ok())
        })?;
        let layout = layout(parts.recipe.batch);
        let buckets = parts.buckets(&train, streamed)?;
        let mixture = parts.mixture(&train)?;
        let lengths = buckets.iter().flat_map(|buckets| &buckets.lengths);
        let shorter = lengths.map(|&length| {
            let source = BatchSource::Set(layout.shortened(length));
            let models = parts.models.shortened(length)?;
            planned_graphs(&*device, &*parts.task, &models, &parts.recipe, &source)
        });
        let shorter = shorter.collect::<Result<Vec<_>>>()?;
        let values = parts.initial();
        parts.models.put(&mut *device, &values)?;
        let train = Loaded::new(&mut *device, layout.clone(), streamed, train)?;
        let mut prepared = PreparedSteps::new(
            &mut *device,
            &*parts.task,
            &parts.models,
            &parts.recipe,
            planned,
        )
        .map_err(|error| parts.advised(error, &*device, &layout))?;
        for graphs in shorter {
            prepared
                .add_shorter(&mut *device, &*parts.task, &parts.recipe, graphs)
                .map_err(|error| parts.advised(error, &*device, &layout))?;
        }
        let evaluator = Evaluator::evaluation(
            &mut *device,
            parts.task.clone(),
            &parts.models,
            test,
            parts.normal(),
            parts.sizes(),
        )
        .map_err(|error| parts.advised(error, &*device, &layout))?;
        let source = BatchSource::Set(layout);
        let trainer = Trainer::of(
            device,
            parts.task,
            parts.models,
            parts.recipe,
            source,
            prepared,
        );
        let places = ["loss", "score", "weight"].map(|name| trainer.watched(name));
        let metrics = trainer.task().metrics();
        let score = metrics.first().filter(|_| places[1].is_some()).copied();
        let mut run = Run {
            engine,
            trainer,
            evaluator,
            train,
            buckets,
            mixture,
            federation,
            clipped_clients: 0.0,
            length: parts.length,
            monitor: parts.monitor,
            saving: parts.saving,
            data: parts.data,
            fitted: parts.fitted,
            title: parts.title,
            progress: Progress::default(),
            last: None,
            found: None,
            peak_bytes: 0,
            epoch_samples,
            score,
            places,
            report_pace: ReportPace::default(),
            report_follows: false,
            sections: None,
            epoch_start: EpochStart::default(),
            waits: None,
            kernels: None,
            tensorboard: tensorboard.transpose()?,
            saved: Instant::now(),
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
        let state = self.trainer.saved().to_vec();
        let begun = !checkpoint
            .progress
            .step
            .is_multiple_of(self.steps_of_epoch());
        for name in &state {
            let found = checkpoint.variables.iter().find(|(n, _)| n == name);
            let Some((_, value)) = found else {
                // Checkpoints of earlier versions lack the sums of the epoch, which only matter within one.
                match Trainer::is_sum(name) && !begun {
                    true => continue,
                    false => return Err(other(format!("it lacks {name}"))),
                }
            };
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
    /// If the device failed, or a variable is not finite.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let device = self.trainer.device();
        let read = |name: &String| Ok((name.clone(), device.get(name)?));
        let variables = self.trainer.saved().iter().map(read);
        let variables = variables.collect::<Result<Vec<_>>>()?;
        let diverged =
            |(name, value): &&(String, _)| !Trainer::is_sum(name) && !Tensor::is_finite(value);
        if let Some((name, _)) = variables.iter().find(diverged) {
            return Err(self.diverged(name, self.progress.epoch + 1));
        }
        Ok(Checkpoint {
            variables,
            progress: Progress {
                step: self.trainer.steps_done(),
                plateau: self.trainer.plateau().clone(),
                device: self.engine.name(),
                ..self.progress.clone()
            },
        })
    }

    /// Writes weights, or their moving averages, and buffers in PyTorch's layouts.
    ///
    /// # Errors
    /// If the device failed, or the file can't be written.
    pub fn save_model(&self, path: &Path) -> Result<()> {
        write_whole(path, &self.model_bytes(path)?)
    }

    /// The bytes that [`Run::save_model`] writes to `path`.
    fn model_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        let values = self.trainer.values()?;
        let steps = self.trainer.steps_done();
        weights::to_bytes(path, self.trainer.models().spec(), &values, steps, &[])
    }

    /// Writes what was trained beside the weights that stay as they are, if there are low-rank adapters.
    fn save_lora(&self, folder: &RunFolder) -> Result<()> {
        let model = self.trainer.models().first()?;
        match model.lora() {
            Some(_) => {
                weights::save_lora(&folder.claim_lora()?, model, &self.trainer.values()?)?;
                folder.record_lora(self.trainer.steps_done())
            }
            None => Ok(()),
        }
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
        if let (Some(folder), false) = (folder, self.is_done()) {
            self.begin_events(folder)?;
            if self.progress.step.is_multiple_of(self.steps_of_epoch()) {
                self.epoch_start.note(&self.trainer)?;
            }
        }
        let mut last = None;
        while !self.is_done() {
            let Some(report) = self.run_epoch(observer, folder)? else {
                return Err(self.stopped(folder)?);
            };
            if let Some(folder) = folder {
                // The checkpoint is written last. A run that is killed before it repeats the epoch and writes the same again.
                folder.add_metrics(&epoch_line(&report))?;
                let bytes = self.model_bytes(&folder.model_path())?;
                folder.write_weights(&bytes, self.trainer.steps_done(), report.is_best)?;
                if report.is_best {
                    self.save_lora(folder)?;
                }
                let checkpoint = self.checkpoint()?;
                let norms = self
                    .epoch_start
                    .advance(&self.trainer, &checkpoint, report.epoch);
                folder.add_norms(&serde_json::json!(norms))?;
                if self.report_follows || self.is_done() {
                    self.write_report(folder, report.epoch)?;
                }
                self.write_epoch_files(folder, report.epoch)?;
                self.write_events(&report)?;
                self.write_checkpoint(folder, &checkpoint)?;
            }
            observer.epoch(&report)?;
            last = Some(report.test);
        }
        match last {
            Some(evaluation) => {
                if let Some(events) = &mut self.tensorboard {
                    events.finish(self.trainer.steps_done())?;
                }
                self.record_end(folder)?;
                Ok(evaluation)
            }
            None => {
                let evaluation = self.evaluate()?;
                if let Some(folder) = folder {
                    let bytes = self.model_bytes(&folder.model_path())?;
                    if !folder.has_weights(&bytes) {
                        folder.write_weights(&bytes, self.trainer.steps_done(), false)?;
                    }
                }
                self.record_end(folder)?;
                Ok(evaluation)
            }
        }
    }

    /// Adds the end of the run to its ledger.
    fn record_end(&self, folder: Option<&RunFolder>) -> Result<()> {
        let steps = self.trainer.steps_done();
        folder.map_or(Ok(()), |folder| folder.record_end(steps))
    }

    /// Writes a checkpoint and removes those that are no longer kept.
    fn save_checkpoint(&mut self, folder: &RunFolder) -> Result<()> {
        let checkpoint = self.checkpoint()?;
        self.write_checkpoint(folder, &checkpoint)
    }

    fn write_checkpoint(&mut self, folder: &RunFolder, checkpoint: &Checkpoint) -> Result<()> {
        folder.add_checkpoint(checkpoint, self.saving.keep)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// Writes the checkpoint of a stopped run and returns the message about it.
    fn stopped(&mut self, folder: Option<&RunFolder>) -> Result<Error> {
        let what = format!(
            "stopped after step {} of {}",
            self.trainer.steps_done(),
            self.planned_steps()
        );
        let Some(folder) = folder else {
            return Ok(Error::Stopped(what));
        };
        let bytes = self.model_bytes(&folder.model_path())?;
        folder.write_weights(&bytes, self.trainer.steps_done(), false)?;
        // The report of the last epoch may not have been due then. The sections of the task stay those of the report before: the
        // weights have changed since the last evaluation.
        if self.last.is_some() {
            self.write_page(folder)?;
        }
        self.save_checkpoint(folder)?;
        let command = folder.resume_command();
        Ok(Error::Stopped(format!("{what}; resume with: {command}")))
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
        self.evaluate_keeping(Outputs::First(self.trainer.task().shown_samples()))
    }

    /// The same after an epoch; keeps the outputs for a report, if one follows.
    fn evaluate_epoch(&mut self, folder: Option<&RunFolder>) -> Result<Evaluation> {
        self.report_follows = folder.is_some() && (self.is_complete() || self.report_pace.is_due());
        if !self.report_follows {
            return self.evaluate();
        }
        let evaluation = self.evaluate_reported()?;
        self.report_pace.written(self.evaluator.reading_time());
        Ok(evaluation)
    }

    /// The same, keeping the outputs for a report.
    fn evaluate_reported(&mut self) -> Result<Evaluation> {
        self.evaluate_keeping(Outputs::Reported(self.trainer.task().shown_samples()))
    }

    fn evaluate_keeping(&mut self, shown: Outputs) -> Result<Evaluation> {
        self.trainer.exchange_averages()?;
        let passed = self.evaluator.run(self.trainer.device_mut(), shown);
        self.trainer.exchange_averages()?;
        let (counters, outputs) = passed?;
        let task = self.trainer.task();
        let computed = task.host_metrics(&Evaluated {
            counters: &counters,
            samples: self.evaluator.samples(),
            fitted: &self.fitted,
            data: &self.data,
            outputs: &outputs,
            complete: false,
        });
        let counters = counters.with_computed(computed);
        let evaluation = evaluation(&**task, &counters, self.data.evaluate);
        self.last = Some((counters, outputs));
        self.found = None;
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

    /// What the task found in the last evaluation, for the end of a run.
    pub fn findings(&self) -> Reported {
        let task = self.trainer.task();
        let now = || self.evaluated().map(|found| task.findings(&found).brief);
        self.found.clone().or_else(now).unwrap_or_default()
    }

    /// Writes the task's files of an epoch.
    fn write_epoch_files(&mut self, folder: &RunFolder, epoch: u32) -> Result<()> {
        let Some(found) = self.evaluated() else {
            return Ok(());
        };
        let files = self.trainer.task().epoch_files(&found)?;
        for file in &files {
            folder.add_epoch_file(file, epoch)?;
        }
        match &mut self.tensorboard {
            Some(events) => events.epoch_files(self.trainer.steps_done(), files),
            None => Ok(()),
        }
    }

    /// Begins an event file, if the run writes them.
    fn begin_events(&mut self, folder: &RunFolder) -> Result<()> {
        match &mut self.tensorboard {
            Some(events) => events.begin(folder, self.trainer.steps_done()),
            None => Ok(()),
        }
    }

    /// Adds an epoch to the event file, if the run writes one: its metrics, and histograms of all tensors that are saved.
    fn write_events(&mut self, report: &EpochReport) -> Result<()> {
        let Some(events) = &mut self.tensorboard else {
            return Ok(());
        };
        let values = self.trainer.values()?;
        let state = self.trainer.models().state().zip(&values);
        let saved = state.filter(|(part, _)| part.in_files());
        let weights = saved.map(|(part, value)| (part.name.as_str(), value));
        let done = self.trainer.steps_done();
        events.epoch(done, &epoch_line(report), weights)
    }

    /// Writes the report of `epoch`, which was just evaluated.
    fn write_report(&mut self, folder: &RunFolder, epoch: u32) -> Result<()> {
        let start = Instant::now();
        if !self.report_follows {
            // The run stopped early, which was not known before the evaluation.
            self.evaluate_reported()?;
        }
        self.make_sections(epoch)?;
        self.write_page(folder)?;
        self.report_pace.written(start.elapsed());
        Ok(())
    }

    /// Makes the sections of the task from the last evaluation, after `epoch`, and drops the outputs that only they need.
    fn make_sections(&mut self, epoch: u32) -> Result<()> {
        let task = self.trainer.task().clone();
        let Some(found) = self.evaluated() else {
            return Ok(());
        };
        let worst = task.worst_samples(&found, report::MOST_SAMPLES);
        let mut sections = task.report(&found);
        let indices: Vec<usize> = worst.iter().map(|sample| sample.index).collect();
        let pictures = match indices.is_empty() {
            true => None,
            false => self
                .evaluator
                .pictures(self.trainer.device_mut(), &indices)?,
        };
        let (samples, part) = (self.evaluator.samples(), self.data.evaluate.name());
        let about = format!("Of the {part} part, the largest first");
        let html = report::worst_section(&worst, samples, &self.fitted, pictures.as_ref(), &about);
        if !html.is_empty() {
            sections.push(Section {
                title: "Samples with the largest losses".to_string(),
                html,
            });
        }
        self.sections = Some((epoch, sections));
        self.found = self.evaluated().map(|found| task.findings(&found).brief);
        if let Some((_, outputs)) = &mut self.last {
            let kept = [task.reported_outputs(), task.host_outputs()].concat();
            outputs.retain(|(name, ..)| !kept.contains(&&**name));
        }
        Ok(())
    }

    fn write_page(&self, folder: &RunFolder) -> Result<()> {
        let task = self.trainer.task();
        let best = self.progress.best.as_ref();
        let best = best.zip(self.monitor.metric(&**task));
        let sections = self.sections.as_ref();
        let page = report::page(&report::Page {
            title: &self.title,
            device: &self.engine.name(),
            metrics: &task.metrics(),
            epochs: &folder.read_metrics()?,
            best: best.map(|(best, metric)| (best.epoch, metric.name, metric.show(best.value))),
            sections: sections.map(|(epoch, sections)| (*epoch, &sections[..])),
            norms: &folder.read_norms::<norms::EpochNorms>(),
            kernels: self.kernels.as_deref(),
            digests: &self.fitted.digests,
            settings: &folder.read_settings()?,
            samples: self.evaluator.samples(),
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
