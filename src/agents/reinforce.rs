//! REINFORCE: whole episodes, then one step over all of them.

use super::actions::drawn;
use super::interaction::Interaction;
use super::returns::{discounted, normalised};
use super::{Learner, Setting, batch_types};
use crate::cpu::Tensor;
use crate::data::field;
use crate::error::Result;
use crate::tasks::reinforce::Reinforce;
use crate::tensor::TensorType;
use crate::train::FedBatch;

/// See the module.
pub(super) struct ReinforceLearner {
    own: Reinforce,
    /// Number of environments.
    count: usize,
    columns: usize,
    batch: usize,
    most_steps: usize,
}

/// Steps of the episodes of an environment, one episode after another.
#[derive(Default)]
struct Steps {
    observations: Vec<f32>,
    actions: Vec<u32>,
    rewards: Vec<f64>,
    returns: Vec<f64>,
    /// Episodes that have ended.
    episodes: usize,
}

impl ReinforceLearner {
    pub fn new(setting: &Setting<'_>) -> Result<ReinforceLearner> {
        Ok(ReinforceLearner {
            own: Reinforce::new(setting.task)?,
            count: setting.count,
            columns: setting.columns(),
            batch: setting.batch,
            most_steps: setting.environment.most_steps as usize,
        })
    }

    /// Episodes of each environment in an iteration.
    fn episodes_each(&self) -> usize {
        self.own.episodes.div_ceil(self.count)
    }

    /// As many episodes of every environment; one that has had its own waits for the others.
    fn collect(&self, interaction: &mut Interaction<'_>) -> Result<Vec<Steps>> {
        let mut steps: Vec<Steps> = (0..self.count).map(|_| Steps::default()).collect();
        let actions = interaction.actions();
        while steps.iter().any(|own| own.episodes < self.episodes_each()) {
            let logits = interaction.scores()?;
            let mut taken = vec![None; self.count];
            for (index, own) in steps.iter_mut().enumerate() {
                if own.episodes < self.episodes_each() {
                    let seen = interaction.environments.observations();
                    own.observations
                        .extend(&seen[index * self.columns..][..self.columns]);
                    let unit = interaction.random(index).unit();
                    let (action, _) = drawn(&logits[index * actions..][..actions], unit.into());
                    own.actions.push(action as u32);
                    taken[index] = Some(action as u32);
                }
            }
            let outcome = interaction.take(&taken)?;
            for (index, own) in steps.iter_mut().enumerate() {
                if taken[index].is_none() {
                    continue;
                }
                own.rewards.push(outcome.rewards[index].into());
                if outcome.ended(index) {
                    own.episodes += 1;
                    own.returns.extend(discounted(&own.rewards, self.own.gamma));
                    own.rewards.clear();
                }
            }
        }
        Ok(steps)
    }
}

impl Learner for ReinforceLearner {
    fn fields(&self) -> Vec<(String, TensorType)> {
        let fields = vec![
            (field::ROW, TensorType::f32([self.columns])),
            (field::ACTION, TensorType::u32([])),
            (field::ADVANTAGE, TensorType::f32([])),
        ];
        batch_types(fields, self.batch)
    }

    fn accumulate(&self) -> usize {
        (self.iteration_steps() as usize).div_ceil(self.batch)
    }

    fn iteration_steps(&self) -> u64 {
        (self.episodes_each() * self.count * self.most_steps) as u64
    }

    fn updates_after(&self, _steps: u64) -> Option<u64> {
        None
    }

    fn prepare(&mut self, _interaction: &mut Interaction<'_>) -> Result<()> {
        Ok(())
    }

    fn iterate(&mut self, interaction: &mut Interaction<'_>) -> Result<u64> {
        let steps = self.collect(interaction)?;
        let returns: Vec<f64> = steps.iter().flat_map(|own| &own.returns).copied().collect();
        let advantages: Vec<f32> = normalised(&returns).into_iter().map(|x| x as f32).collect();
        let rows: Vec<f32> = steps
            .iter()
            .flat_map(|own| &own.observations)
            .copied()
            .collect();
        let actions: Vec<u32> = steps.iter().flat_map(|own| &own.actions).copied().collect();
        let (size, columns) = (self.batch, self.columns);
        let batches = rows.chunks(size * columns).zip(actions.chunks(size));
        let batches = batches.zip(advantages.chunks(size));
        let tensors: Vec<_> = batches
            .map(|((rows, actions), advantages)| {
                let (mut rows, mut padded) = (rows.to_vec(), actions.to_vec());
                let mut advantages = advantages.to_vec();
                rows.resize(size * columns, 0.0);
                padded.resize(size, 0);
                advantages.resize(size, 0.0);
                (
                    Tensor::real([size, columns], rows),
                    Tensor::index([size], padded),
                    Tensor::real([size], advantages),
                    actions.len(),
                )
            })
            .collect();
        let fields: Vec<_> = tensors
            .iter()
            .map(|(rows, actions, advantages, _)| {
                [
                    (field::ROW, rows),
                    (field::ACTION, actions),
                    (field::ADVANTAGE, advantages),
                ]
            })
            .collect();
        let batches = fields
            .iter()
            .zip(&tensors)
            .map(|(fields, tensors)| FedBatch {
                fields,
                valid: tensors.3,
            });
        let batches: Vec<FedBatch<'_>> = batches.collect();
        interaction.trainer.step_over(&batches)?;
        Ok(actions.len() as u64)
    }
}
