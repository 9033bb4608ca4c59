//! Metrics: figures that a task reports, from sums that its graphs add to on the device.

use crate::cpu::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A figure by which a model is judged.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The word for people and for keys of JSON.
    pub name: &'static str,
    /// Which direction is better.
    pub better: Better,
    /// How it is shown.
    pub shown: Shown,
    /// Whether the line of every epoch shows it.
    pub in_epoch_line: bool,
    /// How it follows from what was counted; `None` where that was not.
    pub figure: fn(&Counters) -> Option<f64>,
}

/// Which direction of a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better: an accuracy.
    Higher,
    /// Less is better: an error.
    Lower,
}

/// How a figure is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// A share as `99.35%`.
    Percent,
    /// A number with so many decimals.
    Decimals(usize),
}

impl Shown {
    /// A figure for people.
    pub fn show(self, figure: f64) -> String {
        match self {
            Shown::Percent => format!("{:.2}%", 100.0 * figure),
            Shown::Decimals(decimals) => format!("{figure:.decimals$}"),
        }
    }
}

impl Metric {
    /// A share that is better the higher it is.
    pub const fn share(name: &'static str, figure: fn(&Counters) -> Option<f64>) -> Metric {
        Metric {
            name,
            better: Better::Higher,
            shown: Shown::Percent,
            in_epoch_line: false,
            figure,
        }
    }

    /// An error that is better the lower it is, with four decimals.
    pub const fn error(name: &'static str, figure: fn(&Counters) -> Option<f64>) -> Metric {
        Metric {
            name,
            better: Better::Lower,
            shown: Shown::Decimals(4),
            in_epoch_line: false,
            figure,
        }
    }

    /// The same metric, shown in the line of every epoch.
    #[must_use]
    pub const fn in_epoch_line(mut self) -> Metric {
        self.in_epoch_line = true;
        self
    }

    /// A figure for people.
    pub fn show(&self, figure: f64) -> String {
        self.shown.show(figure)
    }

    /// Whether `figure` is better than `best` by more than `least`.
    pub fn improves(&self, figure: f64, best: f64, least: f64) -> bool {
        match self.better {
            Better::Higher => figure > best + least,
            Better::Lower => figure < best - least,
        }
    }
}

/// What a pass over samples counted on the device, by name.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Samples of the pass.
    pub samples: u64,
    values: BTreeMap<String, Tensor<f32>>,
}

impl Counters {
    /// What was counted over so many samples.
    pub fn new(samples: u64, values: BTreeMap<String, Tensor<f32>>) -> Counters {
        Counters { samples, values }
    }

    /// The number counted as `name`.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let value = self.values.get(name)?;
        value.reals().first().map(|&x| f64::from(x))
    }

    /// That number for each sample.
    pub fn mean(&self, name: &str) -> Option<f64> {
        Some(self.sum(name)? / self.samples.max(1) as f64)
    }

    /// All numbers counted as `name`, with their extents.
    pub fn tensor(&self, name: &str) -> Option<&Tensor<f32>> {
        self.values.get(name)
    }

    /// The mean loss: over the samples, or over their weights where they count differently.
    pub fn loss(&self) -> Option<f64> {
        let sum = self.sum("loss")?;
        Some(match self.sum("weight") {
            Some(weight) if weight > 0.0 => sum / weight,
            Some(_) => sum,
            None => sum / self.samples.max(1) as f64,
        })
    }
}
