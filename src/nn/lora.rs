//! Low-rank adapters: a trained network is fine-tuned by small matrices beside those of its dense layers, which stay as they are (Hu et
//! al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021).
//!
//! A layer with the weight W gives `x Wᵀ + (alpha / rank) (x Aᵀ) Bᵀ`. A begins as random numbers and B as zeros, so that training begins
//! with the network as it was.

use super::parameter::Parameter;
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::optim::Patterns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ends of the names of A, `[rank, features]`, and B, `[units, rank]`; those of the package peft.
const DOWN: &str = "lora_A.weight";
const UP: &str = "lora_B.weight";

/// Adapters of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lora {
    /// Rank of the adapters: the number of rows of A and of columns of B.
    pub rank: usize,
    /// The adapters are multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Patterns of names of dense layers and of parts of attention that get adapters.
    pub layers: Patterns,
    /// Patterns of names of parameters that are trained beside the adapters, such as those of a new head.
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    pub train: Patterns,
}

impl Default for Lora {
    fn default() -> Self {
        Lora {
            rank: 8,
            alpha: 16.0,
            layers: Patterns(vec!["*".to_string()]),
            train: Patterns::default(),
        }
    }
}

/// The parameters of an adapter, by their names.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Adapter {
    /// The weight that it adapts, `[units, features]`.
    pub weight: String,
    /// A.
    pub down: String,
    /// B.
    pub up: String,
}

impl Adapter {
    /// The names of the adapter of the weight `part` of the layer `layer`, such as `weight` or `in_proj_weight`.
    pub fn of(layer: &str, part: &str) -> Adapter {
        let target = Self::target(layer, part);
        Adapter {
            weight: format!("{layer}.{part}"),
            down: format!("{target}.{DOWN}"),
            up: format!("{target}.{UP}"),
        }
    }

    /// The names of A and B within the layer `layer`.
    pub fn parts(&self, layer: &str) -> [String; 2] {
        [&self.down, &self.up].map(|name| {
            let own = name.strip_prefix(layer).unwrap_or(name);
            own.trim_start_matches('.').to_string()
        })
    }

    /// The name by which `layers` names its weight.
    pub fn target_name(&self) -> &str {
        self.down.trim_end_matches(DOWN).trim_end_matches('.')
    }

    /// The name by which `layers` names this weight: that of the layer, and of its part if it has several weights.
    pub fn target(layer: &str, part: &str) -> String {
        match part.trim_end_matches("weight").trim_end_matches(['_', '.']) {
            "" => layer.to_string(),
            part => format!("{layer}.{part}"),
        }
    }
}

impl Lora {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the invalid one.
    pub fn check(&self) -> Result<()> {
        const HIGHEST: usize = 1024;
        if !(1..=HIGHEST).contains(&self.rank) {
            return Err(Error::Config(format!(
                "lora.rank must be from 1 to {HIGHEST}, not {}",
                self.rank
            )));
        }
        if !(self.alpha > 0.0 && self.alpha.is_finite()) {
            return Err(Error::Config(format!(
                "lora.alpha must be above 0, not {}",
                self.alpha
            )));
        }
        Ok(())
    }

    /// The factor of the adapters.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Whether the parameter `name` is trained.
    pub fn trains(&self, name: &str) -> bool {
        Self::is_adapter(name) || self.train.match_name(name)
    }

    fn is_adapter(name: &str) -> bool {
        [DOWN, UP].iter().any(|end| name.ends_with(end))
    }

    /// Patterns of the parameters that are not trained.
    pub fn frozen(&self) -> Patterns {
        let ends = [DOWN, UP].map(|end| format!("!*{end}"));
        let others = self.train.0.iter().map(|pattern| format!("!{pattern}"));
        let all = std::iter::once("*".to_string()).chain(ends).chain(others);
        Patterns(all.collect())
    }

    /// The `values` of the `state` of a network with `adapters`, without the adapters, which are added to the weights.
    pub(super) fn merge(
        &self,
        adapters: &[Adapter],
        state: &[&Parameter],
        values: &[Tensor<f32>],
    ) -> Result<Vec<Tensor<f32>>> {
        let all: Vec<(&str, &Tensor<f32>)> = state
            .iter()
            .map(|parameter| parameter.name.as_str())
            .zip(values)
            .collect();
        let value = |name: &str| {
            let found = all.iter().find(|(known, _)| *known == name);
            found
                .map(|(_, value)| *value)
                .ok_or_else(|| Error::Graph(format!("there is no value of {name}")))
        };
        let rest = all.iter().filter(|(name, _)| !Self::is_adapter(name));
        rest.map(
            |(name, value_of)| match adapters.iter().find(|adapter| adapter.weight == *name) {
                Some(adapter) => {
                    Ok(self.merged(value_of, value(&adapter.down)?, value(&adapter.up)?))
                }
                None => Ok((*value_of).clone()),
            },
        )
        .collect()
    }

    /// `weight + scale up down`, summed in f64.
    fn merged(&self, weight: &Tensor<f32>, down: &Tensor<f32>, up: &Tensor<f32>) -> Tensor<f32> {
        let features = weight.shape.last();
        let (down, up) = (down.reals(), up.reals());
        let sum = |unit: usize, feature: usize| -> f64 {
            let products = (0..self.rank).map(|at| {
                f64::from(up[unit * self.rank + at]) * f64::from(down[at * features + feature])
            });
            products.sum()
        };
        let numbers = weight.reals().iter().enumerate();
        let numbers = numbers.map(|(at, &weight)| {
            (f64::from(weight) + self.scale() * sum(at / features, at % features)) as f32
        });
        Tensor::real(weight.shape.clone(), numbers.collect())
    }
}
