//! The mean of each window of an image, channel by channel, NHWC. PyTorch `torch.nn.functional.avg_pool2d`, ONNX
//! `AveragePool`. Over the whole image it is [`Var::global_avg_pool2d`].

use super::onnx_form::{OnnxAttribute, OnnxForm, Written, windows};
use super::samples;
use super::window::{self, Window};
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::Lowering;
use crate::random::Stream;
use crate::tensor::{Shape, TensorType};
use rayon::prelude::*;

/// Pooling windows; y before x. A window that lies wholly in padding is an error. Rows and columns at the end that
/// don't fill a window are ignored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AvgPool2d {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Distance from one window to the next.
    pub stride: [usize; 2],
    /// Rows added at the top and bottom, columns at the left and right.
    pub padding: [[usize; 2]; 2],
    /// Whether padding counts, as zeros: then every window's sum is divided by the same number.
    pub count_include_pad: bool,
}

/// The gradient of [`AvgPool2d`] with respect to its input: `dy` to `dx`.
#[derive(Debug)]
pub struct AvgPool2dGrad {
    /// The pooling.
    pub pool: AvgPool2d,
    /// Shape of its input.
    pub input: Shape,
}

impl AvgPool2d {
    fn window(&self) -> Window {
        Window {
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
        }
    }

    /// The divisor of the sum over window `(oy, ox)` of an image of `height` by `width`.
    fn divisor(&self, [oy, ox]: [usize; 2], [height, width]: [usize; 2]) -> f64 {
        if self.count_include_pad {
            return self.window().area() as f64;
        }
        (self.window().inside(0, oy, height).len() * self.window().inside(1, ox, width).len())
            as f64
    }
}

impl Op for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        self.window().infer(x)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let grad = AvgPool2dGrad {
            pool: *self,
            input: cx.inputs[0].shape(),
        };
        Ok(vec![Some(cx.grad.apply(grad)?)])
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
        let x = inputs[0];
        let &[_, height, width, channels] = x.dims() else {
            return Tensor::zeros(output);
        };
        let (oh, ow) = (output.dims()[1], output.dims()[2]);
        let mut values = vec![T::ZERO; output.elements()];
        values
            .par_chunks_mut(ow * channels)
            .enumerate()
            .for_each(|(line, row)| {
                let (n, oy) = (line / oh, line % oh);
                for (ox, mean) in row.chunks_mut(channels).enumerate() {
                    for y in self.window().inside(0, oy, height) {
                        for px in self.window().inside(1, ox, width) {
                            let pixel = ((n * height + y) * width + px) * channels;
                            for (mean, &x) in mean.iter_mut().zip(&x.reals()[pixel..]) {
                                *mean += x;
                            }
                        }
                    }
                    let divisor = T::of(self.divisor([oy, ox], [height, width]));
                    mean.iter_mut().for_each(|m| *m = *m / divisor);
                }
            });
        Tensor::real(output.shape.clone(), values)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.image();
        let counts = OnnxAttribute::Int(i64::from(self.count_include_pad));
        let mut attributes = windows(self.kernel, self.stride, &self.padding);
        attributes.push(("count_include_pad", counts));
        let y = form.node("AveragePool", &[&x], attributes);
        Ok(form.channels_last(&y))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, y, window) = (cx.input(0), cx.output()?, self.window());
        let loads = y.ty.elements() / window::lanes(&x.ty) * window.area();
        let launch = window.launch(
            "avg_pool2d/avg_pool2d",
            [&x.ty, &y.ty, &y.ty],
            window.iterations(1),
        )?;
        cx.launch_with_epilogue(
            launch
                .constant("COUNT_INCLUDE_PAD", self.count_include_pad)
                .read("x", x.value, loads as u64)
                .write("out", y.value),
        )
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn reduction_length(&self, _inputs: &[&TensorType]) -> usize {
        self.window().area()
    }
}

