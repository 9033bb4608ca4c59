//! Muon (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon/>): momentum that is orthogonalised as a matrix by five
//! Newton-Schulz steps, here in f32. PyTorch `torch.optim.Muon` with `adjust_lr_fn="original"`; other parameters take [`AdamW`]'s
//! step, as in `MuonWithAuxAdam` of the author's code.

use super::adam::{RSQRT_CORRECTION, STEP_SIZE};
use super::adamw::DECAY as ADAMW_DECAY;
use super::{AdamW, LR, Optimizer, ParameterStep, Patterns, require};
use crate::error::Result;
use crate::graph::Var;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `buf += (1 - momentum) (g - buf); u = g + momentum (buf - g)` (without nesterov `u = buf`), as a matrix of the first axis times all
/// others, replaced by the nearest orthogonal one; `p = (1 - lr weight_decay) p - lr sqrt(max(1, rows / columns)) u`.
///
/// Parameters of one axis, and those that `adamw` names, take the step of [`AdamW`] with `adamw_lr`. The author also uses it for
/// embeddings and the last layer, which can only be identified by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// Learning rate of the matrices.
    pub lr: f64,
    /// Decay of the mean of gradients.
    pub momentum: f64,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// Decoupled weight decay: the share of any parameter that a step with learning rate 1 would subtract.
    pub weight_decay: f64,
    /// Names of parameters of two or more axes that AdamW updates, with `*` for any characters.
    #[serde(skip_serializing_if = "Patterns::is_empty")]
    pub adamw: Patterns,
    /// Learning rate of AdamW; the schedule scales it by the same factor.
    pub adamw_lr: f64,
    /// AdamW's decay of the mean of gradients.
    pub beta1: f64,
    /// AdamW's decay of the mean of squared gradients.
    pub beta2: f64,
    /// Keeps AdamW's step finite if gradients vanish.
    pub eps: f64,
}

impl Default for Muon {
    fn default() -> Self {
        Muon {
            lr: 0.02,
            momentum: 0.95,
            nesterov: true,
            weight_decay: 0.0,
            adamw: Patterns::default(),
            adamw_lr: 3e-4,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-10,
        }
    }
}

const DECAY: &str = "muon_decay";
const MOMENTUM: &str = "momentum";

/// Coefficients of `a x + b x^3 + c x^5`, which moves singular values in (0, 1] close to 1 in few steps.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];
const NEWTON_SCHULZ_STEPS: usize = 5;
/// Norm below which a matrix counts as zero.
const LEAST_NORM: f64 = 1e-7;

impl Muon {
    /// The optimizer of parameters that are not matrices.
    fn adamw(&self) -> AdamW {
        AdamW {
            lr: self.adamw_lr,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            weight_decay: self.weight_decay,
            exclude_bias_and_norm: false,
        }
    }

    fn is_adamw(&self, name: &str, ty: &TensorType) -> bool {
        ty.shape.rank() < 2 || self.adamw.match_name(name)
    }
}

impl Optimizer for Muon {
    super::rates!();

    fn patterns(&self) -> Option<(&'static str, &Patterns)> {
        Some(("adamw", &self.adamw))
    }

    fn validate(&self) -> Result<()> {
        let fits = (0.0..1.0).contains(&self.momentum);
        require(self.lr >= 0.0, "lr", "at least 0", self.lr)?;
        let rate = self.adamw_lr;
        require(rate >= 0.0, "adamw_lr", "at least 0", rate)?;
        let share = "at least 0 and below 1";
        require(fits, "momentum", share, self.momentum)?;
        self.adamw().validate()
    }

    fn state(&self, name: &str, ty: &TensorType) -> Vec<&'static str> {
        match self.is_adamw(name, ty) {
            true => self.adamw().state(name, ty),
            false => vec![MOMENTUM],
        }
    }

    fn squared_gradients(
        &self,
        name: &str,
        ty: &TensorType,
        step: u64,
    ) -> Option<(&'static str, f64)> {
        match self.is_adamw(name, ty) {
            true => self.adamw().squared_gradients(name, ty, step),
            false => None,
        }
    }

    fn scalars(&self) -> &'static [&'static str] {
        &[LR, DECAY, STEP_SIZE, RSQRT_CORRECTION, ADAMW_DECAY]
    }

    fn scalar_values(&self, step: u64, lr: f64, out: &mut Vec<f32>) {
        let factor = match self.lr > 0.0 {
            true => lr / self.lr,
            false => 0.0,
        };
        out.push(lr as f32);
        out.push((1.0 - lr * self.weight_decay) as f32);
        self.adamw()
            .scalar_values(step, self.adamw_lr * factor, out);
    }

    fn update<'g>(&self, parameter: &ParameterStep<'_, 'g>) -> Result<Var<'g>> {
        let (p, grad) = (parameter.value(), parameter.grad());
        if self.is_adamw(parameter.name(), &p.ty()) {
            return self.adamw().update(parameter);
        }
        let buffer = parameter.state(MOMENTUM)?;
        let mean = buffer.add(grad.sub(buffer)?.scale(1.0 - self.momentum)?)?;
        parameter.set(buffer, mean)?;
        let direction = match self.nesterov {
            true => grad.add(mean.sub(grad)?.scale(self.momentum)?)?,
            false => mean,
        };
        let shape = p.shape();
        let rows = shape.dims().first().copied().unwrap_or(1).max(1);
        let columns = p.ty().elements() / rows;
        let step = orthogonal(direction.reshape([rows, columns])?)?
            .scale((rows as f64 / columns.max(1) as f64).max(1.0).sqrt())?
            .reshape(shape)?;
        let decayed = p.mul(parameter.scalar(DECAY)?)?;
        decayed.sub(step.mul(parameter.scalar(LR)?)?)
    }
}

/// Approximately the orthogonal matrix nearest to `x` [rows, columns]: all its singular values are within 0.3 of 1.
fn orthogonal(x: Var<'_>) -> Result<Var<'_>> {
    let shape = x.shape();
    let tall = shape.dims()[0] > shape.dims()[1];
    let least = x.builder().constant(LEAST_NORM);
    let mut x = match tall {
        true => x.transpose(0, 1)?,
        false => x,
    };
    let norm = x.mul(x)?.sum_all()?.sqrt()?;
    x = x.div(norm.maximum(least)?)?;
    let [a, b, c] = QUINTIC;
    for _ in 0..NEWTON_SCHULZ_STEPS {
        let gram = x.linear(x)?;
        let factor = gram.scale(b)?.add(gram.matmul(gram)?.scale(c)?)?;
        x = x.scale(a)?.add(factor.matmul(x)?)?;
    }
    match tall {
        true => x.transpose(0, 1),
        false => Ok(x),
    }
}
