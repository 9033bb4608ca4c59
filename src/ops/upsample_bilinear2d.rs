//! Resizes images by bilinear interpolation, NHWC. The centre of output pixel o lies at `(o + 1/2) H / OH - 1/2` among
//! the input's pixels and is interpolated between the two around it; before the first and after the last pixel, that
//! pixel alone is used. PyTorch `torch.nn.functional.interpolate(mode="bilinear", align_corners=False)`, ONNX `Resize`
//! with `half_pixel`. Downscaling does not average: PyTorch's `antialias=False`.

use super::onnx_form::{OnnxAttribute, OnnxForm, Written};
use super::resized::{self, Resize, Taken};
use super::samples;
use super::{Case, Op, Role, Vjp, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::Lowering;
use crate::random::Stream;
use crate::tensor::TensorType;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UpsampleBilinear2d {
    /// Height and width of the result.
    pub size: [usize; 2],
}

/// The two of `extent` inputs that output `o` of `outputs` interpolates, with their weights.
fn source(o: usize, extent: usize, outputs: usize) -> [(usize, f64); 2] {
    let at = ((2 * o + 1) * extent).saturating_sub(outputs);
    let first = at / (2 * outputs);
    let more = (at % (2 * outputs)) as f64 / (2 * outputs) as f64;
    [(first, 1.0 - more), ((first + 1).min(extent - 1), more)]
}

impl Resize for UpsampleBilinear2d {
    const KIND: &'static str = "UpsampleBilinear2d";
    const GRAD_NAME: &'static str = "upsample_bilinear2d_grad";
    const GRAD_SHADER: &'static str = "upsample_bilinear2d/grad";

    fn size(self) -> [usize; 2] {
        self.size
    }

    fn taken(o: usize, extent: usize, outputs: usize) -> Taken {
        Taken {
            weights: source(o, extent, outputs).to_vec(),
            over: 1,
        }
    }

    fn takers(extent: usize, outputs: usize) -> usize {
        (2 * outputs).div_ceil(extent) + 4
    }
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
        let x = form.image();
        let dims = form.types[0].dims();
        let scale = |i: usize| self.size[i] as f64 / dims[1 + i] as f64;
        let scales = form.nodes.floats(&[4], &[1.0, 1.0, scale(0), scale(1)]);
        let attributes = vec![
            ("mode", OnnxAttribute::Text("linear")),
            (
                "coordinate_transformation_mode",
                OnnxAttribute::Text("half_pixel"),
            ),
        ];
        let y = form.node("Resize", &[&x, "", &scales], attributes);
        Ok(form.channels_last(&y))
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

impl<'g> Var<'g> {
    /// The images `self` `[N, H, W, C]` as `[N, OH, OW, C]` with `[OH, OW]` = `size`, by bilinear interpolation.
    ///
    /// # Errors
    /// If `self` does not have that type, or an extent is 0 or larger than images can be.
    #[track_caller]
    pub fn upsample_bilinear2d(self, size: [usize; 2]) -> Result<Var<'g>> {
        self.apply(UpsampleBilinear2d { size })
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    resized::cases(stream, |size| UpsampleBilinear2d { size })
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
        let message = |size| UpsampleBilinear2d { size }.infer(&[&x]).unwrap_err();
        assert!(message([0, 2]).contains("0 x 2"));
        assert!(message([40_000, 2]).contains("can't bring"));
        assert!(message([usize::MAX, 2]).contains("can't bring"));
    }
}
