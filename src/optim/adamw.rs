//! Adam with decoupled weight decay (Loshchilov and Hutter 2019). PyTorch `torch.optim.AdamW`.

use super::adam::{Adam, Direction};
use super::{Optimizer, Scalars, scalar};
use crate::error::Result;
use crate::graph::{Builder, Var};
use crate::tensor::TensorType;
use serde::{Deserialize, Serialize};

/// `p *= 1 - lr weight_decay`, then [`Adam`]'s step without weight decay. With `exclude_bias_and_norm` the first holds for
/// parameters of two axes and more alone, as in GPT-2 and most recipes after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f64,
    /// Share of the mean of gradients that is kept.
    pub beta1: f64,
    /// Share of the mean of squared gradients that is kept.
    pub beta2: f64,
    /// Keeps the step finite where gradients vanish.
    pub eps: f64,
    /// Share of the parameters that a step with learning rate 1 would take off.
    pub weight_decay: f64,
    /// Whether parameters of one axis keep all of themselves: biases, and the weights of normalizations.
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

const DECAY: &str = "optimizer.decay";

impl AdamW {
    /// The part that is Adam's. It keeps the weight decay, which only [`Adam::apply`] would put into the gradient.
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
    fn lr(&self) -> f64 {
        self.lr
    }

    fn validate(&self) -> Result<()> {
        self.adam().validate()
    }

    fn state(&self, params: &[(String, TensorType)]) -> Vec<(String, TensorType)> {
        self.adam().state(params)
    }

    fn apply<'g>(
        &self,
        builder: &'g Builder,
        params: &[(String, Var<'g>)],
        grads: &[Var<'g>],
    ) -> Result<()> {
        let adam = self.adam();
        let direction = Direction::new(&adam, builder);
        let decay = scalar(builder, DECAY);
        for ((name, p), &grad) in params.iter().zip(grads) {
            let excluded = self.exclude_bias_and_norm && p.shape().rank() < 2;
            let decayed = if excluded { *p } else { p.mul(decay)? };
            builder.update(*p, decayed.sub(direction.of(name, grad)?)?)?;
        }
        Ok(())
    }

    fn scalars(&self, step: u64, lr: f64) -> Scalars {
        let mut scalars = self.adam().scalars(step, lr);
        scalars.push((DECAY, (1.0 - lr * self.weight_decay) as f32));
        scalars
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, Variables, interpret};
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
            // Without a gradient only the decay moves a parameter.
            let grads = params.each_ref().map(|(_, p)| p.scale(0.0).unwrap());
            optimizer.apply(&builder, &params, &grads).unwrap();
            let graph = builder.finish().unwrap();
            let mut variables: Variables<f32> = optimizer
                .state(&named)
                .into_iter()
                .map(|(name, ty)| (name, Arc::new(Tensor::zeros(&ty))))
                .collect();
            for (name, ty) in &named {
                let ones = Tensor::real(ty.shape.clone(), vec![1.0; 2]);
                variables.insert(name.clone(), Arc::new(ones));
            }
            let inputs: HashMap<String, Arc<Tensor<f32>>> = optimizer
                .scalars(1, 0.5)
                .into_iter()
                .map(|(name, x)| (name.to_string(), Arc::new(Tensor::real([], vec![x]))))
                .collect();
            interpret(&graph, &mut variables, &inputs).unwrap();
            ["bias", "weight"].map(|name| variables[name].reals()[0])
        };
        assert_eq!(decayed(true), [1.0, 0.75]);
        assert_eq!(decayed(false), [0.75, 0.75]);
    }
}
