//! Deep Q-networks: one step of all environments, which the replay buffer remembers, and now and then an update.

use super::actions::best;
use super::interaction::Interaction;
use super::replay::{KEPT, Replay, Transition};
use super::{Learner, Setting, batch_types};
use crate::cpu::Tensor;
use crate::data::field;
use crate::device::ProgramId;
use crate::error::{Error, Result};
use crate::graph::{Builder, Graph};
use crate::random::{Purpose, Stream};
use crate::tasks::Models;
use crate::tasks::dqn::{Dqn, ONLINE, TARGET};
use crate::tensor::TensorType;

/// See the module.
pub(super) struct DqnLearner {
    own: Dqn,
    /// Number of environments.
    count: usize,
    columns: usize,
    batch: usize,
    replay: Replay,
    /// The program that moves the target network.
    follow: Option<ProgramId>,
}

/// The graph that moves every weight of the target network by the share `tau` towards that of the online network.
fn following(models: &Models, tau: f64) -> Result<Graph> {
    let builder = Builder::new();
    let [online, target] = [models.get(ONLINE)?, models.get(TARGET)?];
    for (from, to) in online.state().zip(target.state()) {
        let ahead = builder.variable(&from.name, from.ty.clone())?;
        let behind = builder.variable(&to.name, to.ty.clone())?;
        let moved = match tau {
            1.0 => ahead.scale(1.0)?,
            _ => behind.scale(1.0 - tau)?.add(ahead.scale(tau)?)?,
        };
        builder.update(behind, moved)?;
    }
    builder.finish()
}

/// How many multiples of `every` lie above `before` and up to `after`.
fn multiples(before: u64, after: u64, every: u64) -> u64 {
    after / every - before / every
}

impl DqnLearner {
    pub fn new(setting: &Setting<'_>) -> Result<DqnLearner> {
        let own = Dqn::new(setting.task)?;
        Ok(DqnLearner {
            replay: Replay::new(own.capacity, setting.columns())?,
            own,
            count: setting.count,
            columns: setting.columns(),
            batch: setting.batch,
            follow: None,
        })
    }

    /// The share of random actions after `steps` of `planned` steps.
    fn epsilon(&self, steps: u64, planned: u64) -> f64 {
        let length = (self.own.exploration * planned as f64).max(1.0);
        let done = (steps as f64 / length).min(1.0);
        self.own.epsilon_start + (self.own.epsilon_end - self.own.epsilon_start) * done
    }

    /// An action for each environment, random or the best.
    fn choose(&self, interaction: &mut Interaction<'_>) -> Result<Vec<Option<u32>>> {
        let actions = interaction.actions();
        let epsilon = match interaction.steps < self.own.learning_starts {
            true => 1.0,
            false => self.epsilon(interaction.steps, interaction.planned),
        };
        let random = |index: usize| {
            let mut random = interaction.random(index);
            let explores = f64::from(random.unit()) < epsilon;
            explores.then(|| random.below(actions as u32))
        };
        let mut chosen: Vec<Option<u32>> = (0..self.count).map(random).collect();
        if chosen.iter().any(Option::is_none) {
            let scores = interaction.scores()?;
            for (action, scores) in chosen.iter_mut().zip(scores.chunks_exact(actions)) {
                action.get_or_insert(best(scores) as u32);
            }
        }
        Ok(chosen)
    }

    /// Moves the target network.
    fn follow(&self, interaction: &mut Interaction<'_>) -> Result<()> {
        match self.follow {
            Some(program) => interaction.trainer.device_mut().run(program, 1, &[]),
            None => Ok(()),
        }
    }
}

impl Learner for DqnLearner {
    fn fields(&self) -> Vec<(String, TensorType)> {
        let row = TensorType::f32([self.columns]);
        let fields = vec![
            (field::ROW, row.clone()),
            (field::ACTION, TensorType::u32([])),
            (field::REWARD, TensorType::f32([])),
            (field::NEXT_ROW, row),
            (field::TERMINATED, TensorType::f32([])),
        ];
        batch_types(fields, self.batch)
    }

    fn iteration_steps(&self) -> u64 {
        self.count as u64
    }

    fn updates_after(&self, steps: u64) -> Option<u64> {
        let start = self.own.learning_starts.min(steps);
        Some(multiples(start, steps, self.own.train_every))
    }

