//! The gradients of a convolution with respect to its weights, one for each image.

use super::super::contraction;
use super::super::{Op, Role, Vjp, operands};
use super::weight_grad::{longest_segment, product};
use super::{Conv2d, Conv2dWeightGrad, Extents, floats, reference};
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
        let (x, dy) = (cx.input(0), cx.input(1));
        let images = x.dims()[0];
        let all = self.sum().extents(x.dims(), dy.dims());
        let of_image = Extents {
            batch: 1,
            ..all.map_err(crate::Error::Graph)?
        };
        let segment_rows = longest_segment(&of_image);
        contraction::lower(
            cx,
            product(&self.conv, &of_image, [x, dy], images, segment_rows),
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
