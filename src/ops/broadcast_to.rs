//! Stretches axes of extent 1, and missing leading axes, to a larger shape. PyTorch `torch.broadcast_to`, ONNX `Expand`.

use super::onnx_form::{OnnxForm, Written};
use super::{Case, Op, Operand, PointwiseCode, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::plan::Lowering;
use crate::random::Stream;
use crate::tensor::{DType, Shape, TensorType};

/// See the module.
#[derive(Debug)]
pub struct BroadcastTo {
    /// The larger shape.
    pub shape: Shape,
}

impl Op for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        if x.dtype != DType::F32 {
            return Err(format!("works on f32, was given {x}"));
        }
        if x.shape.broadcast(&self.shape).as_ref() != Some(&self.shape) {
            return Err(format!("{} does not broadcast to {}", x.shape, self.shape));
        }
        Ok(TensorType::f32(self.shape.clone()))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(cx.grad.sum_to(&cx.inputs[0].shape())?)])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        Tensor::real(
            output.shape.clone(),
            super::pointwise::broadcast(inputs[0], &output.shape),
        )
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        let missing = form.output.len() - form.extents[0].len();
        // Where an extent stays as it is, 1 keeps it.
        let mut shape = Vec::new();
        for (axis, extent) in form.output.iter().enumerate() {
            let own = axis.checked_sub(missing).map(|a| form.extents[0][a]);
            shape.push(match (own, extent) {
                (Some(own), extent) if own == *extent => 1,
                (_, Some(extent)) => *extent as i64,
                (_, None) => {
                    return Err("repeats a value for every sample".to_string());
                }
            });
        }
        let shape = form.nodes.ints(&shape);
        Ok(form.node("Expand", &[&x, &shape], Vec::new()))
    }

    fn lower(&self, _cx: &mut Lowering<'_>) -> Result<()> {
        Err(Error::Graph(
            "broadcast_to is pointwise and belongs in a fused kernel".to_string(),
        ))
    }

    /// Pointwise: fused kernels broadcast their operands themselves, so the function to call is the identity.
    fn role(&self) -> Role {
        Role::Pointwise(PointwiseCode {
            shader: "broadcast_to/broadcast_to".to_string(),
            function: "op_broadcast_to".to_string(),
            literals: Vec::new(),
        })
    }
}

impl<'g> Var<'g> {
    /// `self` stretched to `shape`.
    ///
    /// # Errors
    /// If `self` does not broadcast to `shape`.
    #[track_caller]
    pub fn broadcast_to(self, shape: &Shape) -> Result<Var<'g>> {
        if *shape == self.shape() {
            return Ok(self);
        }
        self.apply(BroadcastTo {
            shape: shape.clone(),
        })
    }
}

pub(super) fn cases(_: &mut Stream) -> Vec<Case> {
    vec![
        Case::new(
            BroadcastTo {
                shape: [3, 4, 8].into(),
            },
            [Operand::uniform([4, 1])],
        ),
        Case::new(
            BroadcastTo {
                shape: [5, 3].into(),
            },
            [Operand::uniform([3])],
        ),
        Case::new(
            BroadcastTo {
                shape: [2, 3, 5, 7].into(),
            },
            [Operand::uniform([3, 1, 7])],
        ),
    ]
}
