//! Rounds of federated averaging: each is an epoch of the run.

use super::epoch_plan::EpochPlan;
use super::observer::Observer;
use super::steps::Totals;
use super::{Run, RunParts};
use crate::cpu::Tensor;
use crate::data::{Pass, Samples};
use crate::error::{Error, Result};
use crate::federated::{Federation, MaskedSum, PlainSum, UpdateSum};
use crate::privacy::PrivateSteps;
use crate::random::{Purpose, Stream};
use crate::train::Place;
use std::time::Instant;

impl Run<'_> {
    /// Takes the round number `round`; `None` if the observer stopped it, with the weights from before it.
    pub(super) fn federated_round(
        &mut self,
        federation: &Federation,
        observer: &mut dyn Observer,
    ) -> Result<Option<Totals>> {
        let start = Instant::now();
        let round = self.progress.epoch;
        let first = self.trainer.steps_done();
        let server = self.trainer.values()?;
        let length = server.iter().map(|value| value.shape.elements()).sum();
        let clients = federation.of_round(round);
        let mut sum: Box<dyn UpdateSum> = match federation.settings().masked {
            true => Box::new(MaskedSum::new(
                clients.clone(),
                length,
                federation.seed_of(round),
            )),
            false => Box::new(PlainSum::new(length)),
        };
        self.trainer.reset_counters()?;
        let (mut seen, mut clipped) = (0, 0);
        let mut latest = Totals::default();
        let steps = (federation.steps_of_client() * clients.len()) as u64;
        for (number, &client) in (1..).zip(&clients) {
            if observer.stops() {
                self.trainer.restart(&server)?;
                self.trainer.set_steps_done(first);
                return Ok(None);
            }
            self.trainer.restart(&server)?;
            seen += self.local_steps(federation, round, client)?;
            let mut update = difference(&self.trainer.values()?, &server);
            if let Some(private) = federation.privacy() {
                clipped += usize::from(clip(&mut update, private.clip));
            }
            sum.submit(client, &update)?;
            latest = Totals::of(&self.trainer.counters(seen as u64)?);
            self.check_loss(&latest)?;
            let done = number * federation.steps_of_client() as u64;
            let report = self.step_report(&latest, 0..done, 0, steps.max(1), start);
            self.report_step(observer, &report)?;
        }
        let mut total = sum.total();
        let divisor = match federation.privacy() {
            Some(private) => {
                add_noise(&mut total, private, federation.seed_of(round));
                private.expected
            }
            None => clients.len(),
        };
        let averaged = moved(&server, &total, 1.0 / divisor.max(1) as f64)?;
        self.trainer.restart(&averaged)?;
        self.trainer.set_steps_done(first + self.steps_of_epoch());
        self.clipped_clients = clipped as f64 / clients.len().max(1) as f64;
        self.progress.seconds = start.elapsed().as_secs_f64();
        Ok(Some(latest))
    }

    /// Trains on the samples of `client` and returns how many were visited.
    fn local_steps(&mut self, federation: &Federation, round: u32, client: usize) -> Result<usize> {
        let (order, sizes) = federation.pass(round, client);
        let visited = order.len();
        let plan = EpochPlan::drawn(&sizes, self.trainer.recipe().batch);
        let pass = Pass::listed(order);
        self.train.begin(self.trainer.device_mut(), pass, 0)?;
        let steps = sizes.len() as u64;
        let most = self.trainer.device().max_steps().max(1) as u64;
        let mut done = 0;
        while done < steps {
            let count = most.min(steps - done);
            let place = |step: u64, batch: usize| {
                let (cursor, valid) = plan.batch(done + step, batch);
                Place {
                    cursor,
                    valid,
                    bucket: None,
                }
            };
            self.trainer.advance(count, &place, &mut |_, _| Ok(()))?;
            done += count;
        }
        Ok(visited)
    }
}

/// `values` less `before`, one tensor after another.
fn difference(values: &[Tensor<f32>], before: &[Tensor<f32>]) -> Vec<f64> {
    let pairs = values.iter().zip(before);
    let each = pairs.flat_map(|(new, old)| new.reals().iter().zip(old.reals()));
    each.map(|(&new, &old)| f64::from(new) - f64::from(old))
        .collect()
}

