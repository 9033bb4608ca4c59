//! The gradient of a convolution with respect to its weights.

use super::super::contraction::{self, Contraction, OperandLayout, Outline, Segments};
use super::super::{Op, Role, Vjp, operands};
use super::winograd::{self, Pass};
use super::{Conv2d, Conv2dInputGrad, Extents, depthwise, floats, grouped, reference, signed};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Arg, Lowering, Target};
use crate::tensor::TensorType;

/// Gradient of [`Conv2d`] with respect to its weights: `X, dY` to `dW`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2dWeightGrad {
    /// The convolution.
    pub conv: Conv2d,
    /// Height and width of its kernel.
    pub kernel: [usize; 2],
}

impl Op for Conv2dWeightGrad {
    fn name(&self) -> &'static str {
        "conv2d_weight_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, dy] = operands(inputs)?;
        floats(inputs)?;
        let e = self.extents(x.dims(), dy.dims())?;
        if e.y() != *dy {
            return Err(format!(
                "the result's gradient is {dy}, the convolution gives {}",
                e.y()
            ));
        }
        Ok(e.w())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let (x, dy, grad) = (cx.inputs[0], cx.inputs[1], cx.grad);
        let input = [x.shape().dims()[1], x.shape().dims()[2]];
        let for_x = x.builder().op(
            Conv2dInputGrad {
                conv: self.conv,
                input,
            },
            &[dy, grad],
        )?;
        Ok(vec![Some(for_x), Some(x.conv2d(grad, self.conv)?)])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        match self.extents(inputs[0].dims(), inputs[1].dims()) {
            Ok(e) => reference::weight_grad(&self.conv, &e, inputs[0].reals(), inputs[1].reals()),
            Err(_) => Tensor::zeros(output),
        }
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        /// Minimum number of segments, so that a product of few tiles can be divided into splits.
        const FEWEST_SEGMENTS: usize = 16;
        let (x, dy, dw) = (cx.input(0), cx.input(1), cx.output()?);
        let e = self
            .extents(x.dims(), dy.dims())
            .map_err(crate::Error::Graph)?;
        let rows = e.batch * e.output[0];
        if cx.variant() == "direct" {
            // Few weights and many pixels: split the rows to keep loops short and all invocations busy.
            let pixels = if cx.target().software { 4096 } else { 256 };
            let per_split = (pixels / e.output[1]).clamp(1, rows);
            let splits = rows.div_ceil(per_split);
            let len = dw.ty.elements();
            let to = if splits == 1 {
                dw.clone()
            } else {
                cx.scratch(TensorType::f32([splits, len]))
            };
            let launch = self
                .conv
                .direct(
                    cx,
                    "conv2d/weight_grad_direct",
                    &e,
                    [&x, &dy],
                    &to,
                    splits * len,
                )
                .param("len", len)
                .param("splits", splits)
                .param("rows", rows)
                .param("rows_per_split", per_split);
            if splits == 1 {
                return cx.launch_with_epilogue(launch);
            }
            cx.launch(launch)?;
            return cx.launch_with_epilogue(contraction::sum_splits(cx.target(), &to, &dw, splits));
        }
        if cx.variant() == winograd::separate::NAME {
            return winograd::separate::weight_grad(cx, &self.conv, &e);
        }
        if cx.variant() == depthwise::NAME {
            return depthwise::weight_grad(cx, &self.conv, &e);
        }
        let e = e.one_group(self.conv.groups);
        let (x, dy) = (
            grouped::apart(cx, x, self.conv.groups)?,
            grouped::apart(cx, dy, self.conv.groups)?,
        );
        // Many rows, but few enough to have segments for all splits.
        let segment_rows = (rows / FEWEST_SEGMENTS).clamp(1, longest_segment(&e));
        let groups = self.conv.groups;
        contraction::lower(cx, product(&self.conv, &e, [x, dy], groups, segment_rows))
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        let Ok(e) = self.extents(inputs[0].dims(), inputs[1].dims()) else {
            return vec!["direct"];
        };
        self.conv
            .variants(target, &e, Extents::weight_grad, &Pass::weight_grad(&e))
    }

    fn rounds_operands(&self, inputs: &[&TensorType]) -> bool {
        self.extents(inputs[0].dims(), inputs[1].dims())
            .is_ok_and(|e| self.conv.rounds(&e))
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[1].dims()[..3].iter().product()
    }
}

/// The most rows of an image in a segment of the sum over pixels: each segment is one loop, which must stay below llvmpipe's limit on
/// iterations.
pub(super) fn longest_segment(e: &Extents) -> usize {
    const PIXELS: usize = 4096;
    (PIXELS / e.output[1]).clamp(1, e.output[0])
}

/// The gradients with respect to the weights as a batch of `batches` contractions, each over the images of `e`: `X, dY` of all of them, one
/// after another. A segment of the sums is `segment_rows` rows of an image where that can be.
pub(super) fn product(
    conv: &Conv2d,
    e: &Extents,
    [x, dy]: [Arg; 2],
    batches: usize,
    segment_rows: usize,
) -> Contraction {
    let k_contiguous = e.channels * conv.stride[1] == 1;
    let segment_rows = if k_contiguous { 1 } else { segment_rows };
    let per_image = e.output[0].div_ceil(segment_rows);
    let mut params = conv.geometry();
    params.extend([
        ("height", signed(e.input[0])),
        ("width", signed(e.input[1])),
        ("channels", e.channels.into()),
        ("out_height", e.output[0].into()),
        ("out_width", signed(e.output[1])),
        ("kernel_width", signed(e.kernel[1])),
        ("segments_per_image", per_image.into()),
        ("segment_rows", segment_rows.into()),
    ]);
    let Outline { m, n, .. } = e.weight_grad();
    Contraction {
        broadcast: "conv2d/weight_grad_broadcast",
        tiled: "conv2d/weight_grad_tiled",
        a: x,
        b: dy,
        m,
        n,
        batches,
        segments: Segments::Fixed {
            count: e.batch * per_image,
            length: segment_rows * e.output[1],
            k: e.batch * e.output[0] * e.output[1],
        },
        a_layout: OperandLayout {
            k_contiguous,
            vec4: e.channels.is_multiple_of(4),
        },
        b_layout: OperandLayout {
            k_contiguous: false,
            vec4: e.out_channels.is_multiple_of(4),
        },
        transpose_out: true,
        params,
        constants: Vec::new(),
    }
}

impl Conv2dWeightGrad {
    pub(super) fn extents(&self, x: &[usize], dy: &[usize]) -> Result<Extents, String> {
        let channels = x.last().copied().unwrap_or(0);
        let out_channels = dy.last().copied().unwrap_or(0);
        if self.conv.groups == 0 || !channels.is_multiple_of(self.conv.groups) {
            return Err(format!(
                "{channels} channels do not divide into {} groups",
                self.conv.groups
            ));
        }
        self.conv.extents(
            x,
            &[
                out_channels,
                self.kernel[0],
                self.kernel[1],
                channels / self.conv.groups,
            ],
        )
    }
}