impl Op for AvgPool2dGrad {
    fn name(&self) -> &'static str {
        "avg_pool2d_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [dy] = operands(inputs)?;
        let x = TensorType::f32(self.input.clone());
        let y = self.pool.window().infer(&x)?;
        if *dy != y {
            return Err(format!("the gradient of a {y} can't be a {dy}"));
        }
        Ok(x)
    }

    /// The operation is linear: the gradient of the gradient is the pooling.
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(cx.grad.apply(self.pool)?)])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (dy, pool) = (inputs[0], &self.pool);
        let &[images, height, width, channels] = output.dims() else {
            return Tensor::zeros(output);
        };
        let (oh, ow) = (dy.dims()[1], dy.dims()[2]);
        let mut dx = vec![T::ZERO; output.elements()];
        dx.par_chunks_mut(output.elements() / images)
            .enumerate()
            .for_each(|(n, image)| {
                for (oy, ox) in (0..oh).flat_map(|oy| (0..ow).map(move |ox| (oy, ox))) {
                    let divisor = T::of(pool.divisor([oy, ox], [height, width]));
                    let dy = &dy.reals()[((n * oh + oy) * ow + ox) * channels..][..channels];
                    for y in pool.window().inside(0, oy, height) {
                        for x in pool.window().inside(1, ox, width) {
                            for (dx, &dy) in image[(y * width + x) * channels..].iter_mut().zip(dy)
                            {
                                *dx += dy / divisor;
                            }
                        }
                    }
                }
            });
        Tensor::real(output.shape.clone(), dx)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (dy, dx, window) = (cx.input(0), cx.output()?, self.pool.window());
        let overlap = window.overlap();
        let launch = window.launch("avg_pool2d/grad", [&dx.ty, &dy.ty, &dx.ty], 2 * overlap)?;
        let loads = dx.ty.elements() / window::lanes(&dx.ty) * overlap;
        cx.launch_with_epilogue(
            launch
                .constant("COUNT_INCLUDE_PAD", self.pool.count_include_pad)
                .read("dy", dy.value, loads as u64)
                .write("out", dx.value),
        )
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn reduction_length(&self, _inputs: &[&TensorType]) -> usize {
        self.pool.window().overlap()
    }
}

impl<'g> Var<'g> {
    /// The mean of each window of `self` `[N, H, W, C]`: `[N, OH, OW, C]`.
    ///
    /// # Errors
    /// If a window would lie wholly in padding, or `self` does not have that type.
    #[track_caller]
    pub fn avg_pool2d(self, pool: AvgPool2d) -> Result<Var<'g>> {
        self.apply(pool)
    }

    /// The mean of each channel of `self` `[N, H, W, C]` over the image: `[N, 1, 1, C]`. PyTorch
    /// `torch.nn.AdaptiveAvgPool2d(1)`, ONNX `GlobalAveragePool`.
    ///
    /// # Errors
    /// If `self` is not a float tensor of four axes.
    #[track_caller]
    pub fn global_avg_pool2d(self) -> Result<Var<'g>> {
        let shape = self.shape();
        let &[batch, height, width, channels] = shape.dims() else {
            // For another rank, the shape rule of the pooling reports the error.
            let pool = AvgPool2d {
                kernel: [1, 1],
                stride: [1, 1],
                padding: [[0, 0], [0, 0]],
                count_include_pad: false,
            };
            return self.avg_pool2d(pool);
        };
        let pixels = self.reshape([batch, height * width, channels])?;
        pixels.mean(&[1])?.reshape([batch, 1, 1, channels])
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let windows = window::cases(stream);
    let pool = |n: usize, include: usize| {
        let Window {
            kernel,
            stride,
            padding,
        } = windows[n].0;
        AvgPool2d {
            kernel,
            stride,
            padding,
            count_include_pad: n % 2 == include,
        }
    };
    let forward =
        (0..windows.len()).map(|n| Case::new(pool(n, 0), [Operand::uniform(windows[n].1)]));
    let backward = (0..windows.len()).filter_map(|n| {
        let (pool, x) = (pool(n, 1), TensorType::f32(windows[n].1));
        let y = pool.window().infer(&x).ok()?;
        Some(Case::new(
            AvgPool2dGrad {
                pool,
                input: x.shape,
            },
            [Operand::uniform(y.shape)],
        ))
    });
    forward.chain(backward).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::interpret;
    use crate::graph::Builder;
    use std::collections::HashMap;
    use std::sync::Arc;

    #[test]
    fn padding_counts_only_if_asked() {
        let x = Tensor::real([1, 1, 1, 1], vec![8.0]);
        let mean = |count_include_pad| {
            let pool = AvgPool2d {
                kernel: [2, 2],
                stride: [2, 2],
                padding: [[1, 0], [1, 0]],
                count_include_pad,
            };
            pool.reference(&[&x], &TensorType::f32([1, 1, 1, 1]))
                .reals()[0]
        };
        assert_eq!((mean(true), mean(false)), (2.0, 8.0));
    }

    #[test]
    fn global_average_pooling_keeps_the_four_axes() {
        let builder = Builder::new();
        let x = builder
            .variable("x", TensorType::f32([2, 1, 3, 2]))
            .unwrap();
        builder.output("y", x.global_avg_pool2d().unwrap());
        let graph = builder.finish().unwrap();
        let x = Tensor::real([2, 1, 3, 2], (0..12).map(f64::from).collect());
        let mut variables = HashMap::from([("x".to_string(), Arc::new(x))]);
        let y = interpret(&graph, &mut variables, &HashMap::new()).unwrap();
        assert_eq!(*y[0], Tensor::real([2, 1, 1, 2], vec![2.0, 3.0, 8.0, 9.0]));
    }
}
