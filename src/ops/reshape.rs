//! Changes the shape; the elements and their order stay. PyTorch `torch.reshape`, ONNX `Reshape`. No kernel runs.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::plan::Lowering;
use crate::random::Stream;
use crate::tensor::{Shape, TensorType};

/// See the module.
#[derive(Debug)]
pub struct Reshape {
    /// New shape, with the same number of elements.
    pub shape: Shape,
}

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        if x.elements() != self.shape.elements() {
            return Err(format!(
                "{} has {} elements, {} has {}",
                x.shape,
                x.elements(),
                self.shape,
                self.shape.elements()
            ));
        }
        Ok(TensorType {
            dtype: x.dtype,
            shape: self.shape.clone(),
        })
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(cx.grad.reshape(cx.inputs[0].shape())?)])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], _output: &TensorType) -> Tensor<T> {
        inputs[0].reshaped(self.shape.clone())
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let (x, output) = (form.input(0), form.output.to_vec());
        form.reshaped(&x, &output)
    }

    fn lower(&self, _cx: &mut Lowering<'_>) -> Result<()> {
        Err(Error::Graph("reshape is a view: nothing runs".to_string()))
    }

    fn role(&self) -> Role {
        Role::View
    }
}

impl<'g> Var<'g> {
    /// The same elements with the shape `shape`.
    ///
    /// # Errors
    /// If `shape` has a different number of elements.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Result<Var<'g>> {
        let shape = shape.into();
        if shape == self.shape() {
            return Ok(self);
        }
        self.apply(Reshape { shape })
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    vec![
        Case::new(
            Reshape {
                shape: [6, 5].into(),
            },
            [Operand::uniform([2, 3, 5])],
        ),
        Case::new(Reshape { shape: [1].into() }, [Operand::uniform([])]),
    ]
}
