//! The steps of an epoch: submission, and progress reports while the device works.

use super::epoch_plan::EpochPlan;
use super::observer::{DataWaits, EpochReport, Figure, Observer, StepReport};
use super::{Evaluation, KernelShares, Run, RunFolder};
use crate::data::{Buckets, Pass, drawn};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::tasks::{Better, Counters, Metric};
use crate::train::{NextBatch, Pace, Place};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Steps of a process before the one whose kernels are timed.
const WARM_STEPS: u64 = 3;

impl Run<'_> {
    /// Trains and evaluates; `None` if the observer stopped it before the epoch's steps were done.
    pub(super) fn run_epoch(
        &mut self,
        observer: &mut dyn Observer,
        folder: Option<&RunFolder>,
    ) -> Result<Option<EpochReport>> {
        let totals = match self.federation.clone() {
            Some(federation) => self.federated_round(&federation, observer)?,
            None => self.train_steps(observer, folder)?,
        };
        let Some(totals) = totals else {
            return Ok(None);
        };
        let seconds = self.progress.seconds;
        let epoch = self.progress.epoch + 1;
        if self
            .trainer
            .steps_done()
            .is_multiple_of(self.steps_of_epoch())
        {
            self.progress.epoch = epoch;
            self.progress.seconds = 0.0;
        }
        self.progress.step = self.trainer.steps_done();
        self.note_memory();
        let count = totals.samples.max(1) as f64;
        let phase_losses = self.phase_losses(totals.samples, epoch)?;
        let scaling = self.trainer.loss_scaling()?;
        let privacy = self.privacy_spent(totals.samples)?;
        let test = self.evaluate_epoch(folder)?;
        if !test.loss.is_finite() {
            return Err(self.diverged("test loss", epoch));
        }
        let task = self.trainer.task().clone();
        let is_best = self
            .monitor
            .observe(&*task, &mut self.progress, epoch, &test);
        let steps = self.trainer.steps_done();
        let learning_rate = self.trainer.lr_after(steps.saturating_sub(1));
        self.follow_plateau(&test);
        Ok(Some(EpochReport {
            epoch,
            epochs: self.planned_epochs(),
            train_loss: totals.mean_loss(),
            phase_losses,
            train_score: totals.score(self.score),
            learning_rate,
            test,
            samples_per_s: count / seconds,
            seconds,
            is_best,
            waits: self.waits,
            scaling,
            privacy,
        }))
    }

    /// The samples of an epoch, and how its steps take them.
    ///
    /// # Errors
    /// If steps take samples at random, and more than there is room for: about as likely as a collision of two digests.
    fn pass(&self, epoch: u32) -> Result<(Pass, EpochPlan)> {
        let recipe = self.trainer.recipe();
        let (batch, seed) = (recipe.batch, recipe.seed);
        let set = &self.train.set;
        if let Some(private) = &recipe.privacy {
            let steps = self.steps_of_epoch() as usize;
            let (order, sizes) = drawn(set.len(), private.rate(), steps, seed, epoch);
            if order.len() > self.train.layout.visits() {
                return Err(Error::Training(format!(
                    "the steps of epoch {} drew {} samples, more than there is room for; use another seed",
                    epoch + 1,
                    order.len()
                )));
            }
            let plan = EpochPlan::drawn(&sizes, batch);
            return Ok((Pass::listed(order), plan));
        }
        let pass = match self.length.shuffle {
            true => Pass::of_epoch(set, seed, epoch),
            false => Pass::in_order(set.len()),
        };
        let each = self.trainer.samples_of_step();
        Ok((pass, EpochPlan::even(self.epoch_samples, each, batch)))
    }

    /// Passes the result of the epoch to a plateau schedule.
    fn follow_plateau(&mut self, test: &Evaluation) {
        let Some(settings) = self.trainer.recipe().schedule.plateau().cloned() else {
            return;
        };
        let Some(value) = test.value(&settings.metric) else {
            return;
        };
        let metrics = self.trainer.task().metrics();
        let found = metrics.iter().find(|m| m.name == settings.metric);
        let higher = found.is_some_and(|m| m.better == Better::Higher);
        let mut plateau = self.trainer.plateau().clone();
        plateau.observe(&settings, value, higher);
        self.trainer.set_plateau(plateau);
    }

    /// Takes the steps of an epoch that are left and returns its sums; `None` if the observer stopped it before they were done.
    pub(super) fn train_steps(
        &mut self,
        observer: &mut dyn Observer,
        folder: Option<&RunFolder>,
    ) -> Result<Option<Totals>> {
        let start = Instant::now();
        let seconds_before = self.progress.seconds;
        let batch = self.trainer.recipe().batch;
        let seed = self.trainer.recipe().seed;
        let epoch = self.progress.epoch;
        let (mut pass, plan) = self.pass(epoch)?;
        if let Some(mixture) = self.mixture {
            mixture.arrange(&mut pass.order, batch, seed, epoch);
        }
        let group = |buckets: &Buckets| buckets.group(&mut pass.order, batch, seed, epoch);
        let of_batches = self.buckets.as_ref().map(group);
        // A run that stopped within an epoch continues there.
        let full = self.steps_of_epoch();
        let done_before = self.trainer.steps_done();
        let first = done_before % full;
        let steps = full.min(
            self.length
                .steps
                .map_or(full, |most| first + most.saturating_sub(done_before)),
        );
        let skipped = plan.seen(first);
        if first == 0 {
            self.trainer.reset_counters()?;
        }
        let stream = self.train.begin(self.trainer.device_mut(), pass, skipped)?;
        let most = match self.train.streamed {
            true => 1,
            // Neighbouring batches have different lengths.
            false if of_batches.is_some() => 1,
            false => self.trainer.device().max_steps(),
        };
        let mut pace = Pace::new(most);
        let mut asked: VecDeque<u64> = VecDeque::new();
        let mut done = first;
        let mut latest = Totals::default();
        let mut waited = Duration::ZERO;
        while done < steps && !observer.stops() {
            let mut count = pace.steps().min(steps - done);
            if let Some(every) = self.saving.every {
                count = every.limit(self.trainer.steps_done(), count);
            }
            // The first steps also fill caches.
            let timed = done - first >= WARM_STEPS && self.kernels.is_none();
            if timed {
                count = 1;
            }
            let train = &self.train;
            let place = |i: u64, k: usize| {
                let (at, valid) = plan.batch(done + i, k);
                Place {
                    cursor: train.cursor(at),
                    valid,
                    bucket: of_batches
                        .as_ref()
                        .and_then(|buckets| buckets.get(at / batch).copied()),
                }
            };
            let mut before = |device: &mut dyn Device, next: NextBatch<'_>| {
                if let (Some(stream), false) = (&stream, next.again) {
                    waited += train.feed(device, stream)?;
                }
                Ok(())
            };
            if timed {
                let times = self.trainer.advance_timed(&place, &mut before)?;
                self.kernels = Some(Arc::new(KernelShares::of(&times)));
            } else {
                self.trainer.advance(count, &place, &mut before)?;
            }
            done += count;
            let seen = plan.seen(done);
            self.read_back(seen as u64, &mut asked, &mut latest)?;
            let finished = plan.finished(latest.samples);
            pace.finished(finished.saturating_sub(first));
            if latest.samples > 0 {
                self.check_loss(&latest)?;
                let before = plan.seen(first) as u64;
                let report = self.step_report(&latest, first..finished, before, steps, start);
                self.report_step(observer, &report)?;
            }
            if let (Some(folder), Some(every)) = (folder, self.saving.every)
                && done < steps
                && every.is_due(self.trainer.steps_done(), self.saved.elapsed())
            {
                self.check_loss(&Totals::of(&self.trainer.counters(seen as u64)?))?;
                self.progress.seconds = seconds_before + start.elapsed().as_secs_f64();
                self.save_checkpoint(folder)?;
            }
        }
        if let Some(watch) = self.trainer.watch() {
            while self.trainer.device_mut().take(watch, true)?.is_some() {}
        }
        let seen = plan.seen(done);
        let latest = Totals::of(&self.trainer.counters(seen as u64)?);
        self.check_loss(&latest)?;
        let elapsed = start.elapsed();
        self.progress.seconds = seconds_before + elapsed.as_secs_f64();
        let decoders = stream.and_then(|stream| stream.decoders_waited());
        self.waits = decoders.map(|decoders| DataWaits {
            device: waited.div_duration_f64(elapsed),
            decoders: decoders.div_duration_f64(elapsed),
        });
        if done < steps {
            return Ok(None);
        }
        let before = plan.seen(first) as u64;
        let report = self.step_report(&latest, first..steps, before, steps, start);
        self.report_step(observer, &report)?;
        Ok(Some(latest))
    }

    /// Passes on the progress within an epoch.
    pub(super) fn report_step(
        &mut self,
        observer: &mut dyn Observer,
        report: &StepReport,
    ) -> Result<()> {
        observer.step(report);
        let done = u64::from(report.epoch - 1) * self.steps_of_epoch() + report.step;
        match &mut self.tensorboard {
            Some(events) => events.step(done, report),
            None => Ok(()),
        }
    }

    /// Mean losses over the epoch of all phases but the first.
    fn phase_losses(&self, samples: u64, epoch: u32) -> Result<Vec<(&'static str, f64)>> {
        let phases = self.trainer.task().phases();
        if phases.len() < 2 {
            return Ok(Vec::new());
        }
        let counters = self.trainer.counters(samples)?;
        let loss = |name: &'static str| {
            let loss = counters.sum(&format!("loss.{name}")).unwrap_or(0.0);
            let weight = counters.sum(&format!("weight.{name}"));
            let mean = loss / weight.unwrap_or(samples as f64).max(1e-30);
            match mean.is_finite() {
                true => Ok((name, mean)),
                false => Err(self.diverged(&format!("loss of the {name}"), epoch)),
            }
        };
        phases[1..].iter().map(|phase| loss(phase.name)).collect()
    }

    /// Requests the counters after the first `seen` samples of the epoch, and takes those that have arrived.
    fn read_back(
        &mut self,
        seen: u64,
        asked: &mut VecDeque<u64>,
        latest: &mut Totals,
    ) -> Result<()> {
        let Some(watch) = self.trainer.watch() else {
            return Ok(());
        };
        let places = self.places;
        let device = self.trainer.device_mut();
        if !device.watch_has_room(watch) {
            let values = device.take(watch, true)?;
            *latest = Totals::watched(values, places, asked.pop_front());
        }
        device.request(watch)?;
        asked.push_back(seen);
        while let Some(values) = device.take(watch, false)? {
            *latest = Totals::watched(Some(values), places, asked.pop_front());
        }
        Ok(())
    }

    /// Steps per full epoch.
    pub(super) fn steps_of_epoch(&self) -> u64 {
        if let Some(federation) = &self.federation {
            return federation.steps_of_round() as u64;
        }
        self.epoch_samples.div_ceil(self.trainer.samples_of_step()) as u64
    }

    /// Steps of the whole run.
    pub(super) fn planned_steps(&self) -> u64 {
        let all = u64::from(self.length.epochs) * self.steps_of_epoch();
        self.length.steps.unwrap_or(all)
    }

    /// Epochs of the whole run; the last may be cut short.
    fn planned_epochs(&self) -> u32 {
        let epochs = self.planned_steps().div_ceil(self.steps_of_epoch().max(1));
        u32::try_from(epochs).unwrap_or(u32::MAX)
    }

    pub(super) fn check_loss(&self, totals: &Totals) -> Result<()> {
        if totals.loss.is_finite() {
            return Ok(());
        }
        Err(self.diverged("loss", self.progress.epoch + 1))
    }

    pub(super) fn diverged(&self, what: &str, epoch: u32) -> Error {
        Error::Diverged(format!(
            "the {what} is not finite in epoch {epoch}, at or before step {}; lower the learning rate (now {:?}) or clip the gradients (clip_norm)",
            self.trainer.steps_done(),
            self.trainer.recipe().optimizer.lr()
        ))
    }

    /// The progress after `done` of the `steps` steps of an epoch, before which there were `before` samples.
    pub(super) fn step_report(
        &self,
        totals: &Totals,
        done: Range<u64>,
        before: u64,
        steps: u64,
        start: Instant,
    ) -> StepReport {
        let elapsed = start.elapsed().as_secs_f64();
        let taken = done.end.saturating_sub(done.start).max(1);
        let count = totals.samples.saturating_sub(before).max(1) as f64;
        let each = elapsed / taken as f64;
        let finished = u64::from(self.progress.epoch) * self.steps_of_epoch() + done.end;
        let left = self.planned_steps().saturating_sub(finished);
        StepReport {
            epoch: self.progress.epoch + 1,
            epochs: self.planned_epochs(),
            step: done.end,
            steps,
            loss: totals.mean_loss(),
            score: totals.score(self.score),
            samples_per_second: count / elapsed,
            time_left: Duration::from_secs_f64((each * left as f64).min(1e9)),
            done: finished as f64 / self.planned_steps().max(1) as f64,
            learning_rate: self.trainer.lr_after(finished.saturating_sub(1)),
            device_bytes: self.peak_bytes,
            kernels: self.kernels.clone(),
        }
    }
}

