//! Metrics: figures that a task reports, computed from sums that its graphs accumulate on the device, or on the host from outputs.

use crate::cpu::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A figure by which a model is judged.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Name, in text and in JSON keys.
    pub name: &'static str,
    /// Whether higher or lower is better.
    pub better: Better,
    /// How it is shown.
    pub shown: Shown,
    /// Whether the epoch lines show it.
    pub in_epoch_line: bool,
    /// Computes it from the counters; `None` if they lack what it needs.
    pub figure: fn(&Counters) -> Option<f64>,
}

/// Whether higher or lower is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Higher is better, as for an accuracy.
    Higher,
    /// Lower is better, as for an error.
    Lower,
}

impl Better {
    /// `higher` or `lower`.
    pub fn name(self) -> &'static str {
        match self {
            Better::Higher => "higher",
            Better::Lower => "lower",
        }
    }

    /// Whether `figure` is better than `best` by more than `least`.
    pub fn improves(self, figure: f64, best: f64, least: f64) -> bool {
        match self {
            Better::Higher => figure > best + least,
            Better::Lower => figure < best - least,
        }
    }
}

/// How a figure is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// A share as `99.35%`.
    Percent,
    /// A number with this many decimals.
    Decimals(usize),
}

impl Shown {
    /// A figure as text.
    pub fn show(self, figure: f64) -> String {
        match self {
            Shown::Percent => format!("{:.2}%", 100.0 * figure),
            Shown::Decimals(decimals) => format!("{figure:.decimals$}"),
        }
    }
}

impl Metric {
    /// A share for which higher is better.
    pub const fn share(name: &'static str, figure: fn(&Counters) -> Option<f64>) -> Metric {
        Metric {
            name,
            better: Better::Higher,
            shown: Shown::Percent,
            in_epoch_line: false,
            figure,
        }
    }

    /// An error for which lower is better, with four decimals.
    pub const fn error(name: &'static str, figure: fn(&Counters) -> Option<f64>) -> Metric {
        Metric {
            name,
            better: Better::Lower,
            shown: Shown::Decimals(4),
            in_epoch_line: false,
            figure,
        }
    }

    /// The same metric, shown in the epoch lines.
    #[must_use]
    pub const fn in_epoch_line(mut self) -> Metric {
        self.in_epoch_line = true;
        self
    }

    /// A figure as text.
    pub fn show(&self, figure: f64) -> String {
        self.shown.show(figure)
    }

    /// Whether `figure` is better than `best` by more than `least`.
    pub fn improves(&self, figure: f64, best: f64, least: f64) -> bool {
        self.better.improves(figure, best, least)
    }
}

/// Sums that a pass over samples accumulated on the device, by name.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Samples of the pass.
    pub samples: u64,
    values: BTreeMap<String, Tensor<f32>>,
    /// Figures that the task computed on the host.
    computed: BTreeMap<&'static str, f64>,
}

impl Counters {
    /// Sums over this many samples.
    pub fn new(samples: u64, values: BTreeMap<String, Tensor<f32>>) -> Counters {
        Counters {
            samples,
            values,
            computed: BTreeMap::new(),
        }
    }

    /// The same sums with figures that were computed on the host.
    #[must_use]
    pub fn with_computed(
        mut self,
        figures: impl IntoIterator<Item = (&'static str, f64)>,
    ) -> Counters {
        self.computed.extend(figures);
        self
    }

    /// The figure `name` of [`Task::host_metrics`](super::Task::host_metrics), if the task computed it.
    pub fn computed(&self, name: &str) -> Option<f64> {
        self.computed.get(name).copied()
    }

    /// The sum `name`, a single number.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let value = self.values.get(name)?;
        value.reals().first().map(|&x| f64::from(x))
    }

    /// The sum `name` divided by the number of samples.
    pub fn mean(&self, name: &str) -> Option<f64> {
        Some(self.sum(name)? / self.samples.max(1) as f64)
    }

    /// All elements of the sum `name`, with its extents.
    pub fn tensor(&self, name: &str) -> Option<&Tensor<f32>> {
        self.values.get(name)
    }

    /// The mean loss, weighted if the samples have weights.
    pub fn loss(&self) -> Option<f64> {
        let sum = self.sum("loss")?;
        Some(match self.sum("weight") {
            Some(weight) if weight > 0.0 => sum / weight,
            Some(_) => sum,
            None => sum / self.samples.max(1) as f64,
        })
    }
}
