//! Adam with decoupled weight decay (Loshchilov and Hutter 2019). PyTorch `torch.optim.AdamW`.

use super::adam::{Adam, RSQRT_CORRECTION, STEP_SIZE};
use super::{Optimizer, ParameterStep};
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `p *= 1 - lr weight_decay`, then [`Adam`]'s step without weight decay. With `exclude_bias_and_norm` the decay only
/// applies to parameters of two or more axes, as in GPT-2 and most recipes after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Keeps the step finite if gradients vanish.
    pub eps: f64,
    /// Decoupled weight decay: the share of the parameters that a step with learning rate 1 would subtract.
    pub weight_decay: f64,
    /// Whether to exclude parameters of one axis from the decay: biases, and the weights of normalizations.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exclude_bias_and_norm: bool,
}

impl Default for AdamW {
    fn default() -> Self {
        let Adam {
            lr,
            beta1,
            beta2,
            eps,
            ..
        } = Adam::default();
        AdamW {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay: 0.01,
            exclude_bias_and_norm: false,
        }
    }
}

pub(super) const DECAY: &str = "decay";

impl AdamW {
    /// The Adam part. It keeps the weight decay, which only the update of [`Adam`] would add to the gradient.
    fn adam(&self) -> Adam {
        let AdamW {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            ..
        } = *self;
        Adam {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
        }
    }
}

impl Optimizer for AdamW {
    super::rates!();

    fn validate(&self) -> Result<()> {
        self.adam().validate()
    }

    fn state(&self, name: &str, ty: &TensorType) -> Vec<&'static str> {
        self.adam().state(name, ty)
    }

    fn squared_gradients(
        &self,
        name: &str,
        ty: &TensorType,
        step: u64,
    ) -> Option<(&'static str, f64)> {
        self.adam().squared_gradients(name, ty, step)
    }

    fn scalars(&self) -> &'static [&'static str] {
        &[STEP_SIZE, RSQRT_CORRECTION, DECAY]
    }

    fn scalar_values(&self, step: u64, lr: f64, out: &mut Vec<f32>) {
        self.adam().scalar_values(step, lr, out);
        out.push((1.0 - lr * self.weight_decay) as f32);
    }

    fn update<'g>(&self, parameter: &ParameterStep<'_, 'g>) -> Result<Var<'g>> {
        let p = parameter.value();
        let excluded = self.exclude_bias_and_norm && p.shape().rank() < 2;
        let decayed = match excluded {
            true => p,
            false => p.mul(parameter.scalar(DECAY)?)?,
        };
        decayed.sub(self.adam().step(parameter, parameter.grad())?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DEFAULT_PREFIX, OptimizerInstance};
    use super::*;
    use crate::cpu::{Tensor, Variables, interpret};
    use crate::graph::Builder;
    use std::collections::HashMap;
    use std::sync::Arc;

    #[test]
    fn biases_are_left_out_of_the_decay_where_that_is_asked_for() {
        let decayed = |exclude_bias_and_norm: bool| {
            let optimizer = AdamW {
                lr: 0.5,
                weight_decay: 0.5,
                exclude_bias_and_norm,
                ..AdamW::default()
            };
            let builder = Builder::new();
            let named = [
                ("bias", TensorType::f32([2])),
                ("weight", TensorType::f32([1, 2])),
            ]
            .map(|(name, ty)| (name.to_string(), ty));
            let params = named.clone().map(|(name, ty)| {
                let variable = builder.variable(&name, ty).unwrap();
                (name, variable)
            });
            // With a gradient of 0 only the decay changes a parameter.
            let grads = params.each_ref().map(|(_, p)| p.scale(0.0).unwrap());
            let instance =
                OptimizerInstance::new(DEFAULT_PREFIX, &optimizer.into(), &[], &named).unwrap();
            instance.apply(&builder, &params, &grads).unwrap();
            let graph = builder.finish().unwrap();
            let mut variables: Variables<f32> = instance
                .state()
                .into_iter()
                .map(|(name, ty)| (name, Arc::new(Tensor::zeros(&ty))))
                .collect();
            for (name, ty) in &named {
                let ones = Tensor::real(ty.shape.clone(), vec![1.0; 2]);
                variables.insert(name.clone(), Arc::new(ones));
            }
            let mut scalars = Vec::new();
            instance.scalars(1, 0.5, &mut scalars);
            let names = instance.scalar_names().iter().cloned();
            let inputs: HashMap<String, Arc<Tensor<f32>>> = names
                .zip(scalars)
                .map(|(name, x)| (name, Arc::new(Tensor::real([], vec![x]))))
                .collect();
            interpret(&graph, &mut variables, &inputs).unwrap();
            ["bias", "weight"].map(|name| variables[name].reals()[0])
        };
        assert_eq!(decayed(true), [1.0, 0.75]);
        assert_eq!(decayed(false), [0.75, 0.75]);
    }
}
