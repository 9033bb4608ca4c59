//! Resizing of NHWC images, where each pixel of the result is computed from pixels around the corresponding place in
//! the input: the shape rule, the reference and the gradient of such operations.

use super::window::image_launch;
use super::{Case, Op, Operand, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::plan::{Launch, Lowering, MAX_LOOP_ITERATIONS};
use crate::random::Stream;
use crate::tensor::{DType, Shape, TensorType};
use rayon::prelude::*;
use std::fmt;

/// The inputs of one output along one axis with their weights, and the divisor `over` of the weighted sum.
pub(super) struct Taken {
    pub weights: Vec<(usize, f64)>,
    pub over: usize,
}

/// An operation that resizes images. It is linear and separable, and works the same way along both axes.
pub(super) trait Resize: Op + Copy {
    /// Name of the type, for the `Debug` text of the gradient.
    const KIND: &'static str;
    /// Name of its [`Gradient`].
    const GRAD_NAME: &'static str;
    /// File of the gradient's kernel.
    const GRAD_SHADER: &'static str;

    /// Height and width of the result.
    fn size(self) -> [usize; 2];

    /// The inputs of output `o` of `outputs` along an axis of `extent`.
    fn taken(o: usize, extent: usize, outputs: usize) -> Taken;

    /// Along an axis, the maximum number of outputs that the gradient of one input checks for using it.
    fn takers(extent: usize, outputs: usize) -> usize;
}

fn taken<R: Resize>(extent: usize, outputs: usize) -> Vec<Taken> {
    (0..outputs).map(|o| R::taken(o, extent, outputs)).collect()
}

/// The gradient of [`Resize`] with respect to its input: `dy` to `dx`.
pub(super) struct Gradient<R> {
    /// The operation.
    pub of: R,
    /// Shape of its input.
    pub input: Shape,
}

impl<R: Resize> fmt::Debug for Gradient<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Grad({:?}, {:?})", R::KIND, self.of, self.input)
    }
}

/// The result of `op` for the images `x`.
pub(super) fn reference<R: Resize, T: Real>(
    op: R,
    x: &Tensor<T>,
    output: &TensorType,
) -> Tensor<T> {
    let &[_, height, width, channels] = x.dims() else {
        return Tensor::zeros(output);
    };
    let [oh, ow] = op.size();
    let (rows, columns) = (taken::<R>(height, oh), taken::<R>(width, ow));
    let mut values = vec![T::ZERO; output.elements()];
    values
        .par_chunks_mut(ow * channels)
        .enumerate()
        .for_each(|(line, out)| {
            let (n, rows) = (line / oh, &rows[line % oh]);
            for (out, columns) in out.chunks_mut(channels).zip(&columns) {
                for &(y, down) in &rows.weights {
                    for &(px, across) in &columns.weights {
                        let pixel = &x.reals()[((n * height + y) * width + px) * channels..];
                        let weight = T::of(down * across);
                        out.iter_mut()
                            .zip(pixel)
                            .for_each(|(out, &x)| *out += weight * x);
                    }
                }
                let over = T::of((rows.over * columns.over) as f64);
                out.iter_mut().for_each(|out| *out = *out / over);
            }
        });
    Tensor::real(output.shape.clone(), values)
}

/// The gradients of the operand of `op`.
///
/// # Errors
/// If a node can't be built.
pub(super) fn vjp<'g, R: Resize>(op: R, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
    let grad = Gradient {
        of: op,
        input: cx.inputs[0].shape(),
    };
    Ok(vec![Some(cx.grad.apply(grad)?)])
}

