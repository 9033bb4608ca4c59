//! The largest value in each window of an image, channel by channel: `y[n, oy, ox, c]` is the maximum of `x[n, y, x, c]`
//! over window `(oy, ox)`; padding never wins. NHWC. PyTorch `torch.nn.functional.max_pool2d`, ONNX `MaxPool`.
//!
//! The gradient goes to the first maximum of a window in row order. The forward pass does not store its position: the
//! gradient's kernels search the window again.

use super::onnx_form::{OnnxForm, Written, windows};
use super::samples;
use super::window::{self, Window};
use super::{Case, Op, Operand, Role, Values, Vjp, conv2d_max_pool, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, MAX_LOOP_ITERATIONS};
use crate::random::Stream;
use crate::tensor::TensorType;
use rayon::prelude::*;

/// Pooling windows; y before x. A window that lies wholly in padding is an error. Rows and columns at the end that
/// don't fill a window are ignored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxPool2d {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Distance from one window to the next.
    pub stride: [usize; 2],
    /// Rows added at the top and bottom, columns at the left and right.
    pub padding: [[usize; 2]; 2],
}

/// The gradient of [`MaxPool2d`] with respect to its input: `x, dy` to `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxPool2dGrad {
    /// The pooling.
    pub pool: MaxPool2d,
}

impl MaxPool2d {
    fn window(&self) -> Window {
        Window {
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
        }
    }
}

impl Op for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x] = operands(inputs)?;
        self.window().infer(x)
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let grad = MaxPool2dGrad { pool: *self };
        Ok(vec![Some(
            cx.grad.builder().op(grad, &[cx.inputs[0], cx.grad])?,
        )])
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
        let winners = winners(&self.window(), x, output);
        let values = winners
            .into_par_iter()
            .with_min_len(4096)
            .map(|at| x.reals()[at])
            .collect();
        Tensor::real(output.shape.clone(), values)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let x = form.image();
        let attributes = windows(self.kernel, self.stride, &self.padding);
        let y = form.node("MaxPool", &[&x], attributes);
        Ok(form.channels_last(&y))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, y, window) = (cx.input(0), cx.output()?, self.window());
        let loads = y.ty.elements() / window::lanes(&x.ty) * window.area();
        let launch = window.launch(
            "max_pool2d/max_pool2d",
            [&x.ty, &y.ty, &y.ty],
            window.iterations(1),
        )?;
        cx.launch_with_epilogue(
            launch
                .read("x", x.value, loads as u64)
                .write("out", y.value),
        )
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    /// After a convolution of few taps, the pooling is fused with it into one operation.
    fn combined<'g>(&self, inputs: &[Var<'g>]) -> Result<Option<Var<'g>>> {
        match *inputs {
            [x] => conv2d_max_pool::combined(x, self),
            _ => Ok(None),
        }
    }
}

