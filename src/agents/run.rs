//! An agent's run: epochs of steps in its environments, with checkpoints, resuming and a report.

use super::epoch::{AgentEpoch, AgentObserver, Tally};
use super::interaction::Interaction;
use super::{Learner, Setting, learner, report};
use crate::cpu::{Data, Tensor};
use crate::data::{Field, FieldValues, Normalization, Samples, Starts, WindowRows, field};
use crate::device::Engine;
use crate::environments::{EnvironmentSettings, RegisteredEnvironment, Vectorised};
use crate::environments::{double_words, doubles};
use crate::error::{Error, Result};
use crate::nn::weights;
use crate::optim::Schedule;
use crate::random::Purpose;
use crate::run::{Best, Checkpoint, Figure, Progress, RunFolder, RunParts, StepReport};
use crate::tasks::{Fit, Metric, TaskSettings};
use crate::train::{BatchSource, Trainer};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an agent's run is made of.
pub struct AgentParts {
    /// Task, models, recipe, length, saving and title.
    pub run: RunParts,
    /// The settings of the task.
    pub task: TaskSettings,
    /// The environment.
    pub environment: EnvironmentSettings,
}

/// The mean return, for the live view.
const RETURN: Metric = Metric {
    better: crate::tasks::Better::Higher,
    shown: crate::tasks::Shown::Decimals(2),
    ..Metric::error("mean_return", |_| None)
};

/// Names of what a checkpoint holds beside the variables of the device. No layer's name contains a colon.
const PREFIX: &str = "agent:";
const ENVIRONMENTS: &str = "environments";
const TALLY: &str = "tally";
const STEPS: &str = "steps";

/// Time between two reports within an epoch.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// A run of an agent on an engine.
pub struct AgentRun<'e> {
    engine: &'e Engine,
    interaction: Interaction<'e>,
    learner: Box<dyn Learner>,
    epochs: u32,
    epoch_steps: u64,
    /// Checkpoints that are kept.
    keep: usize,
    title: String,
    progress: Progress,
    tally: Tally,
    last: Option<AgentEpoch>,
    reported: Instant,
}

/// A sample of the environment `known`, with which models are checked.
fn example(known: &RegisteredEnvironment) -> Samples {
    let columns = known.observation.len();
    let rows = WindowRows::Floats {
        values: vec![0.0; columns],
        columns,
    };
    let row = Field {
        name: field::ROW,
        values: FieldValues::Windows {
            rows: Arc::new(rows),
            offset: 0,
            length: 1,
        },
    };
    let starts = Starts {
        first: vec![0],
        anywhere: false,
        span: 1,
        rows: 1,
    };
    Samples::new(1, vec![row], Some(starts))
}

/// Checks that the models of `run` fit observations and actions of `known`.
///
/// # Errors
/// Says what does not fit.
pub(super) fn check_models(run: &RunParts, known: &RegisteredEnvironment) -> Result<()> {
    let classes: Vec<String> = known.actions.iter().map(ToString::to_string).collect();
    run.task.check(&Fit {
        models: &run.models,
        samples: &example(known),
        part: "training",
        classes: &classes,
        data: known.name,
        normal: Normalization {
            mean: &[],
            std: &[],
        },
    })
}

