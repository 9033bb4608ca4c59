//! Averages an image over a fixed number of windows, channel by channel, NHWC. Along an axis of H elements, window o of
//! OH covers `floor(o H / OH)` to `ceil((o + 1) H / OH)`. PyTorch `torch.nn.functional.adaptive_avg_pool2d`.

use super::onnx_form::{OnnxForm, Written};
use super::resized::{self, Resize, Taken};
use super::samples;
use super::{Case, Op, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::Lowering;
use crate::random::Stream;
use crate::tensor::TensorType;
use std::ops::Range;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveAvgPool2d {
    /// Number of windows vertically and horizontally: height and width of the result.
    pub size: [usize; 2],
}

/// The range that window `o` of `outputs` covers along an axis of `extent`.
fn covers(o: usize, extent: usize, outputs: usize) -> Range<usize> {
    o * extent / outputs..((o + 1) * extent).div_ceil(outputs)
}

/// The length of the largest window along an axis.
fn longest(extent: usize, outputs: usize) -> usize {
    extent.div_ceil(outputs) + usize::from(!extent.is_multiple_of(outputs))
}

impl Resize for AdaptiveAvgPool2d {
    const KIND: &'static str = "AdaptiveAvgPool2d";
    const GRAD_NAME: &'static str = "adaptive_avg_pool2d_grad";
    const GRAD_SHADER: &'static str = "adaptive_avg_pool2d/grad";

    fn size(self) -> [usize; 2] {
        self.size
    }

    fn taken(o: usize, extent: usize, outputs: usize) -> Taken {
        let covers = covers(o, extent, outputs);
        Taken {
            over: covers.len(),
            weights: covers.map(|i| (i, 1.0)).collect(),
        }
    }

    /// The windows that cover an input are found like the inputs in a window, with the extents exchanged.
    fn takers(extent: usize, outputs: usize) -> usize {
        longest(outputs, extent)
    }
}

impl Op for AdaptiveAvgPool2d {
    fn name(&self) -> &'static str {
        "adaptive_avg_pool2d"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        resized::infer(x, self.size)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        resized::vjp(*self, cx)
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
        resized::reference(*self, inputs[0], output)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        // Windows differ in size: each axis is averaged by a matrix.
        let dims = form.types[0].dims();
        let mut x = form.image();
        for (axis, outputs) in [(1, self.size[0]), (2, self.size[1])] {
            let extent = dims[axis];
            let mut matrix = vec![0.0; outputs * extent];
            for o in 0..outputs {
                let window = covers(o, extent, outputs);
                for i in window.clone() {
                    matrix[o * extent + i] = 1.0 / window.len() as f64;
                }
            }
            // Height from the left, width from the right.
            x = match axis {
                1 => {
                    let matrix = form.nodes.floats(&[outputs, extent], &matrix);
                    form.node("MatMul", &[&matrix, &x], Vec::new())
                }
                _ => {
                    let turned = |i: usize| matrix[i % outputs * extent + i / outputs];
                    let turned: Vec<f64> = (0..matrix.len()).map(turned).collect();
                    let matrix = form.nodes.floats(&[extent, outputs], &turned);
                    form.node("MatMul", &[&x, &matrix], Vec::new())
                }
            };
        }
        Ok(form.channels_last(&x))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, y) = (cx.input(0), cx.output()?);
        let window = [1, 2].map(|axis| longest(x.ty.dims()[axis], y.ty.dims()[axis]));
        let each = window[0] * (1 + window[1]);
        let launch = resized::launch(
            "adaptive_avg_pool2d/adaptive_avg_pool2d",
            [&x.ty, &y.ty, &y.ty],
            each,
        )?;
        let loads = y.vec4s() * (window[0] * window[1]) as u64;
        cx.launch_with_epilogue(launch.read("x", x.value, loads).write("out", y.value))
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        let dims = inputs[0].dims();
        longest(dims[1], self.size[0]) * longest(dims[2], self.size[1])
    }
}

impl<'g> Var<'g> {
    /// The means of the images `self` `[N, H, W, C]` over `size` windows: `[N, OH, OW, C]`. PyTorch
    /// `torch.nn.AdaptiveAvgPool2d`.
    ///
    /// # Errors
    /// If `self` does not have that type, or an extent is 0 or larger than images can be.
    #[track_caller]
    pub fn adaptive_avg_pool2d(self, size: [usize; 2]) -> Result<Var<'g>> {
        self.apply(AdaptiveAvgPool2d { size })
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    resized::cases(stream, |size| AdaptiveAvgPool2d { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_everything_and_overlap_where_the_division_has_a_rest() {
        let all = |extent, outputs| {
            (0..outputs)
                .map(|o| covers(o, extent, outputs))
                .collect::<Vec<_>>()
        };
        assert_eq!(all(6, 3), [0..2, 2..4, 4..6]);
        assert_eq!(all(5, 3), [0..2, 1..4, 3..5]);
        assert_eq!(all(2, 4), [0..1, 0..1, 1..2, 1..2]);
        for (extent, outputs) in [(5, 3), (7, 2), (2, 4), (13, 6), (1, 1)] {
            let sizes = all(extent, outputs).into_iter().map(|window| window.len());
            assert!(sizes.max().unwrap() <= longest(extent, outputs));
        }
    }
}
