//! Clipping of gradients, by global norm or by value. PyTorch `torch.nn.utils.clip_grad_norm_` and `clip_grad_value_`;
//! Pascanu et al. 2013.

use crate::error::Result;
use crate::graph::Var;

/// Scales all `grads` by `min(1, max_norm / (norm + 1e-6))`, where `norm` is that of all of them as one vector.
///
/// # Errors
/// If one is not a float tensor.
pub fn clip_grad_norm<'g>(grads: &[Var<'g>], max_norm: f64) -> Result<Vec<Var<'g>>> {
    let mut squares: Option<Var<'g>> = None;
    for grad in grads {
        let square = grad.mul(*grad)?.sum_all()?;
        squares = Some(match squares {
            Some(sum) => sum.add(square)?,
            None => square,
        });
    }
    let Some(squares) = squares else {
        return Ok(Vec::new());
    };
    let builder = squares.builder();
    let norm = squares.sqrt()?.add(builder.constant(1e-6))?;
    let factor = builder
        .constant(max_norm)
        .div(norm)?
        .minimum(builder.constant(1.0))?;
    grads.iter().map(|grad| grad.mul(factor)).collect()
}

/// Clamps every element of `grads` to the range from `-max_value` to `max_value`.
///
/// # Errors
/// If one is not a float tensor.
pub fn clip_grad_value<'g>(grads: &[Var<'g>], max_value: f64) -> Result<Vec<Var<'g>>> {
    let clip = |grad: &Var<'g>| grad.clamp(-max_value, max_value);
    grads.iter().map(clip).collect()
}