    fn prepare(&mut self, interaction: &mut Interaction<'_>) -> Result<()> {
        let models = interaction.trainer.models().clone();
        let device = interaction.trainer.device_mut();
        // Both networks begin alike.
        let values = models
            .get(ONLINE)?
            .state()
            .map(|part| device.get(&part.name));
        let values = values.collect::<Result<Vec<_>>>()?;
        for (part, value) in models.get(TARGET)?.state().zip(&values) {
            device.set(&part.name, value)?;
        }
        let planned = device.plan(following(&models, self.own.tau)?)?;
        self.follow = Some(device.prepare(planned)?);
        Ok(())
    }

    fn iterate(&mut self, interaction: &mut Interaction<'_>) -> Result<u64> {
        let before = interaction.steps;
        let seen = interaction.environments.observations().to_vec();
        let actions = self.choose(interaction)?;
        let outcome = interaction.take(&actions)?;
        let rows = seen.chunks_exact(self.columns);
        let rows = rows.zip(outcome.observations.chunks_exact(self.columns));
        for (index, ((seen, seen_after), action)) in rows.zip(&actions).enumerate() {
            self.replay.add(&Transition {
                seen,
                action: action.unwrap_or_default(),
                reward: outcome.rewards[index],
                seen_after,
                terminated: outcome.terminated[index],
            });
        }
        let after = interaction.steps;
        if after <= self.own.learning_starts {
            return Ok(0);
        }
        let before = before.max(self.own.learning_starts);
        let updates = multiples(before, after, self.own.train_every);
        for _ in 0..updates {
            let number = interaction.trainer.steps_done() as u32;
            let mut random = Stream::new(interaction.seed, Purpose::Replay.stream(number));
            let batch = self.replay.batch(self.batch, &mut random);
            let fields: Vec<_> = batch.iter().map(|(name, value)| (*name, value)).collect();
            interaction.trainer.step(&fields, self.batch)?;
        }
        if multiples(before, after, self.own.target_every) > 0 {
            self.follow(interaction)?;
        }
        Ok(updates * self.batch as u64)
    }

    fn kept(&self) -> Vec<(&'static str, Tensor<f32>)> {
        self.replay.kept()
    }

    fn take(&mut self, kept: &dyn Fn(&str) -> Result<Tensor<f32>>) -> Result<()> {
        let values = KEPT.map(kept).into_iter().collect::<Result<Vec<_>>>()?;
        let values: Option<[Tensor<f32>; 6]> = values.try_into().ok();
        values
            .and_then(|values| self.replay.take(values))
            .ok_or_else(|| {
                Error::Config(
                    "the replay buffer of the checkpoint is another one; resume with the run.toml that it was made with"
                        .to_string(),
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Engine;
    use crate::nn::{Model, Network};
    use crate::toml_text::parse;
    use std::sync::Arc;

    #[test]
    fn the_target_network_follows() {
        let text =
            "name = \"m\"\ninput = [2]\nlayer = [{ type = \"dense\", units = 1, bias_init = 1.0 }]";
        let named = |role: &str| -> (String, Arc<dyn Model>) {
            let network = Network::new(parse(text, "m").unwrap()).unwrap();
            (role.to_string(), Arc::new(network.with_prefix(role)))
        };
        let models = Models::named(vec![named(ONLINE), named(TARGET)]);
        let mut device = Engine::Cpu.device();
        for part in models.state() {
            let mut value = Tensor::zeros(&part.ty);
            if part.name.starts_with(ONLINE) {
                value = Tensor::real(part.ty.shape.clone(), vec![4.0; part.ty.elements()]);
            }
            device.set(&part.name, &value).unwrap();
        }
        let first = models
            .get(TARGET)
            .unwrap()
            .state()
            .next()
            .unwrap()
            .name
            .clone();
        for (tau, wanted) in [(0.25, 1.0), (0.25, 1.75), (1.0, 4.0)] {
            let planned = device.plan(following(&models, tau).unwrap()).unwrap();
            let program = device.prepare(planned).unwrap();
            device.run(program, 1, &[]).unwrap();
            let value = device.get(&first).unwrap();
            assert!(value.reals().iter().all(|&x| x == wanted), "{value:?}");
        }
    }

    #[test]
    fn multiples_are_counted_without_the_first_and_with_the_last() {
        assert_eq!(multiples(0, 9, 10), 0);
        assert_eq!(multiples(9, 10, 10), 1);
        assert_eq!(multiples(10, 14, 10), 0);
        assert_eq!(multiples(8, 32, 10), 3);
    }
}