/// `before` plus `scale` times `sum`, which is one tensor after another.
fn moved(before: &[Tensor<f32>], sum: &[f64], scale: f64) -> Result<Vec<Tensor<f32>>> {
    let mut rest = sum.iter();
    let moved = before.iter().map(|value| {
        let new: Vec<f32> = value
            .reals()
            .iter()
            .zip(&mut rest)
            .map(|(&old, change)| (f64::from(old) + scale * change) as f32)
            .collect();
        match new.len() == value.reals().len() {
            true => Ok(Tensor::real(value.shape.clone(), new)),
            false => Err(Error::Training(
                "the sum of the updates is too short".to_string(),
            )),
        }
    });
    moved.collect()
}

/// Scales an update to the norm `bound` if it is longer, and returns whether it was.
fn clip(update: &mut [f64], bound: f64) -> bool {
    let norm = update.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm <= bound {
        return false;
    }
    update.iter_mut().for_each(|x| *x *= bound / norm);
    true
}

/// Adds normal noise to the sum of clipped updates.
fn add_noise(sum: &mut [f64], private: &PrivateSteps, seed: u64) {
    let mut stream = Stream::new(seed, Purpose::FederatedNoise.stream(0));
    let deviation = private.noise * private.clip;
    sum.iter_mut()
        .for_each(|x| *x += deviation * f64::from(stream.normal()));
}

impl RunParts {
    /// Divides the training samples among clients, if the settings ask for it.
    ///
    /// # Errors
    /// If the settings can't be combined with it, or don't fit the samples.
    pub(super) fn federation(&mut self, train: &Samples) -> Result<Option<Federation>> {
        let Some(settings) = &self.federated else {
            return Ok(None);
        };
        let recipe = &self.recipe;
        let rounds = [
            ("accumulate", recipe.accumulate > 1),
            ("average", recipe.average.is_some()),
            (
                "steps, as every epoch is a round",
                self.length.steps.is_some(),
            ),
            ("steps_per_epoch", self.length.steps_per_epoch.is_some()),
            (
                "checkpoint_every, as every round has one",
                self.saving.every.is_some(),
            ),
        ];
        let rounds = rounds.iter().find(|(_, given)| *given);
        let other = self
            .orders_samples(train)
            .or(rounds.map(|(other, _)| *other));
        if let Some(other) = other {
            return Err(Error::Config(format!(
                "[federated] can't be combined with {other}; leave one of them out"
            )));
        }
        let (batch, seed) = (recipe.batch, recipe.seed);
        let found = Federation::new(settings, train.len(), train.labels(), batch, seed)?;
        let Some(privacy) = &self.privacy else {
            return Ok(Some(found));
        };
        let rounds = u64::from(self.length.epochs);
        let private = PrivateSteps::new(privacy, settings.clients, settings.taking_part(), rounds)?;
        let found = found.with_privacy(private);
        if private.most_steps < rounds {
            self.length.steps = Some(private.most_steps * found.steps_of_round() as u64);
        }
        Ok(Some(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_clipped_to_a_norm_and_averaged() {
        let server = [
            Tensor::real([2], vec![1.0, 2.0]),
            Tensor::real([1], vec![3.0]),
        ];
        let client = [
            Tensor::real([2], vec![4.0, 2.0]),
            Tensor::real([1], vec![7.0]),
        ];
        let mut update = difference(&client, &server);
        assert_eq!(update, [3.0, 0.0, 4.0]);
        assert!(clip(&mut update, 1.0));
        assert!((update[2] - 0.8).abs() < 1e-12 && !clip(&mut update, 1.001));
        let new = moved(&server, &[2.0, 4.0, 6.0], 0.5).unwrap();
        assert_eq!(
            (new[0].reals(), new[1].reals()),
            (&[2.0, 4.0][..], &[6.0][..])
        );
        assert!(moved(&server, &[1.0], 1.0).is_err());
    }
}
