//! Proximal policy optimization: some steps of all environments, then several passes over them.

use super::actions::drawn;
use super::interaction::{Interaction, of_rows};
use super::returns::{Rewards, normalised};
use super::{Learner, Setting, batch_types};
use crate::cpu::Tensor;
use crate::data::field;
use crate::error::Result;
use crate::random::{Purpose, Stream};
use crate::tasks::ppo::{Ppo, VALUE};
use crate::tensor::TensorType;
use crate::train::FedPrediction;

/// See the module.
pub(super) struct PpoLearner {
    own: Ppo,
    /// Number of environments.
    count: usize,
    columns: usize,
    batch: usize,
    /// The critic's estimates for all observations of a rollout and those after it.
    values: Option<FedPrediction>,
}

/// What was collected, `[steps, environments]` each.
#[derive(Default)]
struct Rollout {
    observations: Vec<f32>,
    actions: Vec<u32>,
    log_probabilities: Vec<f32>,
    rewards: Vec<f64>,
    ended: Vec<bool>,
    /// The steps that ended an episode at the time limit, with what the agent saw after them.
    cut: Vec<(usize, Vec<f32>)>,
}

/// A number for each sample of a rollout, on which the loss depends.
struct Estimates {
    advantages: Vec<f64>,
    returns: Vec<f64>,
    values: Vec<f32>,
}

impl PpoLearner {
    pub fn new(setting: &Setting<'_>) -> Result<PpoLearner> {
        Ok(PpoLearner {
            own: Ppo::new(setting.task)?,
            count: setting.count,
            columns: setting.columns(),
            batch: setting.batch,
            values: None,
        })
    }

    /// Samples of a rollout.
    fn samples(&self) -> usize {
        self.own.rollout * self.count
    }

    fn collect(&self, interaction: &mut Interaction<'_>) -> Result<Rollout> {
        let mut rollout = Rollout::default();
        let actions = interaction.actions();
        for _ in 0..self.own.rollout {
            let logits = interaction.scores()?;
            rollout
                .observations
                .extend(interaction.environments.observations());
            let mut taken = Vec::with_capacity(self.count);
            for (index, logits) in logits.chunks_exact(actions).enumerate() {
                let unit = interaction.random(index).unit();
                let (action, log) = drawn(logits, unit.into());
                taken.push(Some(action as u32));
                rollout.log_probabilities.push(log as f32);
            }
            rollout.actions.extend(taken.iter().flatten());
            let outcome = interaction.take(&taken)?;
            for index in 0..self.count {
                if outcome.truncated[index] {
                    let seen = &outcome.observations[index * self.columns..][..self.columns];
                    rollout.cut.push((rollout.rewards.len(), seen.to_vec()));
                }
                rollout.rewards.push(outcome.rewards[index].into());
                rollout.ended.push(outcome.ended(index));
            }
        }
        Ok(rollout)
    }

    /// The critic's estimates for observations, of which there may be any number.
    fn values(
        &mut self,
        interaction: &mut Interaction<'_>,
        observations: &[f32],
    ) -> Result<Vec<f32>> {
        let size = self.samples() + self.count;
        let Some(program) = &mut self.values else {
            return Ok(Vec::new());
        };
        let mut values = Vec::with_capacity(observations.len() / self.columns);
        for chunk in observations.chunks(size * self.columns) {
            let valid = chunk.len() / self.columns;
            let mut rows = chunk.to_vec();
            rows.resize(size * self.columns, 0.0);
            let rows = Tensor::real([size, self.columns], rows);
            let device = interaction.trainer.device_mut();
            let found = program.run(device, &[(field::ROW, &rows)], valid)?;
            values.extend(&found.reals()[..valid]);
        }
        Ok(values)
    }