impl Op for MaxPool2dGrad {
    fn name(&self) -> &'static str {
        "max_pool2d_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, dy] = operands(inputs)?;
        let y = self.pool.window().infer(x)?;
        if *dy != y {
            return Err(format!("the gradient of a {y} can't be a {dy}"));
        }
        Ok(x.clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of max_pool2d")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (x, dy) = (inputs[0], inputs[1]);
        let winners = winners(&self.pool.window(), x, &dy.ty());
        let images = x.dims()[0];
        let (size, windows) = (x.reals().len() / images, winners.len() / images);
        let mut dx = vec![T::ZERO; x.reals().len()];
        dx.par_chunks_mut(size).enumerate().for_each(|(n, image)| {
            let own = n * windows..(n + 1) * windows;
            for (&at, &dy) in winners[own.clone()].iter().zip(&dy.reals()[own]) {
                image[at - n * size] += dy;
            }
        });
        Tensor::real(output.shape.clone(), dx)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, dy, dx) = (cx.input(0), cx.input(1), cx.output()?);
        let (window, lanes) = (self.pool.window(), window::lanes(&x.ty));
        let cells =
            [1, 2].map(|axis| window.cells(axis - 1, dy.ty.dims()[axis], dx.ty.dims()[axis]));
        let [(cell_y, partial_y), (cell_x, partial_x)] = cells;
        let by_cell = window.iterations(1) + cell_y * (1 + cell_x);
        let (looks, launch) = if window.disjoint() && by_cell <= MAX_LOOP_ITERATIONS {
            let types = [&x.ty, &dy.ty, &dy.ty];
            let launch = window
                .launch("max_pool2d/grad_disjoint", types, by_cell)?
                .constant("CELL_Y", cell_y as f64)
                .constant("CELL_X", cell_x as f64)
                .constant("PARTIAL", partial_y || partial_x);
            (dy.ty.elements() / lanes, launch)
        } else {
            let (types, overlap) = ([&x.ty, &dy.ty, &x.ty], window.overlap());
            let launch = window.launch(
                "max_pool2d/grad_overlapping",
                types,
                window.iterations(overlap),
            )?;
            (dx.ty.elements() / lanes * overlap, launch)
        };
        cx.launch_with_epilogue(
            launch
                .read("x", x.value, (looks * window.area()) as u64)
                .read("dy", dy.value, looks as u64)
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

/// For every element of the result `[N, OH, OW, C]`, the index of the first maximum of its window in `x`.
fn winners<T: Real>(window: &Window, x: &Tensor<T>, y: &TensorType) -> Vec<usize> {
    let &[_, height, width, channels] = x.dims() else {
        return Vec::new();
    };
    let (oh, ow) = (y.dims()[1], y.dims()[2]);
    let values = x.reals();
    let mut winners = vec![0; y.elements()];
    winners
        .par_chunks_mut(ow * channels)
        .enumerate()
        .for_each(|(line, row)| {
            let (n, oy) = (line / oh, line % oh);
            for (ox, best) in row.chunks_mut(channels).enumerate() {
                let (ys, xs) = (window.inside(0, oy, height), window.inside(1, ox, width));
                let pixel = |y: usize, x: usize| ((n * height + y) * width + x) * channels;
                for (c, best) in best.iter_mut().enumerate() {
                    *best = pixel(ys.start, xs.start) + c;
                }
                for y in ys {
                    for x in xs.clone() {
                        for (c, best) in best.iter_mut().enumerate() {
                            if values[pixel(y, x) + c] > values[*best] {
                                *best = pixel(y, x) + c;
                            }
                        }
                    }
                }
            }
        });
    winners
}

impl<'g> Var<'g> {
    /// The largest value in each window of `self` `[N, H, W, C]`: `[N, OH, OW, C]`.
    ///
    /// # Errors
    /// If a window would lie wholly in padding, or `self` does not have that type.
    #[track_caller]
    pub fn max_pool2d(self, pool: MaxPool2d) -> Result<Var<'g>> {
        self.apply(pool)
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let pool = |w: &Window| MaxPool2d {
        kernel: w.kernel,
        stride: w.stride,
        padding: w.padding,
    };
    let windows = window::cases(stream);
    let forward = windows
        .iter()
        .map(|(window, x)| Case::new(pool(window), [Operand::real(*x, Values::Distinct)]));
    let backward = windows.iter().filter_map(|(window, x)| {
        let y = window.infer(&TensorType::f32(*x)).ok()?;
        let operands = [
            Operand::real(*x, Values::Ties).constant(),
            Operand::uniform(y.shape).constant(),
        ];
        Some(Case::new(MaxPool2dGrad { pool: pool(window) }, operands))
    });
    forward.chain(backward).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_goes_to_the_first_maximum_in_row_order() {
        let pool = MaxPool2d {
            kernel: [2, 2],
            stride: [1, 1],
            padding: [[0, 0], [0, 0]],
        };
        let x = Tensor::real([1, 2, 3, 1], vec![1.0, 5.0, 5.0, 5.0, 5.0, 0.0]);
        let dy = Tensor::real([1, 1, 2, 1], vec![10.0, 1.0]);
        let dx = MaxPool2dGrad { pool }.reference(&[&x, &dy], &x.ty());
        assert_eq!(dx.reals(), [0.0, 11.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
