//! Largest element over any axes; the gradient is divided equally among ties. PyTorch `torch.amax`, ONNX `ReduceMax`.

use super::onnx_form::{OnnxForm, Written};
use super::reduce::{self, Reduction};
use super::{Case, Op, Operand, Values, Vjp};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, Target};
use crate::random::Stream;
use crate::tensor::TensorType;

/// See the module.
#[derive(Debug)]
pub struct ReduceMax {
    /// Axes, and whether they are kept with extent 1.
    pub over: Reduction,
}

impl Op for ReduceMax {
    fn name(&self) -> &'static str {
        "reduce_max"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        self.over.infer(inputs)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let x = cx.inputs[0];
        let kept = self.over.kept_shape(&x.shape());
        let largest = x.eq(cx.output.reshape(kept.clone())?)?;
        let ties = largest.sum_keep(&self.over.axes)?;
        let share = cx.grad.reshape(kept)?.div(ties)?;
        let zero = x.builder().constant(0.0);
        Ok(vec![Some(largest.select(share, zero)?)])
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        self.over.sample_axis(own[0]?)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let lowest = T::of(f64::from(f32::MIN));
        reduce::reference(&self.over, inputs[0], output, lowest, T::max)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        Ok(form.reduced("ReduceMax", &x, &self.over.axes, self.over.keep_dims))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        reduce::lower(&self.over, cx, "reduce_max/reduce_max")
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        reduce::variants(&self.over, target, inputs[0])
    }
}

impl<'g> Var<'g> {
    /// Largest element over `axes`, which are removed. At least the lowest finite `f32`.
    ///
    /// # Errors
    /// If an axis does not exist or is given twice.
    #[track_caller]
    pub fn max(self, axes: &[usize]) -> Result<Var<'g>> {
        self.apply(ReduceMax {
            over: Reduction {
                axes: axes.to_vec(),
                keep_dims: false,
            },
        })
    }

    /// Largest element over `axes`, which are kept with extent 1. At least the lowest finite `f32`.
    ///
    /// # Errors
    /// If an axis does not exist or is given twice.
    #[track_caller]
    pub fn max_keep(self, axes: &[usize]) -> Result<Var<'g>> {
        self.apply(ReduceMax {
            over: Reduction {
                axes: axes.to_vec(),
                keep_dims: true,
            },
        })
    }

    /// Smallest element over `axes`, which are removed.
    ///
    /// # Errors
    /// If an axis does not exist or is given twice.
    #[track_caller]
    pub fn min(self, axes: &[usize]) -> Result<Var<'g>> {
        self.neg()?.max(axes)?.neg()
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut cases: Vec<Case> = reduce::cases(stream)
        .into_iter()
        .map(|(over, shape)| {
            Case::new(ReduceMax { over }, [Operand::real(shape, Values::Distinct)])
        })
        .collect();
    let over = Reduction {
        axes: vec![1],
        keep_dims: false,
    };
    cases.push(Case::new(
        ReduceMax { over },
        [Operand::real([3, 5], Values::Ties).constant()],
    ));
    cases
}

#[cfg(test)]
mod tests {
    use crate::autodiff::gradients;
    use crate::cpu::{Tensor, interpret};
    use crate::error::Result;
    use crate::graph::{Builder, Var};
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    fn gradient(build: impl for<'g> Fn(Var<'g>) -> Result<Var<'g>>, values: [f64; 8]) -> Vec<f64> {
        let builder = Builder::new();
        let x = builder.variable("x", TensorType::f32([2, 4])).unwrap();
        let loss = build(x).unwrap().sum_all().unwrap();
        builder.output("dx", gradients(loss, &[x]).unwrap()[0]);
        let graph = builder.finish().unwrap();
        let x = Tensor::<f64>::real([2, 4], values.to_vec());
        let mut variables = HashMap::from([("x".to_string(), Arc::new(x))]);
        let outputs = interpret(&graph, &mut variables, &HashMap::new()).unwrap();
        outputs[0].reals().to_vec()
    }

    #[test]
    fn the_gradient_is_shared_among_ties() {
        let values = [3.0, 1.0, 3.0, 0.0, -1.0, -2.0, -2.0, -2.0];
        let got = gradient(|x| x.max(&[1]), values);
        assert_eq!(got, [0.5, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_gradient_of_the_smallest_goes_to_the_smallest() {
        let values = [3.0, 1.0, 3.0, 0.0, -1.0, -2.0, -4.0, -2.0];
        let got = gradient(|x| x.min(&[1]), values);
        assert_eq!(got, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
