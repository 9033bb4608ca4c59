//! Pointwise operations: element i of the result depends on element i of each operand, after broadcasting.
//!
//! A type that implements [`Pointwise`] is an [`Op`]. This file implements the common parts: the shape rule (NumPy's
//! broadcasting), the sums that undo broadcasting in the gradient, the loop of the reference, and the fused kernel.

use super::onnx_form::{OnnxForm, Written};
use super::{Op, PointwiseCode, Role, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::plan::Lowering;
use crate::tensor::{DType, Shape, TensorType};
use rayon::prelude::*;
use std::fmt::Debug;

/// A function of one element of each operand. The file `NAME` in its shader folder holds the WGSL function
/// `fn op_NAME(a: F, …) -> F`, where `F` is `f32` or `vec4<f32>`; [`Pointwise::literals`] follow the operands.
pub trait Pointwise: Debug + Send + Sync + 'static {
    /// Name of the operation.
    const NAME: &'static str;
    /// Folder under `shaders/`: the name of the operation that this file defines.
    const FOLDER: &'static str = Self::NAME;
    /// Number of operands, at most four.
    const ARITY: usize;

    /// Value of one element.
    fn eval<T: Real>(&self, x: &[T]) -> T;

    /// Gradients with respect to the operands `x`, each of the shape of the result `y`; `dy` is the gradient with
    /// respect to `y`.
    ///
    /// # Errors
    /// If a node can't be built.
    fn vjp<'g>(&self, x: &[Var<'g>], y: Var<'g>, dy: Var<'g>) -> Result<Vec<Option<Var<'g>>>>;

    /// The same, each before it is summed to the shape of its operand: all of the shape of the result. For operations whose gradient
    /// rule sums them itself.
    ///
    /// # Errors
    /// If a node can't be built.
    fn unsummed_vjp<'g>(
        &self,
        x: &[Var<'g>],
        y: Var<'g>,
        dy: Var<'g>,
    ) -> Result<Vec<Option<Var<'g>>>> {
        self.vjp(x, y, dy)
    }

    /// Writes the operation as nodes of ONNX.
    ///
    /// # Errors
    /// Why it can't, as the rest of a sentence about the operation.
    fn onnx(&self, _form: &mut OnnxForm<'_>) -> Written {
        Err("has no form in ONNX".to_string())
    }

    /// Attributes, passed to the WGSL function after the operands.
    fn literals(&self) -> Vec<f64> {
        Vec::new()
    }

    /// The WGSL function to call; overridden by operations that choose one by an attribute.
    fn function(&self) -> String {
        format!("op_{}", Self::NAME)
    }
}

impl<P: Pointwise> Op for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        if inputs.len() != P::ARITY {
            return Err(format!(
                "takes {} operands, was given {}",
                P::ARITY,
                inputs.len()
            ));
        }
        let mut shape = Shape::scalar();
        for ty in inputs {
            if ty.dtype != DType::F32 {
                return Err(format!("works on f32, was given {ty}"));
            }
            shape = shape.broadcast(&ty.shape).ok_or_else(|| {
                let all: Vec<_> = inputs.iter().map(|t| t.shape.to_string()).collect();
                format!("shapes {} do not broadcast", all.join(" and "))
            })?;
        }
        Ok(TensorType::f32(shape))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let grads = Pointwise::vjp(self, &cx.inputs, cx.output, cx.grad)?;
        grads
            .into_iter()
            .zip(&cx.inputs)
            .map(|(grad, input)| grad.map(|g| g.sum_to(&input.shape())).transpose())
            .collect()
    }

    fn sample_norms<'g>(
        &self,
        cx: &Vjp<'g>,
        operand: usize,
        samples: usize,
    ) -> Result<Option<Var<'g>>> {
        let grads = self.unsummed_vjp(&cx.inputs, cx.output, cx.grad)?;
        let Some(grad) = grads.into_iter().nth(operand).flatten() else {
            return Ok(None);
        };
        let shape = cx.output.shape();
        let grad = grad.broadcast_to(&shape)?;
        grad.norms_of_broadcast(&cx.inputs[operand].shape(), samples)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let operands: Vec<Vec<T>> = inputs
            .iter()
            .map(|input| broadcast(input, &output.shape))
            .collect();
        let mut values = vec![T::ZERO; output.elements()];
        in_parts(&mut values, &|start, part| {
            for (i, value) in (start..).zip(part) {
                let mut x = [T::ZERO; 4];
                for (slot, operand) in x.iter_mut().zip(&operands) {
                    *slot = operand[i];
                }
                *value = self.eval(&x[..P::ARITY]);
            }
        });
        Tensor::real(output.shape.clone(), values)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        Pointwise::onnx(self, form)
    }

    fn lower(&self, _cx: &mut Lowering<'_>) -> Result<()> {
        Err(Error::Graph(format!(
            "{} is pointwise and belongs in a fused kernel",
            P::NAME
        )))
    }

    fn role(&self) -> Role {
        Role::Pointwise(PointwiseCode {
            shader: format!("{}/{}", P::FOLDER, P::NAME),
            function: self.function(),
            literals: self.literals(),
        })
    }
}

/// Calls `write` with every part of `values` and the index of its first, on all cores. It is not generic in `write`, so that the
/// machinery of threads is compiled once and not for every operation.
fn in_parts<T: Real>(values: &mut [T], write: &(dyn Fn(usize, &mut [T]) + Sync)) {
    const LENGTH: usize = 4096;
    let parts = values.par_chunks_mut(LENGTH).enumerate();
    parts.for_each(|(part, values)| write(part * LENGTH, values));
}

/// Elements of `input`, broadcast to `shape`.
pub(super) fn broadcast<T: Real>(input: &Tensor<T>, shape: &Shape) -> Vec<T> {
    let values = input.reals();
    if input.shape == *shape {
        return values.to_vec();
    }
    let strides = input.shape.broadcast_strides(shape);
    let own = shape.strides();
    (0..shape.elements())
        .into_par_iter()
        .with_min_len(4096)
        .map(|i| {
            let at = (0..shape.rank())
                .map(|a| i / own[a] % shape.dims()[a] * strides[a])
                .sum::<usize>();
            values[at]
        })
        .collect()
}

/// The shape rule of operations whose operands are float tensors of the same shape.
///
/// # Errors
/// A sentence that names the shapes.
pub fn same_float(inputs: &[&TensorType]) -> Result<TensorType, String> {
    match inputs {
        [first, rest @ ..] if first.dtype == DType::F32 && rest.iter().all(|t| t == first) => {
            Ok((*first).clone())
        }
        _ => {
            let all: Vec<_> = inputs.iter().map(|t| t.to_string()).collect();
            Err(format!(
                "takes floats of one shape, was given {}",
                all.join(" and ")
            ))
        }
    }
}
