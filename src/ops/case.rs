//! Sample cases: operations with operands, on which the shared tests and `wgrad check` run.

use super::{ErasedOp, Op};
use crate::cpu::{Data, Real, Tensor};
use crate::random::Stream;
use crate::tensor::{DType, Shape, TensorType};
use std::sync::Arc;

/// One operation with its attributes and operands.
#[derive(Clone, Debug)]
pub struct Case {
    /// The operation.
    pub op: Arc<dyn ErasedOp>,
    /// Its operands.
    pub inputs: Vec<Operand>,
}

/// An operand of a [`Case`].
#[derive(Clone, Debug)]
pub struct Operand {
    /// Element type and shape.
    pub ty: TensorType,
    /// How its elements are drawn.
    pub values: Values,
    /// Whether the gradient with respect to it is checked.
    pub differentiable: bool,
}

/// How the elements of an operand are drawn.
#[derive(Clone, Debug)]
pub enum Values {
    /// Uniform between the two bounds.
    Uniform(f64, f64),
    /// Uniform between the two bounds, at least 0.05 away from each of the kinks.
    Away(f64, f64, Vec<f64>),
    /// All different by at least 0.05, shuffled: for operations that pick one element.
    Distinct,
    /// Few different values, so that many are equal: for rules about ties. Not for finite differences.
    Ties,
    /// Integers from 0 up to, not including, the bound.
    Below(u32),
    /// Exactly these values.
    Fixed(Vec<f64>),
}

impl Case {
    /// A case of `op` on `inputs`.
    pub fn new(op: impl Op, inputs: impl Into<Vec<Operand>>) -> Self {
        Case {
            op: Arc::new(op),
            inputs: inputs.into(),
        }
    }
}

impl Operand {
    /// Floats uniform in [-1, 1), with a gradient.
    pub fn uniform(shape: impl Into<Shape>) -> Self {
        Self::real(shape, Values::Uniform(-1.0, 1.0))
    }

    /// Floats from `values`, with a gradient.
    pub fn real(shape: impl Into<Shape>, values: Values) -> Self {
        Operand {
            ty: TensorType::f32(shape),
            values,
            differentiable: true,
        }
    }

    /// Integers from `values`.
    pub fn index(shape: impl Into<Shape>, values: Values) -> Self {
        Operand {
            ty: TensorType::u32(shape),
            values,
            differentiable: false,
        }
    }

    /// The same operand, without a check of its gradient.
    pub fn constant(mut self) -> Self {
        self.differentiable = false;
        self
    }

    /// Draws the elements. Floats are exactly representable in `f32`, so that all precisions get the same values.
    pub fn sample<T: Real>(&self, stream: &mut Stream) -> Tensor<T> {
        let n = self.ty.elements();
        let numbers: Vec<f64> = match &self.values {
            Values::Uniform(low, high) => (0..n).map(|_| uniform(stream, *low, *high)).collect(),
            Values::Away(low, high, kinks) => (0..n)
                .map(|_| {
                    loop {
                        let x = uniform(stream, *low, *high);
                        if kinks.iter().all(|k| (x - k).abs() >= 0.05) {
                            break x;
                        }
                    }
                })
                .collect(),
            Values::Distinct => {
                let mut order: Vec<u32> = (0..n as u32).collect();
                stream.shuffle(&mut order);
                let middle = n as f64 / 2.0;
                order
                    .iter()
                    .map(|&i| (f64::from(i) - middle) * 0.0625)
                    .collect()
            }
            Values::Ties => (0..n).map(|_| f64::from(stream.below(3)) - 1.0).collect(),
            Values::Below(bound) => (0..n).map(|_| f64::from(stream.below(*bound))).collect(),
            Values::Fixed(values) => values.clone(),
        };
        let data = match self.ty.dtype {
            DType::F32 => Data::Real(
                numbers
                    .iter()
                    .map(|&x| T::of(f64::from(x as f32)))
                    .collect(),
            ),
            DType::U32 => Data::Index(numbers.iter().map(|&x| x as u32).collect()),
        };
        Tensor {
            shape: self.ty.shape.clone(),
            data,
        }
    }
}

fn uniform(stream: &mut Stream, low: f64, high: f64) -> f64 {
    low + f64::from(stream.unit()) * (high - low)
}
