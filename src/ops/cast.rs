//! Conversions between the two types of elements. PyTorch `Tensor.to`, ONNX `Cast`. Neither has a gradient.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Op, Operand, Values, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};

/// Integers as floats, exact up to 2^24.
#[derive(Debug)]
pub struct CastFloat;

/// Floats as integers, rounded down; below 0 they become 0, and above 2^31 - 128 that number.
#[derive(Debug)]
pub struct CastIndex;

/// The largest `f32` below 2^31.
const LARGEST: f64 = 2_147_483_520.0;

fn converted(inputs: &[&TensorType], from: DType, to: DType) -> Result<TensorType, String> {
    let [x] = operands(inputs)?;
    if x.dtype != from {
        return Err(format!("takes elements of type {from}, was given {x}"));
    }
    Ok(TensorType {
        dtype: to,
        shape: x.shape.clone(),
    })
}

fn launch(cx: &mut Lowering<'_>, file: &str) -> Result<()> {
    const WORKGROUP: usize = 64;
    let (x, out) = (cx.input(0), cx.output()?);
    let elements = out.ty.elements();
    cx.launch(
        Launch::new(file)
            .read("x", x.value, 0)
            .write("out", out.value)
            .param("invocations", elements)
            .invocations(elements, WORKGROUP),
    )
}

impl Op for CastFloat {
    fn name(&self) -> &'static str {
        "cast_float"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        converted(inputs, DType::U32, DType::F32)
    }

    fn vjp<'g>(&self, _cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None])
    }

    fn stays_precise(&self) -> bool {
        true
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        own[0]
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let values = inputs[0].indices().iter().map(|&i| T::of(f64::from(i)));
        Tensor::real(output.shape.clone(), values.collect())
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        Ok(form.real(&x))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        launch(cx, "cast/float")
    }
}

impl Op for CastIndex {
    fn name(&self) -> &'static str {
        "cast_index"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        converted(inputs, DType::F32, DType::U32)
    }

    fn vjp<'g>(&self, _cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![None])
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        own[0]
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let index = |x: &T| x.to_f64().clamp(0.0, LARGEST) as u32;
        let values = inputs[0].reals().iter().map(index);
        Tensor::index(output.shape.clone(), values.collect())
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        let floor = form.node("Floor", &[&x], Vec::new());
        Ok(form.integers(&floor))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        launch(cx, "cast/index")
    }
}

impl<'g> Var<'g> {
    /// `self`, integers, as floats; exact up to 2^24.
    ///
    /// # Errors
    /// If `self` is not a `u32` tensor.
    #[track_caller]
    pub fn to_float(self) -> Result<Var<'g>> {
        self.apply(CastFloat)
    }

    /// `self`, floats, as integers: rounded down, at least 0.
    ///
    /// # Errors
    /// If `self` is not a float tensor.
    #[track_caller]
    pub fn to_index(self) -> Result<Var<'g>> {
        self.apply(CastIndex)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 1 + stream.below(40) as usize;
    let (a, b) = (odd(), odd());
    let real = |shape: &[usize], values: Values| {
        Case::new(CastIndex, [Operand::real(shape, values).constant()])
    };
    vec![
        Case::new(CastFloat, [Operand::index([a, b], Values::Below(1 << 24))]),
        Case::new(CastFloat, [Operand::index([], Values::Below(9))]),
        real(&[a, b], Values::Uniform(-3.0, 90.0)),
        real(
            &[5],
            Values::Fixed(vec![-7.5, 0.0, 0.999, 16_777_216.0, 4e9]),
        ),
    ]
}