impl<R: Resize> Op for Gradient<R> {
    fn name(&self) -> &'static str {
        R::GRAD_NAME
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [dy] = operands(inputs)?;
        let x = TensorType::f32(self.input.clone());
        let y = infer(&x, self.of.size())?;
        if *dy != y {
            return Err(format!("the gradient of a {y} can't be a {dy}"));
        }
        Ok(x)
    }

    /// The operation is linear: the gradient of the gradient is the operation.
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Ok(vec![Some(cx.grad.apply(self.of)?)])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let &[images, height, width, channels] = output.dims() else {
            return Tensor::zeros(output);
        };
        let [oh, ow] = self.of.size();
        let (rows, columns) = (taken::<R>(height, oh), taken::<R>(width, ow));
        let mut dx = vec![T::ZERO; output.elements()];
        dx.par_chunks_mut(output.elements() / images)
            .enumerate()
            .for_each(|(n, image)| {
                for (oy, rows) in rows.iter().enumerate() {
                    for (ox, columns) in columns.iter().enumerate() {
                        let dy =
                            &inputs[0].reals()[((n * oh + oy) * ow + ox) * channels..][..channels];
                        let over = T::of((rows.over * columns.over) as f64);
                        for &(y, down) in &rows.weights {
                            for &(x, across) in &columns.weights {
                                let weight = T::of(down * across);
                                let pixel = &mut image[(y * width + x) * channels..];
                                pixel
                                    .iter_mut()
                                    .zip(dy)
                                    .for_each(|(dx, &dy)| *dx += weight * dy / over);
                            }
                        }
                    }
                }
            });
        Tensor::real(output.shape.clone(), dx)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (dy, dx) = (cx.input(0), cx.output()?);
        let takers = [1, 2].map(|axis| R::takers(dx.ty.dims()[axis], dy.ty.dims()[axis]));
        let each = takers[0] * (1 + takers[1]);
        let launch = launch(R::GRAD_SHADER, [&dx.ty, &dy.ty, &dx.ty], each)?;
        let loads = dx.vec4s() * (takers[0] * takers[1]) as u64;
        cx.launch_with_epilogue(launch.read("dy", dy.value, loads).write("out", dx.value))
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn reduction_length(&self, _inputs: &[&TensorType]) -> usize {
        let takers = |axis: usize| R::takers(self.input.dims()[axis + 1], self.of.size()[axis]);
        takers(0) * takers(1)
    }
}

/// The shape rule: `[N, H, W, C]` to `[N, OH, OW, C]` with `[OH, OW]` = `size`.
///
/// # Errors
/// A sentence that says what does not fit.
pub(super) fn infer(x: &TensorType, size: [usize; 2]) -> Result<TensorType, String> {
    // Kernels multiply an extent of one image by up to four times an extent of the other, in 32 bits.
    const LARGEST_PRODUCT: usize = 1 << 28;
    let &[batch, height, width, channels] = x.dims() else {
        return Err(format!("takes f32[N,H,W,C], was given {x}"));
    };
    if x.dtype != DType::F32 || x.elements() == 0 {
        return Err(format!(
            "takes f32[N,H,W,C] that is not empty, was given {x}"
        ));
    }
    let fits = |from: usize, to: usize| {
        to > 0
            && from
                .checked_mul(to)
                .is_some_and(|product| product <= LARGEST_PRODUCT)
    };
    if !fits(height, size[0]) || !fits(width, size[1]) {
        return Err(format!(
            "can't bring {height} x {width} to {} x {}",
            size[0], size[1]
        ));
    }
    Ok(TensorType::f32([batch, size[0], size[1], channels]))
}

/// A launch of `file` with one invocation per F of `space`, which is one of the images `x` and `y`. Each makes up to
/// `iterations` iterations.
///
/// # Errors
/// If there are too many iterations.
pub(super) fn launch(
    file: &str,
    [x, y, space]: [&TensorType; 3],
    iterations: usize,
) -> Result<Launch> {
    if iterations > MAX_LOOP_ITERATIONS {
        return Err(Error::Graph(format!(
            "{file} takes {iterations} steps for each result from {x} to {y}; go there in two steps"
        )));
    }
    Ok(image_launch(file, [x, y, space]))
}

/// Sample cases of the operation that `op` creates for a size, and of its gradient: to larger, smaller and equal
/// extents, by integer and other factors, with numbers of channels that are and are not multiples of four.
pub(super) fn cases<R: Resize>(stream: &mut Stream, op: impl Fn([usize; 2]) -> R) -> Vec<Case> {
    let mut odd = |least: u32, choices: u32| (least + stream.below(choices)) as usize;
    let shapes: Vec<([usize; 4], [usize; 2])> = vec![
        ([2, 3, 4, 4], [6, 8]),
        (
            [odd(1, 2), odd(2, 5), odd(2, 5), odd(1, 6)],
            [odd(1, 9), odd(1, 9)],
        ),
        ([1, 7, 5, 8], [3, 2]),
        ([2, odd(3, 5), 1, 3], [odd(2, 9), 4]),
        ([1, 1, 1, 1], [3, 5]),
        ([3, 4, 6, 5], [1, 1]),
        ([1, 5, 4, 4], [5, 4]),
        ([1, 2, 3, 4], [15, 13]),
    ];
    let both = |(input, size): ([usize; 4], [usize; 2])| {
        let dy = [input[0], size[0], size[1], input[3]];
        let grad = Gradient {
            of: op(size),
            input: input.into(),
        };
        [
            Case::new(op(size), [Operand::uniform(input)]),
            Case::new(grad, [Operand::uniform(dy)]),
        ]
    };
    shapes.into_iter().flat_map(both).collect()
}
