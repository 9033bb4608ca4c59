//! The gradient of a convolution with respect to its input.

use super::super::contraction::{Contraction, OperandLayout, Outline};
use super::super::onnx_form::{OnnxAttribute, OnnxForm, Written, ints};
use super::super::{Op, Role, Vjp, operands};
use super::phases::Phases;
use super::winograd::{self, Pass};
use super::{Conv2d, Conv2dWeightGrad, Extents, depthwise, floats, grouped, reference, signed};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, Target};
use crate::tensor::TensorType;

/// Gradient of [`Conv2d`] with respect to its input: `dY, W` to `dX`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2dInputGrad {
    /// The convolution.
    pub conv: Conv2d,
    /// Height and width of its input.
    pub input: [usize; 2],
}

impl Op for Conv2dInputGrad {
    fn name(&self) -> &'static str {
        "conv2d_input_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [dy, w] = operands(inputs)?;
        floats(inputs)?;
        let e = self.extents(dy.dims(), w.dims())?;
        if e.y() != *dy {
            return Err(format!(
                "the result's gradient is {dy}, the convolution gives {}",
                e.y()
            ));
        }
        Ok(e.x())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let (dy, w, grad) = (cx.inputs[0], cx.inputs[1], cx.grad);
        let kernel = [w.shape().dims()[1], w.shape().dims()[2]];
        let for_dy = grad.conv2d(w, self.conv)?;
        let for_w = w.builder().op(
            Conv2dWeightGrad {
                conv: self.conv,
                kernel,
            },
            &[grad, dy],
        )?;
        Ok(vec![Some(for_dy), Some(for_w)])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        match self.extents(inputs[0].dims(), inputs[1].dims()) {
            Ok(e) => reference::input_grad(&self.conv, &e, inputs[0].reals(), inputs[1].reals()),
            Err(_) => Tensor::zeros(output),
        }
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let (x, w) = (form.image(), form.input(1));
        let w = form.transposed(&w, &[0, 3, 1, 2]);
        let mut attributes = self.conv.onnx_attributes(&form.types[1]);
        // Rows and columns that no window of the convolution reached.
        let (dy, kernel) = (form.types[0].dims(), form.types[1].dims());
        let beyond = [0, 1].map(|i| {
            let c = &self.conv;
            let span = c.stride[i] * (dy[1 + i] - 1) + c.dilation[i] * (kernel[1 + i] - 1) + 1;
            self.input[i] + c.padding[i][0] + c.padding[i][1] - span
        });
        attributes.push(("output_padding", OnnxAttribute::Ints(ints(&beyond))));
        let y = form.node("ConvTranspose", &[&x, &w], attributes);
        Ok(form.channels_last(&y))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (dy, w, dx) = (cx.input(0), cx.input(1), cx.output()?);
        let e = self
            .extents(dy.dims(), w.dims())
            .map_err(crate::Error::Graph)?;
        if cx.variant() == "direct" {
            let elements = dx.ty.elements();
            let launch =
                self.conv
                    .direct(cx, "conv2d/input_grad_direct", &e, [&dy, &w], &dx, elements);
            return cx.launch_with_epilogue(launch.param("len", elements));
        }
        if cx.variant() == winograd::separate::NAME {
            return winograd::separate::input_grad(cx, &self.conv, &e);
        }
        if cx.variant() == winograd::fused::NAME {
            return winograd::fused::input_grad(cx, &self.conv, &e);
        }
        if cx.variant() == depthwise::NAME {
            return depthwise::images(cx, "conv2d/input_grad_depthwise", &self.conv, &e);
        }
        let e = e.one_group(self.conv.groups);
        let dy = grouped::apart(cx, dy, self.conv.groups)?;
        let [kh, kw] = e.kernel;
        let groups = self.conv.groups;
        let phases = Phases::of(&self.conv, &e);
        let mut params = self.conv.geometry();
        params.extend(phases.params());
        params.extend([
            ("images", e.batch.into()),
            ("height", e.input[0].into()),
            ("width", e.input[1].into()),
            ("out_height", signed(e.output[0])),
            ("out_width", signed(e.output[1])),
            ("kernel_height", signed(kh)),
            ("kernel_width", signed(kw)),
        ]);
        let Outline { m, n, .. } = e.input_grad(&self.conv);
        grouped::lower(
            cx,
            groups,
            Contraction {
                broadcast: "conv2d/input_grad_broadcast",
                tiled: "conv2d/input_grad_tiled",
                a: dy,
                b: w,
                m,
                n,
                batches: groups * phases.count(),
                segments: phases.segments(&e, groups),
                a_layout: OperandLayout {
                    k_contiguous: true,
                    vec4: e.out_channels.is_multiple_of(4),
                },
                b_layout: OperandLayout {
                    k_contiguous: false,
                    vec4: e.channels.is_multiple_of(4),
                },
                transpose_out: false,
                params,
                constants: vec![("PHASED", f64::from(u8::from(phases.count() > 1)))],
            },
        )
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        let Ok(e) = self.extents(inputs[0].dims(), inputs[1].dims()) else {
            return vec!["direct"];
        };
        self.conv.variants(
            target,
            &e,
            |e| e.input_grad(&self.conv),
            &Pass::input_grad(&self.conv, &e),
        )
    }

    fn rounds_operands(&self, inputs: &[&TensorType]) -> bool {
        self.extents(inputs[0].dims(), inputs[1].dims())
            .is_ok_and(|e| self.conv.rounds(&e))
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        let w = inputs[1].dims();
        w[1] * w[2] * w[0] / self.conv.groups.max(1)
    }
}

impl Conv2dInputGrad {
    fn extents(&self, dy: &[usize], w: &[usize]) -> Result<Extents, String> {
        let channels = w.last().map_or(0, |i| i * self.conv.groups);
        let batch = dy.first().copied().unwrap_or(0);
        self.conv
            .extents(&[batch, self.input[0], self.input[1], channels], w)
    }
}
