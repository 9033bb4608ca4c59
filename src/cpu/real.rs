//! The float type of the reference: `f32` for training, `f64` to check gradients.

use super::Tensor;
use crate::ops::ErasedOp;
use crate::tensor::TensorType;
use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// `f32` or `f64`.
pub trait Real:
    Copy
    + Debug
    + Display
    + Default
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Nearest value to `x`.
    fn of(x: f64) -> Self;
    /// As `f64`.
    fn to_f64(self) -> f64;
    /// `e^self`.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Error function.
    fn erf(self) -> Self;
    /// `self` to the power of `y`.
    fn powf(self, y: Self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// The larger of the two.
    fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
    /// The smaller of the two.
    fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }
    /// Runs the reference of `op` in this precision.
    fn run(op: &dyn ErasedOp, inputs: &[&Tensor<Self>], output: &TensorType) -> Tensor<Self>;
    /// 1 where the condition holds, 0 elsewhere: the result of a comparison in the graph.
    fn truth(condition: bool) -> Self {
        if condition { Self::ONE } else { Self::ZERO }
    }
}

macro_rules! real {
    ($t:ty, $erf:path, $reference:ident) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            fn of(x: f64) -> Self {
                x as $t
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn exp(self) -> Self {
                self.exp()
            }
            fn ln(self) -> Self {
                self.ln()
            }
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            fn tanh(self) -> Self {
                self.tanh()
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            fn powf(self, y: Self) -> Self {
                self.powf(y)
            }
            fn abs(self) -> Self {
                self.abs()
            }
            fn run(
                op: &dyn ErasedOp,
                inputs: &[&Tensor<Self>],
                output: &TensorType,
            ) -> Tensor<Self> {
                op.$reference(inputs, output)
            }
        }
    };
}

real!(f32, libm::erff, reference_f32);
real!(f64, libm::erf, reference_f64);