    fn estimates(
        &mut self,
        interaction: &mut Interaction<'_>,
        rollout: &Rollout,
    ) -> Result<Estimates> {
        let mut observations = rollout.observations.clone();
        observations.extend(interaction.environments.observations());
        for (_, seen) in &rollout.cut {
            observations.extend(seen);
        }
        let mut values = self.values(interaction, &observations)?;
        let after_cuts = values.split_off(self.samples() + self.count);
        let mut rewards = rollout.rewards.clone();
        for ((at, _), value) in rollout.cut.iter().zip(after_cuts) {
            // The time limit is no part of the task: what would have come is worth what the critic expects of it.
            rewards[*at] += self.own.gamma * f64::from(value);
        }
        let given = Rewards {
            rewards: &rewards,
            values: &values,
            ended: &rollout.ended,
            environments: self.count,
        };
        let advantages = given.advantages(self.own.gamma, self.own.gae_lambda);
        let sums = advantages.iter().zip(&values);
        let returns = sums.map(|(a, &value)| a + f64::from(value)).collect();
        values.truncate(self.samples());
        Ok(Estimates {
            advantages,
            returns,
            values,
        })
    }

    /// Takes a training step over the samples at `places`.
    fn step(
        &self,
        interaction: &mut Interaction<'_>,
        rollout: &Rollout,
        estimates: &Estimates,
        places: &[usize],
    ) -> Result<()> {
        let size = self.batch;
        let numbers = |number: &dyn Fn(usize) -> f32| {
            let mut numbers: Vec<f32> = places.iter().map(|&at| number(at)).collect();
            numbers.resize(size, 0.0);
            Tensor::real([size], numbers)
        };
        let row = |&at: &usize| &rollout.observations[at * self.columns..][..self.columns];
        let mut rows: Vec<f32> = places.iter().flat_map(row).copied().collect();
        rows.resize(size * self.columns, 0.0);
        let mut actions: Vec<u32> = places.iter().map(|&at| rollout.actions[at]).collect();
        actions.resize(size, 0);
        let mut advantages: Vec<f64> = places.iter().map(|&at| estimates.advantages[at]).collect();
        if self.own.normalise {
            advantages = normalised(&advantages);
        }
        let mut advantages: Vec<f32> = advantages.into_iter().map(|x| x as f32).collect();
        advantages.resize(size, 0.0);
        interaction.trainer.step(
            &[
                (field::ROW, &Tensor::real([size, self.columns], rows)),
                (field::ACTION, &Tensor::index([size], actions)),
                (field::ADVANTAGE, &Tensor::real([size], advantages)),
                (
                    field::LOG_PROBABILITY,
                    &numbers(&|at| rollout.log_probabilities[at]),
                ),
                (field::RETURN, &numbers(&|at| estimates.returns[at] as f32)),
                (field::OLD_VALUE, &numbers(&|at| estimates.values[at])),
            ],
            places.len(),
        )
    }
}

impl Learner for PpoLearner {
    fn fields(&self) -> Vec<(String, TensorType)> {
        let number = |name| (name, TensorType::f32([]));
        let fields = vec![
            (field::ROW, TensorType::f32([self.columns])),
            (field::ACTION, TensorType::u32([])),
            number(field::LOG_PROBABILITY),
            number(field::ADVANTAGE),
            number(field::RETURN),
            number(field::OLD_VALUE),
        ];
        batch_types(fields, self.batch)
    }

    fn iteration_steps(&self) -> u64 {
        self.samples() as u64
    }

    fn updates_after(&self, steps: u64) -> Option<u64> {
        let updates = self.own.passes * self.samples().div_ceil(self.batch);
        Some(steps / self.iteration_steps() * updates as u64)
    }

    fn prepare(&mut self, interaction: &mut Interaction<'_>) -> Result<()> {
        let size = self.samples() + self.count;
        self.values = Some(of_rows(
            &mut interaction.trainer,
            size,
            self.columns,
            VALUE,
        )?);
        Ok(())
    }

    fn iterate(&mut self, interaction: &mut Interaction<'_>) -> Result<u64> {
        let rollout = self.collect(interaction)?;
        let estimates = self.estimates(interaction, &rollout)?;
        let mut places: Vec<usize> = (0..self.samples()).collect();
        for _ in 0..self.own.passes {
            let pass = interaction.trainer.steps_done() as u32;
            Stream::new(interaction.seed, Purpose::Rollouts.stream(pass)).shuffle(&mut places);
            for places in places.chunks(self.batch) {
                self.step(interaction, &rollout, &estimates, places)?;
            }
        }
        Ok((self.own.passes * places.len()) as u64)
    }
}
