//! The mean of each of the windows that divide an image into so many, channel by channel, NHWC: along an axis, window o of OH
//! covers `floor(o H / OH)` to `ceil((o + 1) H / OH)`. PyTorch `torch.nn.functional.adaptive_avg_pool2d`.

use super::resized;
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::Lowering;
use crate::random::Stream;
use crate::tensor::{Shape, TensorType};
use rayon::prelude::*;
use std::ops::Range;

/// See the module.
#[derive(Debug)]
pub struct AdaptiveAvgPool2d {
    /// Windows down and across: height and width of the result.
    pub size: [usize; 2],
}

/// The gradient of [`AdaptiveAvgPool2d`] with respect to its input: `dy` to `dx`.
#[derive(Debug)]
pub struct AdaptiveAvgPool2dGrad {
    /// Windows down and across.
    pub size: [usize; 2],
    /// Shape of the input.
    pub input: Shape,
}

/// What window `o` of `outputs` covers of an axis of `extent`.
fn covers(o: usize, extent: usize, outputs: usize) -> Range<usize> {
    o * extent / outputs..((o + 1) * extent).div_ceil(outputs)
}

/// The largest window along an axis.
fn longest(extent: usize, outputs: usize) -> usize {
    extent.div_ceil(outputs) + usize::from(!extent.is_multiple_of(outputs))
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
        let grad = AdaptiveAvgPool2dGrad {
            size: self.size,
            input: cx.inputs[0].shape(),
        };
        Ok(vec![Some(cx.grad.apply(grad)?)])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let x = inputs[0];
        let &[_, height, width, channels] = x.dims() else {
            return Tensor::zeros(output);
        };
        let [oh, ow] = self.size;
        let mut values = vec![T::ZERO; output.elements()];
        values
            .par_chunks_mut(ow * channels)
            .enumerate()
            .for_each(|(line, row)| {
                let (n, ys) = (line / oh, covers(line % oh, height, oh));
                for (ox, mean) in row.chunks_mut(channels).enumerate() {
                    let xs = covers(ox, width, ow);
                    for y in ys.clone() {
                        for px in xs.clone() {
                            let pixel = &x.reals()[((n * height + y) * width + px) * channels..];
                            mean.iter_mut().zip(pixel).for_each(|(mean, &x)| *mean += x);
                        }
                    }
                    let area = T::of((ys.len() * xs.len()) as f64);
                    mean.iter_mut().for_each(|mean| *mean = *mean / area);
                }
            });
        Tensor::real(output.shape.clone(), values)
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

impl Op for AdaptiveAvgPool2dGrad {
    fn name(&self) -> &'static str {
        "adaptive_avg_pool2d_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [dy] = operands(inputs)?;
        resized::infer_grad(dy, &self.input, self.size)
    }

    /// Linear: the gradient of the gradient is the pooling.
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(
            cx.grad.apply(AdaptiveAvgPool2d { size: self.size })?,
        )])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let &[images, height, width, channels] = output.dims() else {
            return Tensor::zeros(output);
        };
        let [oh, ow] = self.size;
        let mut dx = vec![T::ZERO; output.elements()];
        dx.par_chunks_mut(output.elements() / images)
            .enumerate()
            .for_each(|(n, image)| {
                for (oy, ox) in (0..oh).flat_map(|oy| (0..ow).map(move |ox| (oy, ox))) {
                    let (ys, xs) = (covers(oy, height, oh), covers(ox, width, ow));
                    let area = T::of((ys.len() * xs.len()) as f64);
                    let dy = &inputs[0].reals()[((n * oh + oy) * ow + ox) * channels..][..channels];
                    for y in ys {
                        for x in xs.clone() {
                            let pixel = &mut image[(y * width + x) * channels..];
                            pixel
                                .iter_mut()
                                .zip(dy)
                                .for_each(|(dx, &dy)| *dx += dy / area);
                        }
                    }
                }
            });
        Tensor::real(output.shape.clone(), dx)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (dy, dx) = (cx.input(0), cx.output()?);
        // Windows over an input lie as inputs in a window do, with the extents exchanged.
        let windows = [1, 2].map(|axis| longest(dy.ty.dims()[axis], dx.ty.dims()[axis]));
        let each = windows[0] * (1 + windows[1]);
        let launch = resized::launch("adaptive_avg_pool2d/grad", [&dx.ty, &dy.ty, &dx.ty], each)?;
        let loads = dx.vec4s() * (windows[0] * windows[1]) as u64;
        cx.launch_with_epilogue(launch.read("dy", dy.value, loads).write("out", dx.value))
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn reduction_length(&self, _inputs: &[&TensorType]) -> usize {
        let windows = |axis: usize| longest(self.size[axis], self.input.dims()[axis + 1]);
        windows(0) * windows(1)
    }
}

impl<'g> Var<'g> {
    /// Means of the windows that divide the images `self` `[N, H, W, C]` into `size`: `[N, OH, OW, C]`. PyTorch
    /// `torch.nn.AdaptiveAvgPool2d`.
    ///
    /// # Errors
    /// If `self` is no such tensor, or an extent is 0 or larger than any image's.
    #[track_caller]
    pub fn adaptive_avg_pool2d(self, size: [usize; 2]) -> Result<Var<'g>> {
        self.apply(AdaptiveAvgPool2d { size })
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let both = |(input, size): ([usize; 4], [usize; 2])| {
        let dy = [input[0], size[0], size[1], input[3]];
        [
            Case::new(AdaptiveAvgPool2d { size }, [Operand::uniform(input)]),
            Case::new(
                AdaptiveAvgPool2dGrad {
                    size,
                    input: input.into(),
                },
                [Operand::uniform(dy)],
            ),
        ]
    };
    resized::cases(stream).into_iter().flat_map(both).collect()
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
