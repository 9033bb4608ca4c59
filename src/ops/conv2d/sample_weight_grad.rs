//! The gradients of a convolution with respect to its weights, one for each image.

use super::super::contraction::{self, Contraction, OperandLayout, Segments};
use super::super::{Op, Role, Vjp, operands};
use super::{Conv2d, Conv2dWeightGrad, floats, reference, signed};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, Target};
use crate::tensor::TensorType;

/// What every image contributes to the gradient of [`Conv2d`] with respect to its weights: `X [N, H, W, I], dY [N, H', W', O]` to `[N, O,
/// KH, KW, I]`, for one group. [`Conv2dWeightGrad`] is the sum over the images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2dSampleWeightGrad {
    /// The convolution, of one group.
    pub conv: Conv2d,
    /// Height and width of its kernel.
    pub kernel: [usize; 2],
}

impl Conv2dSampleWeightGrad {
    fn sum(&self) -> Conv2dWeightGrad {
        Conv2dWeightGrad {
            conv: self.conv,
            kernel: self.kernel,
        }
    }
}

impl Op for Conv2dSampleWeightGrad {
    fn name(&self) -> &'static str {
        "conv2d_sample_weight_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, dy] = operands(inputs)?;
        floats(inputs)?;
        if self.conv.groups != 1 {
            return Err(format!(
                "is for convolutions of one group, this one has {}",
                self.conv.groups
            ));
        }
        let of_all = Op::infer(&self.sum(), &[x, dy])?;
        Ok(TensorType::f32([&x.dims()[..1], of_all.dims()].concat()))
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable(
            "the gradient of a convolution with respect to its weights, image by image,",
        )
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (x, dy) = (inputs[0], inputs[1]);
        let own = |dims: &[usize]| [&[1], &dims[1..]].concat();
        let (own_x, own_dy) = (own(x.dims()), own(dy.dims()));
        let Ok(e) = self.sum().extents(&own_x, &own_dy) else {
            return Tensor::zeros(output);
        };
        let sizes = [&own_x, &own_dy].map(|dims| dims.iter().product::<usize>());
        let images = x.reals().chunks(sizes[0]).zip(dy.reals().chunks(sizes[1]));
        let each = images.map(|(x, dy)| reference::weight_grad(&self.conv, &e, x, dy));
        let values = each.flat_map(|grad| grad.reals().to_vec()).collect();
        Tensor::real(output.shape.clone(), values)
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        /// Pixels per segment: each segment is one loop, which must stay below llvmpipe's limit on iterations.
        const LONGEST_SEGMENT: usize = 4096;
        let (x, dy) = (cx.input(0), cx.input(1));
        let images = x.dims()[0];
        let all = self.sum().extents(x.dims(), dy.dims());
        let e = super::Extents {
            batch: 1,
            ..all.map_err(crate::Error::Graph)?
        };
        let k_contiguous = e.channels * self.conv.stride[1] == 1;
        let segment_rows = match k_contiguous {
            true => 1,
            false => (LONGEST_SEGMENT / e.output[1]).clamp(1, e.output[0]),
        };
        let per_image = e.output[0].div_ceil(segment_rows);
        let mut params = self.conv.geometry();
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
        let outline = e.weight_grad();
        contraction::lower(
            cx,
            Contraction {
                broadcast: "conv2d/weight_grad_broadcast",
                tiled: "conv2d/weight_grad_tiled",
                a: x,
                b: dy,
                m: outline.m,
                n: outline.n,
                batches: images,
                segments: Segments::Fixed {
                    count: per_image,
                    length: segment_rows * e.output[1],
                    k: e.output[0] * e.output[1],
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
            },
        )
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        let of_all = self.sum().extents(inputs[0].dims(), inputs[1].dims());
        let Ok(e) = of_all else {
            return Vec::new();
        };
        contraction::variants(target, e.weight_grad())
    }

    fn rounds_operands(&self, _inputs: &[&TensorType]) -> bool {
        true
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[1].dims()[1..3].iter().product()
    }
}
