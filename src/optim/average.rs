//! Exponential moving averages of parameters (Polyak and Juditsky 1992), which often evaluate better than the parameters, and
//! serve as teacher or target networks. PyTorch `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn`; the warm-up is that of
//! TensorFlow's `ExponentialMovingAverage`.

use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `a += (1 - d) (p - a)` after every step, where `p` is the parameter's value after it and at step t, from 1,
/// `d = min(decay, (1 + t) / (10 + t))`: early steps have a larger weight, so that initial values are soon forgotten.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Average {
    /// Decay of the average, once the run is long enough.
    pub decay: f64,
}

impl Average {
    /// Name of the scalar input `1 - d`.
    pub const SCALAR: &str = "average.rate";

    /// Checks the settings.
    ///
    /// # Errors
    /// If the decay is out of its range.
    pub fn validate(&self) -> Result<()> {
        match (0.0..1.0).contains(&self.decay) {
            true => Ok(()),
            false => Err(Error::Config(format!(
                "the decay of the average must be at least 0 and below 1, not {:?}",
                self.decay
            ))),
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
        let step = step as f64;
        let decay = self.decay.min((1.0 + step) / (10.0 + step));
        (1.0 - decay) as f32
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
        let average = Average { decay: 0.5 };
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
        let average = Average { decay: 0.99 };
        average.validate().unwrap();
        assert_eq!(average.scalar(1), 1.0 - 2.0_f32 / 11.0);
        assert_eq!(average.scalar(1_000_000), (1.0 - 0.99_f64) as f32);
        assert!(Average { decay: 1.0 }.validate().is_err());
    }
}
