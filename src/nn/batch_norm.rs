//! Batch normalization of a value, for layers and for networks from files.

use super::forward::{Forward, Mode, Training};
use crate::error::Result;
use crate::graph::Var;

/// The parts of a batch normalization, each `[C]`.
#[derive(Clone, Copy)]
pub struct BatchNormParts<'g> {
    /// Factor after normalizing.
    pub weight: Var<'g>,
    /// Added after that.
    pub bias: Var<'g>,
    /// Running mean, a buffer.
    pub mean: Var<'g>,
    /// Running variance, a buffer.
    pub variance: Var<'g>,
}

/// Normalizes every channel of `x [N, ..., C]` (Ioffe and Szegedy 2015). In training it uses the statistics of the valid samples and
/// updates the running ones: `running = (1 - momentum) running + momentum batch`, with the variance divided by n - 1; otherwise,
/// and if it `is_frozen`, it uses the running ones.
///
/// # Errors
/// If the shapes don't fit.
pub fn batch_norm<'g>(
    cx: &mut Forward<'g>,
    x: Var<'g>,
    parts: BatchNormParts<'g>,
    eps: f64,
    momentum: f64,
    is_frozen: bool,
) -> Result<Var<'g>> {
    let channels = x.shape().last();
    let (mean, variance) = match cx.mode() {
        // A frozen layer keeps its statistics, too.
        _ if is_frozen => (parts.mean, parts.variance),
        Mode::Eval => (parts.mean, parts.variance),
        Mode::Train(training) => {
            let moments = x.moments(0, Some(training.valid))?;
            let part = |i: usize| moments.slice_axis(0, i..i + 1)?.reshape([channels]);
            let (mean, variance) = (part(0)?, part(1)?);
            let unbiased = variance.mul(correction(x, &training)?)?;
            for (running, batch) in [(parts.mean, mean), (parts.variance, unbiased)] {
                // A second pass in the step updates the value that the first pass set.
                let moved = cx.buffer(running).scale(1.0 - momentum)?;
                let value = moved.add(batch.scale(momentum)?)?;
                cx.set_buffer(running, value);
            }
            (mean, variance)
        }
    };
    let deviation = variance.add(x.builder().constant(eps))?.sqrt()?;
    x.normalize(mean, parts.weight.div(deviation)?, parts.bias)
}

/// `n / (n - 1)` for the n valid values of a channel, which makes a variance unbiased. For a single value, which has variance 0,
/// it is 2, so that nothing becomes infinite.
fn correction<'g>(x: Var<'g>, training: &Training<'g>) -> Result<Var<'g>> {
    let dims = x.shape().dims().to_vec();
    let of_sample: usize = dims[1..dims.len() - 1].iter().product();
    let builder = x.builder();
    let share = training.inverse_valid.scale(1.0 / of_sample as f64)?;
    let share = share.minimum(builder.constant(0.5))?;
    let one = builder.constant(1.0);
    one.div(one.sub(share)?)
}
