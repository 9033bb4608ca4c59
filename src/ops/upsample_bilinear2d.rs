//! Images brought to another size by bilinear interpolation, NHWC: the centre of output pixel o lies at
//! `(o + 1/2) H / OH - 1/2` among the input's pixels, and takes from the two around it; before the first and after the last
//! there is that one alone. PyTorch `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`, ONNX `Resize` with
//! `half_pixel`. Where the result is smaller nothing is averaged: PyTorch's `antialias=False`.

use super::resized;
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::Lowering;
use crate::random::Stream;
use crate::tensor::{Shape, TensorType};
use rayon::prelude::*;

/// See the module.
#[derive(Debug)]
pub struct UpsampleBilinear2d {
    /// Height and width of the result.
    pub size: [usize; 2],
}

/// The gradient of [`UpsampleBilinear2d`] with respect to its input: `dy` to `dx`.
#[derive(Debug)]
pub struct UpsampleBilinear2dGrad {
    /// Height and width of the result.
    pub size: [usize; 2],
    /// Shape of the input.
    pub input: Shape,
}

/// Where output `o` of `outputs` takes its value from among `extent` inputs: two of them, with their shares.
fn source(o: usize, extent: usize, outputs: usize) -> [(usize, f64); 2] {
    let at = ((2 * o + 1) * extent).saturating_sub(outputs);
    let first = at / (2 * outputs);
    let more = (at % (2 * outputs)) as f64 / (2 * outputs) as f64;
    [(first, 1.0 - more), ((first + 1).min(extent - 1), more)]
}

/// Shares of the inputs in every output along an axis.
fn sources(extent: usize, outputs: usize) -> Vec<[(usize, f64); 2]> {
    (0..outputs).map(|o| source(o, extent, outputs)).collect()
}

impl Op for UpsampleBilinear2d {
    fn name(&self) -> &'static str {
        "upsample_bilinear2d"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        resized::infer(x, self.size)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let grad = UpsampleBilinear2dGrad {
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
        let (rows, columns) = (sources(height, oh), sources(width, ow));
        let mut values = vec![T::ZERO; output.elements()];
        values
            .par_chunks_mut(ow * channels)
            .enumerate()
            .for_each(|(line, out)| {
                let n = line / oh;
                for (out, columns) in out.chunks_mut(channels).zip(&columns) {
                    for (y, down) in rows[line % oh] {
                        for &(px, across) in columns {
                            let pixel = &x.reals()[((n * height + y) * width + px) * channels..];
                            let share = T::of(down * across);
                            out.iter_mut()
                                .zip(pixel)
                                .for_each(|(out, &x)| *out += share * x);
                        }
                    }
                }
            });
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, y) = (cx.input(0), cx.output()?);
        let launch = resized::launch(
            "upsample_bilinear2d/upsample_bilinear2d",
            [&x.ty, &y.ty, &y.ty],
            1,
        )?;
        cx.launch_with_epilogue(
            launch
                .read("x", x.value, 4 * y.vec4s())
                .write("out", y.value),
        )
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn reduction_length(&self, _inputs: &[&TensorType]) -> usize {
        4
    }
}

impl UpsampleBilinear2dGrad {
    /// The most outputs along an axis that one input is looked for in.
    fn takers(extent: usize, outputs: usize) -> usize {
        (2 * outputs).div_ceil(extent) + 4
    }
}

impl Op for UpsampleBilinear2dGrad {
    fn name(&self) -> &'static str {
        "upsample_bilinear2d_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [dy] = operands(inputs)?;
        resized::infer_grad(dy, &self.input, self.size)
    }

    /// Linear: the gradient of the gradient is the interpolation.
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(
            cx.grad.apply(UpsampleBilinear2d { size: self.size })?,
        )])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let &[images, height, width, channels] = output.dims() else {
            return Tensor::zeros(output);
        };
        let [oh, ow] = self.size;
        let (rows, columns) = (sources(height, oh), sources(width, ow));
        let mut dx = vec![T::ZERO; output.elements()];
        dx.par_chunks_mut(output.elements() / images)
            .enumerate()
            .for_each(|(n, image)| {
                for (oy, rows) in rows.iter().enumerate() {
                    for (ox, columns) in columns.iter().enumerate() {
                        let dy =
                            &inputs[0].reals()[((n * oh + oy) * ow + ox) * channels..][..channels];
                        for &(y, down) in rows {
                            for &(x, across) in columns {
                                let share = T::of(down * across);
                                let pixel = &mut image[(y * width + x) * channels..];
                                pixel
                                    .iter_mut()
                                    .zip(dy)
                                    .for_each(|(dx, &dy)| *dx += share * dy);
                            }
                        }
                    }
                }
            });
        Tensor::real(output.shape.clone(), dx)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (dy, dx) = (cx.input(0), cx.output()?);
        let takers = [1, 2].map(|axis| Self::takers(dx.ty.dims()[axis], dy.ty.dims()[axis]));
        let each = takers[0] * (1 + takers[1]);
        let launch = resized::launch("upsample_bilinear2d/grad", [&dx.ty, &dy.ty, &dx.ty], each)?;
        let loads = dx.vec4s() * (takers[0] * takers[1]) as u64;
        cx.launch_with_epilogue(launch.read("dy", dy.value, loads).write("out", dx.value))
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn reduction_length(&self, _inputs: &[&TensorType]) -> usize {
        let takers = |axis: usize| Self::takers(self.input.dims()[axis + 1], self.size[axis]);
        takers(0) * takers(1)
    }
}

impl<'g> Var<'g> {
    /// The images `self` `[N, H, W, C]` as `[N, OH, OW, C]` with `[OH, OW]` = `size`, by bilinear interpolation.
    ///
    /// # Errors
    /// If `self` is no such tensor, or an extent is 0 or larger than any image's.
    #[track_caller]
    pub fn upsample_bilinear2d(self, size: [usize; 2]) -> Result<Var<'g>> {
        self.apply(UpsampleBilinear2d { size })
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let both = |(input, size): ([usize; 4], [usize; 2])| {
        let dy = [input[0], size[0], size[1], input[3]];
        [
            Case::new(UpsampleBilinear2d { size }, [Operand::uniform(input)]),
            Case::new(
                UpsampleBilinear2dGrad {
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
    fn pixels_between_two_take_from_both_and_those_at_the_edge_from_one() {
        let x = Tensor::real([1, 1, 2, 1], vec![0.0, 8.0]);
        let y =
            UpsampleBilinear2d { size: [1, 4] }.reference(&[&x], &TensorType::f32([1, 1, 4, 1]));
        assert_eq!(y.reals(), [0.0, 2.0, 6.0, 8.0]);
    }

    #[test]
    fn sizes_that_can_not_be_are_refused() {
        let x = TensorType::f32([1, 40_000, 2, 1]);
        let told = |size| UpsampleBilinear2d { size }.infer(&[&x]).unwrap_err();
        assert!(told([0, 2]).contains("0 x 2"));
        assert!(told([40_000, 2]).contains("can't bring"));
        assert!(told([usize::MAX, 2]).contains("can't bring"));
    }
}
