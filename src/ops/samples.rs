//! Gradients of single samples: where the samples of a batch lie in a tensor, and the norms of what each contributes to a gradient.
//!
//! The batch of a training step lies along one axis of a tensor, in as many equal blocks as there are samples. Most operations treat
//! every sample by itself, and then the gradient that arrives at a node consists of the samples' own: what one sample contributes to
//! the gradient of a weight can be measured without computing the gradients of all samples one after another (Goodfellow, "Efficient
//! Per-Example Gradient Computations", 2015; Li et al., "Large Language Models Can Be Strong Differentially Private Learners", 2022).

use crate::error::Result;
use crate::graph::Var;
use crate::tensor::{Shape, TensorType};

/// The axis of the result of a pointwise operation along which its samples lie, if they lie along the same one of all operands that have
/// any.
pub(super) fn of_pointwise(
    inputs: &[&TensorType],
    own: &[Option<usize>],
    result: &Shape,
) -> Option<usize> {
    let mut axis = None;
    for (ty, own) in inputs.iter().zip(own) {
        let Some(own) = *own else { continue };
        let aligned = ty.shape.rank() == result.rank() && ty.dims()[own] == result.dims()[own];
        if !aligned || axis.is_some_and(|axis| axis != own) {
            return None;
        }
        axis = Some(own);
    }
    axis
}

/// The axis along which the samples lie when `from` takes the shape `to`: each sample stays a block of neighbours.
pub(super) fn of_view(from: &Shape, own: usize, to: &Shape, samples: usize) -> Option<usize> {
    let leads = |shape: &Shape, axis: usize| shape.dims()[..axis].iter().all(|&d| d == 1);
    let found = to.dims().iter().position(|&d| d != 1)?;
    (leads(from, own) && to.dims()[found].is_multiple_of(samples)).then_some(found)
}

/// The axis of the result if the samples lie along the first axis of the first operand alone, and the operation keeps that axis.
pub(super) fn of_first(own: &[Option<usize>]) -> Option<usize> {
    match own {
        [Some(0), rest @ ..] if rest.iter().all(Option::is_none) => Some(0),
        _ => None,
    }
}

/// The axis of the result if the samples lie along the first axis of some operands, and the operation keeps that axis.
pub(super) fn of_all_first(own: &[Option<usize>]) -> Option<usize> {
    let first = |own: &Option<usize>| matches!(own, None | Some(0));
    (own.iter().all(first) && own.contains(&Some(0))).then_some(0)
}

impl<'g> Var<'g> {
    /// The squared Euclidean norm of each of `samples` equal blocks: `[samples]`.
    pub(super) fn squared_norms(self, samples: usize) -> Result<Var<'g>> {
        let each = self.reshape([samples, self.ty().elements() / samples])?;
        each.mul(each)?.sum(&[1])
    }

    /// The squared norms of what each sample contributes to the gradient of an operand of the shape `operand`, which was broadcast to that
    /// of `self`, the gradient before it is summed: `[samples]`. `None` if the operand has values for each sample.
    pub(super) fn norms_of_broadcast(
        self,
        operand: &Shape,
        samples: usize,
    ) -> Result<Option<Var<'g>>> {
        let dims = self.shape().dims().to_vec();
        let missing = dims.len() - operand.rank();
        let extent = |axis: usize| axis.checked_sub(missing).map_or(1, |at| operand.dims()[at]);
        if dims.is_empty() || extent(0) != 1 || !dims[0].is_multiple_of(samples) {
            return Ok(None);
        }
        let summed: Vec<usize> = (1..dims.len())
            .filter(|&axis| extent(axis) == 1 && dims[axis] > 1)
            .collect();
        let each = match summed.is_empty() {
            true => self,
            false => self.sum_keep(&summed)?,
        };
        let rows = dims[0] / samples;
        let each = each.reshape([samples, rows, operand.elements()])?;
        let each = match rows {
            1 => each,
            _ => each.sum(&[1])?,
        };
        each.squared_norms(samples).map(Some)
    }

    /// The squared norms of the products `a^T g` of each sample, where `a` is `[samples, rows, m]` and `g` `[samples, rows, n]`:
    /// `[samples]`. Of one row the norm is the product of norms; of few rows it is the sum of the products of their inner products, and
    /// otherwise that of the product itself, whichever takes fewer operations.
    pub(super) fn norms_of_products(self, g: Var<'g>) -> Result<Var<'g>> {
        use super::matmul::Matmul;
        let (a_shape, g_shape) = (self.shape(), g.shape());
        let (samples, rows) = (a_shape.dims()[0], a_shape.dims()[1]);
        let (m, n) = (a_shape.last(), g_shape.last());
        if rows == 1 {
            return self.squared_norms(samples)?.mul(g.squared_norms(samples)?);
        }
        let inner = Matmul {
            transpose_a: false,
            transpose_b: true,
        };
        if rows * (m + n) <= m * n {
            let products = self
                .matmul_with(self, inner)?
                .mul(g.matmul_with(g, inner)?)?;
            return products.reshape([samples, rows * rows])?.sum(&[1]);
        }
        let outer = Matmul {
            transpose_a: true,
            transpose_b: false,
        };
        self.matmul_with(g, outer)?.squared_norms(samples)
    }
}