impl<'e> AgentRun<'e> {
    /// Puts models, optimizer state and environments on their places.
    ///
    /// # Errors
    /// If models and environment don't fit together, a setting can't be used with an agent, or device memory is too small.
    pub fn new(engine: &'e Engine, parts: AgentParts) -> Result<AgentRun<'e>> {
        let AgentParts {
            mut run,
            task,
            environment,
        } = parts;
        let known = environment.registered()?;
        check_models(&run, known)?;
        let setting = Setting {
            task: &task,
            environment: known,
            count: environment.count,
            batch: run.recipe.batch,
        };
        let mut learner = learner(&setting)?;
        let (epochs, epoch_steps) = (run.length.epochs, environment.epoch_steps);
        let planned = epoch_steps.saturating_mul(epochs.into());
        run.recipe.accumulate = learner.accumulate();
        match learner.updates_after(planned) {
            Some(_) if learner.iteration_steps() > epoch_steps => {
                return Err(Error::Config(format!(
                    "environment.epoch_steps is {epoch_steps}, fewer than the {} steps of all environments between two updates; raise it",
                    learner.iteration_steps()
                )));
            }
            Some(updates) => run.recipe.steps = updates.max(1),
            None if !matches!(run.recipe.schedule, Schedule::Constant(_)) => {
                return Err(Error::Config(format!(
                    "the number of training steps of {} depends on the episodes, so that the learning rate can't follow a schedule; leave \
                     schedule out",
                    run.task.registered().name
                )));
            }
            None => {}
        }
        let values = run.initial();
        let source = BatchSource::Fed {
            size: run.recipe.batch,
            fields: learner.fields(),
        };
        let environments =
            Vectorised::new(known, environment.count, run.recipe.seed, Purpose::Episodes)?;
        let device = engine.device();
        let trainer = Trainer::new(device, run.task, run.models, run.recipe, source, values)?;
        let mut interaction = Interaction::new(trainer, environments, planned)?;
        learner.prepare(&mut interaction)?;
        Ok(AgentRun {
            engine,
            interaction,
            learner,
            epochs,
            epoch_steps,
            keep: run.saving.keep,
            title: run.title,
            progress: Progress::default(),
            tally: Tally::default(),
            last: None,
            reported: Instant::now(),
        })
    }

    /// The trainer, with its device and models.
    pub fn trainer(&self) -> &Trainer<'e> {
        &self.interaction.trainer
    }

