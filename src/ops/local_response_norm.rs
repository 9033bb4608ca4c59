//! Local response normalization across channels (Krizhevsky, Sutskever and Hinton 2012):
//! `x / (k + alpha / size * sum over the window of x^2)^beta`. PyTorch `torch.nn.functional.local_response_norm`, ONNX `LRN`.
//!
//! The window of channel c extends from `c - size / 2` to `c + (size - 1) / 2`, as far as channels exist. Only the sum
//! over the window has a kernel of its own; it is linear, and its gradient is the sum over the mirrored window.

use super::onnx_form::{OnnxForm, Written};
use super::samples;
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Launch, Lowering};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use rayon::prelude::*;

/// `y[.., c] = sum of x[.., k]` for k from `c - before` to `c + after`.
#[derive(Debug, Clone, Copy)]
pub struct ChannelWindowSum {
    /// Number of channels before the centre.
    pub before: usize,
    /// Number of channels after the centre.
    pub after: usize,
}

const WORKGROUP: usize = 64;
/// Maximum number of channels in a window: a kernel loops over them.
const MOST: usize = 4096;

impl Op for ChannelWindowSum {
    fn name(&self) -> &'static str {
        "local_response_norm"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        if x.dtype != DType::F32 || x.shape.rank() == 0 {
            return Err(format!("takes floats of at least one axis, was given {x}"));
        }
        if self.before > MOST || self.after > MOST {
            return Err(format!(
                "windows reach {MOST} channels at most, not {} and {}",
                self.before, self.after
            ));
        }
        Ok(x.clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let mirrored = ChannelWindowSum {
            before: self.after,
            after: self.before,
        };
        Ok(vec![Some(cx.grad.apply(mirrored)?)])
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        samples::of_first(own)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let channels = output.shape.last();
        let mut sums = vec![T::ZERO; output.elements()];
        sums.par_chunks_mut(channels)
            .zip(inputs[0].reals().par_chunks(channels))
            .for_each(|(sums, x)| {
                for (c, sum) in sums.iter_mut().enumerate() {
                    let window = c.saturating_sub(self.before)..(c + self.after + 1).min(channels);
                    *sum = x[window].iter().copied().sum();
                }
            });
        Tensor::real(output.shape.clone(), sums)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.input(0);
        let last = form.types[0].shape.rank() - 1;
        let channels = form.types[0].shape.last();
        let mut pads = vec![0; 2 * (last + 1)];
        (pads[last], pads[2 * last + 1]) = (self.before as i64, self.after as i64);
        let (pads, zero) = (form.nodes.ints(&pads), form.number(0.0));
        let padded = form.node("Pad", &[&x, &pads, &zero], Vec::new());
        let mut sum = form.part(&padded, last, 0..channels);
        for shift in 1..=self.before + self.after {
            let part = form.part(&padded, last, shift..shift + channels);
            sum = form.node("Add", &[&sum, &part], Vec::new());
        }
        Ok(sum)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, y) = (cx.input(0), cx.output()?);
        let mut launch = Launch::new("local_response_norm/window_sum");
        if !y.ty.shape.last().is_multiple_of(4) {
            launch = launch.swap("shared/store_vec4", "shared/store_scalar");
        }
        let elements = y.ty.elements();
        let window = (self.before + self.after + 1).min(y.ty.shape.last());
        cx.launch_with_epilogue(
            launch
                .read("x", x.value, (elements * window) as u64)
                .write("out", y.value)
                .param("elements", elements)
                .param("channels", y.ty.shape.last())
                .param("before", self.before)
                .param("after", self.after)
                .invocations(elements.div_ceil(4), WORKGROUP),
        )
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn reduction_length(&self, _inputs: &[&TensorType]) -> usize {
        self.before + self.after + 1
    }
}

impl<'g> Var<'g> {
    /// Local response normalization over `size` channels; see the module.
    ///
    /// # Errors
    /// If `self` is not a float tensor of at least one axis, or `size` is 0 or too large.
    #[track_caller]
    pub fn local_response_norm(
        self,
        size: usize,
        alpha: f64,
        beta: f64,
        k: f64,
    ) -> Result<Var<'g>> {
        let window = ChannelWindowSum {
            before: size / 2,
            after: size.saturating_sub(1) / 2,
        };
        let sums = self.mul(self)?.apply(window)?;
        let base = sums
            .scale(alpha / size.max(1) as f64)?
            .add(self.builder().constant(k))?;
        self.mul(base.powf(-beta)?)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let mut odd = || 2 + stream.below(7) as usize;
    let (a, b, c) = (odd(), odd(), odd());
    let case = |before, after, shape: Vec<usize>| {
        Case::new(
            ChannelWindowSum { before, after },
            [Operand::uniform(shape)],
        )
    };
    vec![
        case(2, 2, vec![a, b, c, 12]),
        case(2, 1, vec![a, b, 2, c]),
        case(0, 3, vec![3, 96]),
        case(9, 9, vec![a, 5]),
        case(0, 0, vec![a, 7]),
        case(1, 2, vec![a, 1]),
        case(1, 1, vec![13]),
    ]
}
