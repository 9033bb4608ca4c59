//! What is reported of an epoch of an agent's run.

use crate::environments::Episode;
use crate::error::Result;
use crate::run::{Figure, LOSS, Observer};
use serde_json::{Map, Value};
use std::collections::VecDeque;

/// Episodes over which the return is averaged that tells how good an agent is.
pub const RECENT_EPISODES: usize = 100;

/// A finished epoch.
#[derive(Clone, Debug)]
pub struct AgentEpoch {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Epochs that the run will have.
    pub epochs: u32,
    /// Steps of all environments since the start of the run.
    pub env_steps: u64,
    /// Episodes that ended in the epoch.
    pub episodes: u64,
    /// Mean sum of their rewards, if there were any.
    pub mean_return: Option<f64>,
    /// Mean number of their steps.
    pub mean_length: Option<f64>,
    /// Mean return of the last [`RECENT_EPISODES`] episodes of the run.
    pub recent_return: Option<f64>,
    /// Mean loss over the samples of its training steps, if there were any.
    pub train_loss: Option<f64>,
    /// The metrics of the task over them.
    pub figures: Vec<Figure>,
    /// Learning rate of the last training step.
    pub learning_rate: f64,
    /// Its seconds.
    pub seconds: f64,
    /// Steps of all environments per second.
    pub steps_per_second: f64,
    /// Whether no earlier epoch had a better return over the last episodes.
    pub is_best: bool,
}

/// Receives reports of an agent's run; its step reports count steps of the environments as samples.
pub trait AgentObserver: Observer {
    /// Called after an epoch.
    ///
    /// # Errors
    /// If the run is to end.
    fn agent_epoch(&mut self, epoch: &AgentEpoch) -> Result<()>;
}

impl AgentObserver for crate::run::Silent {
    fn agent_epoch(&mut self, _epoch: &AgentEpoch) -> Result<()> {
        Ok(())
    }
}

impl AgentEpoch {
    /// The line of `metrics.jsonl` and of `--json`.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut line = Map::from_iter([
            ("event".to_string(), "epoch".into()),
            ("epoch".to_string(), self.epoch.into()),
            ("env_steps".to_string(), self.env_steps.into()),
            ("episodes".to_string(), self.episodes.into()),
            ("mean_return".to_string(), self.mean_return.into()),
            ("mean_length".to_string(), self.mean_length.into()),
            (
                "mean_return_last_100".to_string(),
                self.recent_return.into(),
            ),
            ("train_loss".to_string(), self.train_loss.into()),
            ("learning_rate".to_string(), self.learning_rate.into()),
            ("env_steps_per_s".to_string(), self.steps_per_second.into()),
            ("seconds".to_string(), self.seconds.into()),
            ("is_best".to_string(), self.is_best.into()),
        ]);
        for figure in &self.figures {
            line.insert(format!("train_{}", figure.metric.name), figure.value.into());
        }
        line
    }

    /// The line of text.
    pub fn show(&self) -> String {
        let number = |name: &str, value: Option<f64>| {
            value.map_or(String::new(), |value| format!("  {name} {value:.2}"))
        };
        let loss = self.train_loss.map(|loss| LOSS.show(loss));
        let figures = self.figures.iter().map(Figure::show);
        let loss = loss.map(|loss| format!("loss {loss}")).into_iter();
        let trained: String = loss
            .chain(figures)
            .map(|text| format!("  {text}"))
            .collect();
        format!(
            "epoch {}/{}{}{}  {} episodes{trained}  {} steps  {:.0} steps/s",
            self.epoch,
            self.epochs,
            number("mean return", self.mean_return),
            number("of the last 100", self.recent_return),
            self.episodes,
            self.env_steps,
            self.steps_per_second
        )
    }
}

/// Sums over the episodes of an epoch, and the returns of the last ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Episodes of the epoch, the sum of their returns and of their lengths.
    pub episodes: u64,
    pub total: f64,
    pub length: f64,
    /// Samples that were trained on.
    pub samples: u64,
    /// Steps of the environments before the epoch.
    pub start: u64,
    /// Returns of the last episodes of the run, the latest last.
    pub recent: VecDeque<f64>,
    /// Episodes of the run.
    pub all: u64,
}

impl Tally {
    /// Adds episodes that ended.
    pub fn add(&mut self, episodes: impl Iterator<Item = Episode>) {
        for episode in episodes {
            self.episodes += 1;
            self.all += 1;
            self.total += episode.total;
            self.length += f64::from(episode.length);
            self.recent.push_back(episode.total);
            if self.recent.len() > RECENT_EPISODES {
                self.recent.pop_front();
            }
        }
    }

    /// Begins an epoch after `steps` steps.
    pub fn begin(&mut self, steps: u64) {
        (self.episodes, self.total, self.length) = (0, 0.0, 0.0);
        (self.samples, self.start) = (0, steps);
    }

    /// `sum` divided by the episodes of the epoch.
    pub fn mean(&self, sum: f64) -> Option<f64> {
        (self.episodes > 0).then(|| sum / self.episodes as f64)
    }

    /// The mean return of the last episodes.
    pub fn recent_mean(&self) -> Option<f64> {
        let count = self.recent.len();
        (count > 0).then(|| self.recent.iter().sum::<f64>() / count as f64)
    }

    /// All numbers, for checkpoints: whole numbers are below 2^53.
    pub fn numbers(&self) -> Vec<f64> {
        let whole = [self.episodes, self.samples, self.start, self.all];
        let mut numbers = whole.map(|x| x as f64).to_vec();
        numbers.extend([self.total, self.length]);
        numbers.extend(&self.recent);
        numbers
    }

    /// The tally with these [`numbers`](Tally::numbers).
    pub fn of(numbers: &[f64]) -> Option<Tally> {
        let (&[episodes, samples, start, all, total, length], recent) =
            numbers.split_first_chunk()?;
        Some(Tally {
            episodes: episodes as u64,
            samples: samples as u64,
            start: start as u64,
            all: all as u64,
            total,
            length,
            recent: recent.iter().copied().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_keeps_the_last_hundred_and_goes_on_from_its_numbers() {
        let episode = |number: u32| Episode {
            environment: 0,
            total: f64::from(number),
            length: 2 * number,
            terminated: true,
        };
        let mut tally = Tally::default();
        tally.add((1..=150).map(episode));
        assert_eq!(tally.recent_mean(), Some(100.5));
        assert_eq!(tally.mean(tally.total), Some(75.5));
        assert_eq!(tally.mean(tally.length), Some(151.0));
        assert_eq!(Tally::of(&tally.numbers()).unwrap(), tally);
        tally.begin(7);
        assert_eq!((tally.mean(tally.total), tally.all), (None, 150));
        assert!(Tally::of(&[1.0]).is_none());
    }
}
