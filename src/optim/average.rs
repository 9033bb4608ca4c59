//! Averages of parameters over the steps, which often evaluate better than the parameters: exponential moving averages (Polyak and
//! Juditsky 1992), which also serve as teacher or target networks, and stochastic weight averaging (Izmailov et al. 2018), the mean of
//! all values from a step on. PyTorch `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn` or without; the warm-up of the
//! former is that of TensorFlow's `ExponentialMovingAverage`.

use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `a += (1 - d) (p - a)` after every step, where `p` is the parameter's value after it. With `decay`, at step t, from 1,
/// `d = min(decay, (1 + t) / (10 + t))`: early steps have a larger weight, so that initial values are soon forgotten. With
/// `from_step`, `a` is the mean of the values after that step and all later ones, and before it the parameter itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Average {
    /// Decay of an exponential moving average, once the run is long enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<f64>,
    /// First step, from 1, of the mean of all values (stochastic weight averaging).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_step: Option<u64>,
}

impl Average {
    /// Name of the scalar input `1 - d`.
    pub const SCALAR: &str = "average.rate";

    /// An exponential moving average with this decay.
    pub fn exponential(decay: f64) -> Average {
        Average {
            decay: Some(decay),
            from_step: None,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If there are none or both, or one is out of its range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        match (self.decay, self.from_step) {
            (Some(decay), None) if (0.0..1.0).contains(&decay) => Ok(()),
            (Some(decay), None) => wrong(format!(
                "the decay of the average must be at least 0 and below 1, not {decay:?}"
            )),
            (None, Some(0)) => wrong("average.from_step counts steps from 1".to_string()),
            (None, Some(_)) => Ok(()),
            _ => wrong(
                "average needs decay, for a moving average, or from_step, for the mean of all later values; set one of them"
                    .to_string(),
            ),
        }
    }

    /// Name of the variable that holds the average of `parameter`.
    pub fn name_of(parameter: &str) -> String {
        format!("average.{parameter}")
    }

    /// Variables that hold the averages of `parameters`, in their order. Each starts as a copy of its parameter.
    pub fn state(&self, parameters: &[(String, TensorType)]) -> Vec<(String, TensorType)> {
        let average = |(name, ty): &(String, TensorType)| (Self::name_of(name), ty.clone());
        parameters.iter().map(average).collect()
    }

    /// Value of [`Average::SCALAR`] at step number `step`, from 1.
    pub fn scalar(&self, step: u64) -> f32 {
        match (self.decay, self.from_step) {
            (Some(decay), _) => {
                let step = step as f64;
                (1.0 - decay.min((1.0 + step) / (10.0 + step))) as f32
            }
            (None, Some(from)) => (1.0 / (1.0 + step.saturating_sub(from) as f64)) as f32,
            (None, None) => 1.0,
        }
    }

    /// Adds the updates of the averages of `parameters`, which are given with their names. The averages take the values after the
    /// step, so call this after all updates of parameters are in the graph. A parameter without an update contributes its current
    /// value.
    ///
    /// # Errors
    /// If a parameter is not a float tensor, or the name of an average is taken.
    pub fn apply<'g>(&self, builder: &'g Builder, parameters: &[(String, Var<'g>)]) -> Result<()> {
        let rate = builder.input(Self::SCALAR, TensorType::f32([]));
        for (name, parameter) in parameters {
            let value = builder.with_graph(|graph| {
                let updates = graph.updates.iter();
                let mut own = updates.filter(|update| update.variable == parameter.id());
                own.next_back().map(|update| update.value)
            });
            let next = value.map_or(*parameter, |id| builder.var(id));
            let average = builder.variable(&Self::name_of(name), parameter.ty())?;
            builder.update(average, average.add(next.sub(average)?.mul(rate)?)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, Variables, interpret};
    use std::collections::HashMap;
    use std::sync::Arc;

    #[test]
    fn the_average_follows_the_values_after_the_step() {
        let average = Average::exponential(0.5);
        let ty = TensorType::f32([1]);
        let builder = Builder::new();
        let [moved, still] = ["moved", "still"].map(|name| builder.variable(name, ty.clone()));
        let (moved, still) = (moved.unwrap(), still.unwrap());
        builder
            .update(moved, moved.add(builder.constant(1.0)).unwrap())
            .unwrap();
        let parameters = [("moved".to_string(), moved), ("still".to_string(), still)];
        average.apply(&builder, &parameters).unwrap();
        let graph = builder.finish().unwrap();
        let started = ["moved", "still", "average.moved", "average.still"]
            .map(|name| (name.to_string(), Arc::new(Tensor::real([1], vec![2.0]))));
        let mut variables: Variables<f32> = HashMap::from(started);
        let rate = Arc::new(Tensor::real([], vec![0.5]));
        let inputs = HashMap::from([(Average::SCALAR.to_string(), rate)]);
        for expected in [2.5, 3.25] {
            interpret(&graph, &mut variables, &inputs).unwrap();
            assert_eq!(variables["average.moved"].reals(), [expected]);
            assert_eq!(variables["average.still"].reals(), [2.0]);
        }
    }

    #[test]
    fn early_steps_count_more() {
        let average = Average::exponential(0.99);
        average.validate().unwrap();
        assert_eq!(average.scalar(1), 1.0 - 2.0_f32 / 11.0);
        assert_eq!(average.scalar(1_000_000), (1.0 - 0.99_f64) as f32);
        assert!(Average::exponential(1.0).validate().is_err());
        assert!(Average::default().validate().is_err());
    }

    #[test]
    fn the_mean_of_all_values_from_a_step_on_has_equal_parts() {
        let average = Average {
            from_step: Some(3),
            ..Average::default()
        };
        average.validate().unwrap();
        let values = [5.0, 7.0, 1.0, 2.0, 6.0];
        let mut mean = 0.0_f32;
        let mut seen = Vec::new();
        for (step, value) in (1..).zip(values) {
            mean += average.scalar(step) * (value - mean);
            seen.push(mean);
        }
        let expected = [5.0, 7.0, 1.0, 1.5, 3.0];
        assert!(seen.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