    /// The progress of the run.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The environment.
    pub fn environment(&self) -> &'static RegisteredEnvironment {
        self.interaction.environments.known()
    }

    /// Number of episodes of the whole run.
    pub fn all_episodes(&self) -> u64 {
        self.tally.all
    }

    /// Whether all epochs are done.
    pub fn is_done(&self) -> bool {
        self.progress.epoch >= self.epochs
    }

    /// Whether the epoch after `epoch` finished ones has as many steps as fit.
    fn epoch_is_full(&self, epoch: u32) -> bool {
        // Episodes may be of any length.
        let next = match self.learner.updates_after(0) {
            Some(_) => self.learner.iteration_steps(),
            None => 1,
        };
        self.interaction.steps + next > self.epoch_steps * (u64::from(epoch) + 1)
    }

    /// A checkpoint from which the run can be resumed.
    ///
    /// # Errors
    /// If the device failed, or a variable is not finite.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let trainer = &self.interaction.trainer;
        let read = |name: &String| Ok((name.clone(), trainer.device().get(name)?));
        let mut variables = trainer
            .saved()
            .iter()
            .map(read)
            .collect::<Result<Vec<_>>>()?;
        if let Some((name, _)) = variables.iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::Diverged(format!(
                "{name} is not finite in epoch {}; use a lower learning rate, or clip_norm",
                self.progress.epoch + 1
            )));
        }
        let words = |words: Vec<u32>| Tensor::index([words.len()], words);
        let own = [
            (ENVIRONMENTS, words(self.interaction.environments.state())),
            (TALLY, words(double_words(&self.tally.numbers()))),
            (
                STEPS,
                words(crate::random::halves(self.interaction.steps).to_vec()),
            ),
        ];
        let own = own.into_iter().chain(self.learner.kept());
        variables.extend(own.map(|(name, value)| (format!("{PREFIX}{name}"), value)));
        Ok(Checkpoint {
            variables,
            progress: Progress {
                step: trainer.steps_done(),
                device: self.engine.name(),
                ..self.progress.clone()
            },
        })
    }

    /// Resumes from `checkpoint`.
    ///
    /// # Errors
    /// If it is of another run.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let lacks = |name: &str| {
            Error::Config(format!(
                "the checkpoint is of another run: it lacks {name}; resume with the run.toml that it was made with"
            ))
        };
        let found = |name: &str| {
            let found = checkpoint.variables.iter().find(|(own, _)| own == name);
            found.map(|(_, value)| value).ok_or_else(|| lacks(name))
        };
        let own = |name: &str| found(&format!("{PREFIX}{name}")).cloned();
        let words = |name: &str| match own(name)?.data {
            Data::Index(words) => Ok(words),
            Data::Real(_) => Err(lacks(name)),
        };
        for name in self.interaction.trainer.saved().to_vec() {
            let device = self.interaction.trainer.device_mut();
            let value = found(&name)?;
            if value.ty() != device.ty(&name)? {
                return Err(lacks(&format!("{name} of {}", device.ty(&name)?)));
            }
            device.set(&name, value)?;
        }
        self.interaction
            .environments
            .restore(&words(ENVIRONMENTS)?)?;
        self.tally = Tally::of(&doubles(&words(TALLY)?)).ok_or_else(|| lacks(TALLY))?;
        self.interaction.steps = match words(STEPS)?[..] {
            [low, high] => u64::from(high) << 32 | u64::from(low),
            _ => return Err(lacks(STEPS)),
        };
        self.learner.take(&own)?;
        let done = checkpoint.progress.step;
        self.interaction.trainer.set_steps_done(done);
        self.progress = checkpoint.progress;
        Ok(())
    }

    /// Writes the weights, also as the best ones if they are.
    ///
    /// # Errors
    /// If the device failed, or a file can't be written.
    fn save_model(&self, folder: &RunFolder, is_best: bool) -> Result<()> {
        let (trainer, path) = (self.trainer(), folder.model_path());
        let (values, steps) = (trainer.values()?, trainer.steps_done());
        let bytes = weights::to_bytes(&path, trainer.models().spec(), &values, steps, &[])?;
        folder.write_weights(&bytes, steps, is_best)
    }

    /// Lets the agent learn until all epochs are done. After every epoch, and when the observer stops the run, a checkpoint and the
    /// weights are written to `folder`, if there is one. Returns the last epoch, if there was one.
    ///
    /// # Errors
    /// If an environment or the device failed, a number is not finite, the folder can't be written, or the observer stopped the run.
    pub fn fit(
        &mut self,
        observer: &mut dyn AgentObserver,
        folder: Option<&RunFolder>,
    ) -> Result<Option<AgentEpoch>> {
        if let (Some(folder), Some(tuning)) = (folder, self.engine.tuning()) {
            folder.record_variants(&tuning)?;
        }
        while !self.is_done() {
            let Some(epoch) = self.run_epoch(observer)? else {
                return Err(self.stopped(folder)?);
            };
            if let Some(folder) = folder {
                // The checkpoint is written last. A run that is killed before it repeats the epoch and writes the same again.
                folder.add_metrics(&epoch.to_json().into())?;
                self.save_model(folder, epoch.is_best)?;
                self.write_report(folder)?;
                folder.add_checkpoint(&self.checkpoint()?, self.keep)?;
            } else {
                self.checkpoint()?;
            }
            observer.agent_epoch(&epoch)?;
            self.last = Some(epoch);
        }
        if let Some(folder) = folder {
            folder.record_end(self.trainer().steps_done())?;
        }
        Ok(self.last.clone())
    }

    /// Takes the iterations of an epoch; `None` if the observer stopped them.
    fn run_epoch(&mut self, observer: &mut dyn AgentObserver) -> Result<Option<AgentEpoch>> {
        let done = self.progress.epoch;
        let start = Instant::now();
        let before = self.progress.seconds;
        let first = self.interaction.steps;
        if before == 0.0 {
            self.interaction.trainer.reset_counters()?;
            self.tally.begin(first);
        }
        while !self.epoch_is_full(done) {
            let samples = self.learner.iterate(&mut self.interaction)?;
            self.tally.samples += samples;
            self.tally.add(self.interaction.episodes.drain(..));
            if self.reported.elapsed() >= REPORT_EVERY {
                self.reported = Instant::now();
                self.report(observer, start, first)?;
            }
            if observer.stops() {
                self.progress.seconds = before + start.elapsed().as_secs_f64();
                return Ok(None);
            }
        }
        let seconds = before + start.elapsed().as_secs_f64();
        self.progress.epoch = done + 1;
        self.progress.seconds = 0.0;
        let counters = self.interaction.trainer.counters(self.tally.samples)?;
        let trained = self.tally.samples > 0;
        let train_loss = counters.loss().filter(|_| trained);
        if train_loss.is_some_and(|loss| !loss.is_finite()) {
            return Err(Error::Diverged(format!(
                "the loss is not finite in epoch {}; use a lower learning rate, or clip_norm",
                done + 1
            )));
        }
        let metrics = self.interaction.trainer.task().metrics();
        let figure = |metric: Metric| {
            let value = (metric.figure)(&counters).filter(|_| trained)?;
            Some(Figure { metric, value })
        };
        let recent = self.tally.recent_mean();
        let best = self.progress.best.as_ref().map(|best| best.value);
        let is_best = recent.is_some_and(|recent| best.is_none_or(|best| recent > best));
        let steps_done = self.interaction.trainer.steps_done();
        if let Some(value) = recent.filter(|_| is_best) {
            self.progress.best = Some(Best {
                epoch: done + 1,
                value,
                loss: train_loss.unwrap_or(0.0),
                step: steps_done,
            });
        }
        let taken = self.interaction.steps - self.tally.start;
        Ok(Some(AgentEpoch {
            epoch: done + 1,
            epochs: self.epochs,
            env_steps: self.interaction.steps,
            episodes: self.tally.episodes,
            mean_return: self.tally.mean(self.tally.total),
            mean_length: self.tally.mean(self.tally.length),
            recent_return: recent,
            train_loss,
            figures: metrics.into_iter().filter_map(figure).collect(),
            learning_rate: self
                .interaction
                .trainer
                .lr_after(steps_done.saturating_sub(1)),
            seconds,
            steps_per_second: taken as f64 / seconds.max(1e-9),
            is_best,
        }))
    }

    /// Reports progress within an epoch that began at `start`, after `first` steps.
    fn report(&self, observer: &mut dyn AgentObserver, start: Instant, first: u64) -> Result<()> {
        let trainer = &self.interaction.trainer;
        let counters = trainer.counters(self.tally.samples)?;
        let (steps, planned) = (self.interaction.steps, self.interaction.planned.max(1));
        let speed = (steps - first) as f64 / start.elapsed().as_secs_f64().max(1e-9);
        let left = planned.saturating_sub(steps) as f64 / speed.max(1e-9);
        let mean = self.tally.recent_mean();
        observer.step(&StepReport {
            epoch: self.progress.epoch + 1,
            epochs: self.epochs,
            step: steps - self.tally.start.min(steps),
            steps: self.epoch_steps,
            loss: counters
                .loss()
                .filter(|loss| loss.is_finite())
                .unwrap_or(0.0),
            score: mean.map(|value| Figure {
                metric: RETURN,
                value,
            }),
            samples_per_second: speed,
            time_left: Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX),
            done: steps as f64 / planned as f64,
            learning_rate: trainer.lr(),
            device_bytes: trainer.device().allocated_bytes().unwrap_or(0),
            kernels: None,
        });
        Ok(())
    }

    /// Writes the checkpoint of a stopped run and returns the message about it.
    fn stopped(&mut self, folder: Option<&RunFolder>) -> Result<Error> {
        let what = format!(
            "stopped after step {} of {} of the environments",
            self.interaction.steps, self.interaction.planned
        );
        let Some(folder) = folder else {
            return Ok(Error::Stopped(what));
        };
        self.save_model(folder, false)?;
        folder.add_checkpoint(&self.checkpoint()?, self.keep)?;
        let path = folder.path.display();
        Ok(Error::Stopped(format!(
            "{what}; resume with: wgrad train --resume {path}"
        )))
    }

    fn write_report(&self, folder: &RunFolder) -> Result<()> {
        let metrics = self.interaction.trainer.task().metrics();
        folder.write_report(&report::page(
            &self.title,
            &self.engine.name(),
            &metrics,
            &folder.read_metrics()?,
            &folder.read_settings()?,
        ))
    }
}
