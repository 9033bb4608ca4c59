//! Small changes to images that raise a loss, within a bound: the steps of fast gradient and projected gradient attacks, as nodes of a
//! graph.
//!
//! All is computed on pixels from 0 to 1, whatever a model normalises them by, so that bounds are those of the literature.

use crate::autodiff::gradients;
use crate::error::Result;
use crate::graph::{Builder, Var};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_1_SQRT_2;

/// Added to squared lengths, so that directions of zero gradients are zero.
const TINY: f64 = 1e-24;

/// How the size of a change to an image is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeNorm {
    /// The largest change of a pixel.
    Linf,
    /// The square root of the sum of the squares of all changes.
    L2,
}

impl ChangeNorm {
    /// `linf` or `l2`.
    pub fn name(self) -> &'static str {
        match self {
            ChangeNorm::Linf => "linf",
            ChangeNorm::L2 => "l2",
        }
    }
}

/// How the pixels of images were normalised.
#[derive(Clone, Copy)]
pub struct PixelScale<'g> {
    mean: Var<'g>,
    std: Var<'g>,
}

impl<'g> PixelScale<'g> {
    /// By this mean and standard deviation, one for each channel.
    ///
    /// # Errors
    /// If there are no channels.
    pub fn new(builder: &'g Builder, mean: &[f64], std: &[f64]) -> Result<PixelScale<'g>> {
        let row = |values: &[f64]| -> Result<Var<'g>> {
            let each = values
                .iter()
                .map(|&value| builder.constant(value).reshape([1]));
            Var::concat(&each.collect::<Result<Vec<_>>>()?, 0)
        };
        Ok(PixelScale {
            mean: row(mean)?,
            std: row(std)?,
        })
    }

    /// Pixels from 0 to 1 of normalised images, `[..., channels]`.
    ///
    /// # Errors
    /// If they have other channels.
    pub fn pixels(&self, images: Var<'g>) -> Result<Var<'g>> {
        images.mul(self.std)?.add(self.mean)
    }

    /// Normalised images of pixels from 0 to 1, `[..., channels]`.
    ///
    /// # Errors
    /// If they have other channels.
    pub fn normalised(&self, pixels: Var<'g>) -> Result<Var<'g>> {
        pixels.sub(self.mean)?.div(self.std)
    }
}

/// The bound of a change, and the length of a step within it, both in units of the range of a pixel.
#[derive(Clone, Copy)]
pub struct ChangeBound<'g> {
    /// How changes are measured.
    pub norm: ChangeNorm,
    /// The largest change: a scalar, or one for each sample as `[batch, 1, ...]`.
    pub epsilon: Var<'g>,
    /// Length of a step: a scalar.
    pub step: Var<'g>,
}

impl<'g> ChangeBound<'g> {
    /// Pixels drawn within the bound around `clean`: uniformly in the cube of `linf`, in a random direction at the bound of `l2`; `noise`
    /// holds standard normal numbers of the same shape. They may lie outside of the range of pixels: where most pixels are black or white,
    /// a start that is cut off there differs too little from one step to the next for single steps to be learned from (Wong et al. 2020).
    ///
    /// # Errors
    /// If the shapes don't fit.
    pub fn around(&self, clean: Var<'g>, noise: Var<'g>) -> Result<Var<'g>> {
        let change = match self.norm {
            // The distribution function of the normal distribution, from -1 to 1.
            ChangeNorm::Linf => noise.scale(FRAC_1_SQRT_2)?.erf()?,
            ChangeNorm::L2 => noise.div(length(noise)?)?,
        };
        clean.add(change.mul(self.epsilon)?)
    }

    /// One step of projected gradient ascent from `current`: along the sign of `gradient` (`linf`) or its direction (`l2`), back into the
    /// bound around `clean` and into the range of pixels (Madry et al. 2018). Gradients do not go through a step of `linf`.
    ///
    /// # Errors
    /// If the shapes don't fit.
    pub fn ascend(&self, current: Var<'g>, clean: Var<'g>, gradient: Var<'g>) -> Result<Var<'g>> {
        let zero = gradient.builder().constant(0.0);
        let moved = match self.norm {
            ChangeNorm::Linf => {
                let sign = gradient.gt(zero)?.sub(gradient.lt(zero)?)?;
                let moved = current.add(sign.mul(self.step)?)?;
                moved
                    .maximum(clean.sub(self.epsilon)?)?
                    .minimum(clean.add(self.epsilon)?)?
            }
            ChangeNorm::L2 => {
                let direction = gradient.div(length(gradient)?)?;
                let change = current.add(direction.mul(self.step)?)?.sub(clean)?;
                let own = length(change)?;
                let shrink = self.epsilon.div(own)?;
                let shrink = shrink.minimum(gradient.builder().constant(1.0))?;
                clean.add(change.mul(shrink)?)?
            }
        };
        moved.clamp(0.0, 1.0)
    }

    /// Pixels after `steps` steps of [`ascend`](ChangeBound::ascend) from `start`, which raise the loss that `loss` gives for pixels, a
    /// scalar.
    ///
    /// # Errors
    /// That of `loss`, or if the shapes don't fit.
    pub fn raise(
        &self,
        start: Var<'g>,
        clean: Var<'g>,
        steps: usize,
        mut loss: impl FnMut(Var<'g>) -> Result<Var<'g>>,
    ) -> Result<Var<'g>> {
        let mut current = start;
        for _ in 0..steps {
            let raised = loss(current)?;
            let gradient = gradients(raised, &[current])?[0];
            current = self.ascend(current, clean, gradient)?;
        }
        Ok(current)
    }
}

/// The lengths of the rows of `x`, `[batch, 1, ...]`, never zero.
fn length(x: Var<'_>) -> Result<Var<'_>> {
    let axes: Vec<usize> = (1..x.shape().rank()).collect();
    let sum = x.mul(x)?.sum_keep(&axes)?;
    sum.add(x.builder().constant(TINY))?.sqrt()
}
