//! Private runs: from the settings to steps or rounds that clip and add noise, and what these have spent.

use super::observer::PrivacySpent;
use super::{Run, RunParts};
use crate::data::Samples;
use crate::error::{Error, Result};
use crate::graph::Precision;
use crate::privacy::{PrivacyLoss, PrivateSteps};
use crate::train::CLIPPED;

impl RunParts {
    /// Makes the steps private, if the settings ask for it: their batches, their noise, and how many of them the budget allows.
    ///
    /// # Errors
    /// If the settings can't be combined with it, or allow no step.
    pub(super) fn make_private(&mut self, train: &Samples, epoch_samples: usize) -> Result<()> {
        let Some(settings) = &self.privacy else {
            return Ok(());
        };
        if let Some(other) = self.orders_samples(train) {
            return Err(Error::Config(format!(
                "[privacy] can't be combined with {other}; leave one of them out"
            )));
        }
        let expected = self.recipe.samples_of_step();
        if expected > train.len() {
            return Err(Error::Config(format!(
                "steps of {expected} samples are larger than the training set of {}; make batch or accumulate smaller",
                train.len()
            )));
        }
        let of_epoch = epoch_samples.div_ceil(expected) as u64;
        let all = of_epoch * u64::from(self.length.epochs);
        let steps = self.length.steps.unwrap_or(all);
        let private = PrivateSteps::new(settings, train.len(), expected, steps)?;
        if private.most_steps < steps {
            self.length.steps = Some(private.most_steps);
        }
        self.recipe.batch = private.batch(self.recipe.accumulate);
        self.recipe.accumulate = private.batches(self.recipe.batch);
        self.recipe.privacy = Some(private);
        Ok(())
    }

    /// What of the settings divides samples into batches by itself, or does more in a step than to lower one loss, so that neither
    /// private steps nor federated rounds can choose the samples.
    pub(super) fn orders_samples(&self, train: &Samples) -> Option<&'static str> {
        let recipe = &self.recipe;
        let anywhere = train.starts().is_some_and(|starts| starts.anywhere);
        let mixes = recipe.replay.is_some() || self.task.labelled_of(recipe.batch).is_some();
        let several = self.task.phases().len() > 1;
        let mixed_precision = recipe.precision != Precision::Float32;
        let others = [
            ("a task that trains several models in turn", several),
            ("mixed precision", mixed_precision),
            ("batches that mix samples of two kinds", mixes),
            (
                "samples that begin anywhere in a text, of which none belongs to anybody",
                anywhere,
            ),
            (
                "shuffle = false (--no-shuffle), since samples are taken at random",
                !self.length.shuffle,
            ),
            ("data.buckets", !self.data.buckets.is_empty()),
            ("data.stream", self.data.stream == Some(true)),
        ];
        let found = others.into_iter().find(|(_, given)| *given);
        found.map(|(other, _)| other)
    }
}

impl Run<'_> {
    /// What makes steps or rounds private, if anything does, and how many of them are done.
    fn private(&self) -> Option<(&PrivateSteps, u64)> {
        let steps = self.trainer.steps_done();
        match &self.federation {
            Some(federation) => Some((federation.privacy()?, steps / self.steps_of_epoch().max(1))),
            None => Some((self.trainer.recipe().privacy.as_ref()?, steps)),
        }
    }

    /// What the run has spent so far, with its delta, if it is private.
    ///
    /// # Errors
    /// If a parameter of the mechanism is out of range.
    pub fn privacy_loss(&self) -> Result<Option<(PrivacyLoss, f64)>> {
        let spent = self
            .private()
            .map(|(private, done)| Ok((private.loss(done)?, private.delta)));
        spent.transpose()
    }

    /// Whether the run is private, and its budget allows no further step.
    pub fn has_spent_budget(&self) -> bool {
        self.private()
            .is_some_and(|(own, done)| own.most_steps < own.planned_steps && done >= own.most_steps)
    }

    /// The same as [`Run::privacy_loss`] with the share of the epoch's `samples`, or clients, that were clipped.
    pub(super) fn privacy_spent(&self, samples: u64) -> Result<Option<PrivacySpent>> {
        let Some((loss, delta)) = self.privacy_loss()? else {
            return Ok(None);
        };
        let of_samples = || -> Result<f64> {
            let clipped = self.trainer.counters(samples)?.sum(CLIPPED);
            Ok(clipped.unwrap_or(0.0) / samples.max(1) as f64)
        };
        Ok(Some(PrivacySpent {
            epsilon: loss.epsilon,
            delta,
            clipped: match self.federation {
                Some(_) => self.clipped_clients,
                None => of_samples()?,
            },
        }))
    }
}
