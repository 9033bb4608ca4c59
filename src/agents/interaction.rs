//! An agent in its environments: the policy on the device, the environments on the host.

use super::batch_types;
use crate::cpu::Tensor;
use crate::data::field;
use crate::environments::{Episode, VectorOutcome, Vectorised};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use crate::tensor::TensorType;
use crate::train::{FedPrediction, Trainer};

/// The output of all tasks of agents that says which action is best.
pub(super) const SCORES: &str = "logits";

/// An agent in its environments.
pub(super) struct Interaction<'e> {
    pub trainer: Trainer<'e>,
    pub environments: Vectorised,
    policy: FedPrediction,
    pub seed: u64,
    /// Steps of all environments so far.
    pub steps: u64,
    /// Steps that the run will have.
    pub planned: u64,
    /// Episodes that have ended since they were last taken.
    pub episodes: Vec<Episode>,
}

/// One output for `size` observations of `columns` numbers.
pub(super) fn of_rows(
    trainer: &mut Trainer<'_>,
    size: usize,
    columns: usize,
    output: &str,
) -> Result<FedPrediction> {
    let (task, models) = (trainer.task().clone(), trainer.models().clone());
    let fields = batch_types(vec![(field::ROW, TensorType::f32([columns]))], size);
    FedPrediction::new(trainer.device_mut(), task, &models, size, fields, output)
}

impl<'e> Interaction<'e> {
    /// Prepares the policy on the device of `trainer`.
    pub fn new(
        mut trainer: Trainer<'e>,
        environments: Vectorised,
        planned: u64,
    ) -> Result<Interaction<'e>> {
        let columns = environments.known().observation.len();
        let policy = of_rows(&mut trainer, environments.count(), columns, SCORES)?;
        Ok(Interaction {
            seed: trainer.recipe().seed,
            trainer,
            environments,
            policy,
            steps: 0,
            planned,
            episodes: Vec::new(),
        })
    }

    /// Numbers of an observation.
    pub fn columns(&self) -> usize {
        self.environments.known().observation.len()
    }

    /// Number of actions.
    pub fn actions(&self) -> usize {
        self.environments.known().actions.len()
    }

    /// The numbers of all actions for what the agent sees now: `[environments, actions]`. Waits for the device.
    ///
    /// # Errors
    /// If the device failed, or a number is not finite.
    pub fn scores(&mut self) -> Result<Vec<f32>> {
        let count = self.environments.count();
        let seen = self.environments.observations().to_vec();
        let seen = Tensor::real([count, self.columns()], seen);
        let device = self.trainer.device_mut();
        let scores = self.policy.run(device, &[(field::ROW, &seen)], count)?;
        match scores.is_finite() {
            true => Ok(scores.reals().to_vec()),
            false => Err(Error::Diverged(format!(
                "the policy gives numbers that are not finite after {} steps of the environment; use a lower learning rate, or clip_norm",
                self.steps
            ))),
        }
    }

    /// The random numbers of an environment for its next action.
    pub fn random(&self, environment: usize) -> Stream {
        let stream = Purpose::Actions.stream(environment as u32);
        Stream::at(self.seed, stream, self.steps)
    }

    /// Takes an action in each environment, or none.
    ///
    /// # Errors
    /// If an environment fails.
    pub fn take(&mut self, actions: &[Option<u32>]) -> Result<VectorOutcome> {
        let outcome = self.environments.step(actions)?;
        self.steps += actions.iter().flatten().count() as u64;
        self.episodes.extend(&outcome.episodes);
        Ok(outcome)
    }
}