/// Sums since the start of the epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    loss: f64,
    score: f64,
    samples: u64,
    /// Divisor of the loss: the number of samples, or the sum of their weights.
    weight: f64,
}

impl Totals {
    fn mean_loss(&self) -> f64 {
        match self.weight > 0.0 {
            true => self.loss / self.weight,
            false => self.loss,
        }
    }

    /// The mean score, if it is computed.
    fn score(&self, metric: Option<Metric>) -> Option<Figure> {
        let value = self.score / self.samples.max(1) as f64;
        metric.map(|metric| Figure { metric, value })
    }

    pub(super) fn of(counters: &Counters) -> Totals {
        Totals {
            loss: counters.sum("loss").unwrap_or(0.0),
            score: counters.sum("score").unwrap_or(0.0),
            samples: counters.samples,
            weight: counters.sum("weight").unwrap_or(counters.samples as f64),
        }
    }

    /// From the values of a watch at the positions of loss, score and weight, over this many samples.
    fn watched(values: Option<&[f32]>, places: [Option<usize>; 3], samples: Option<u64>) -> Totals {
        let (Some(values), Some(samples)) = (values, samples) else {
            return Totals::default();
        };
        let at = |place: Option<usize>| place.and_then(|at| values.get(at)).map(|&x| f64::from(x));
        let [loss, score, weight] = places.map(at);
        Totals {
            loss: loss.unwrap_or(0.0),
            score: score.unwrap_or(0.0),
            samples,
            weight: weight.unwrap_or(samples as f64),
        }
    }
}
