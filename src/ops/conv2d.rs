//! 2-D convolution (cross-correlation, as usual in deep learning):
//! `Y[n, oy, ox, co] = sum over ky, kx, ci of X[n, oy*sy - top + ky*dy, ox*sx - left + kx*dx, ci] W[co, ky, kx, ci]`.
//! PyTorch `torch.nn.functional.conv2d`, ONNX `Conv`. X and Y are NHWC, W is O-KH-KW-I; X counts as 0 outside.
//!
//! The gradients are operations of their own, linear in both operands like the convolution itself.

mod cases;
mod depthwise;
mod grouped;
mod input_grad;
mod phases;
mod reference;
mod sample_weight_grad;
mod weight_grad;
mod winograd;

pub(in crate::ops) use cases::cases;
pub use input_grad::Conv2dInputGrad;
pub use sample_weight_grad::Conv2dSampleWeightGrad;
pub use weight_grad::Conv2dWeightGrad;

use super::contraction::{self, Contraction, OperandLayout, Outline, Segments};
use super::onnx_form::{OnnxAttribute, OnnxForm, Written, ints, windows};
use super::{Op, Role, Vjp, operands, samples};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::{Precision, Var};
use crate::plan::{Arg, Launch, Lowering, Scalar, Target};
use crate::tensor::{DType, TensorType};
use phases::Phases;
use winograd::Pass;

/// Stride, padding, dilation and groups; y before x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2d {
    /// Distance between output positions in the input.
    pub stride: [usize; 2],
    /// Rows added at the top and bottom, columns at the left and right.
    pub padding: [[usize; 2]; 2],
    /// Distance between the kernel's taps.
    pub dilation: [usize; 2],
    /// Channels are divided into this many independent groups; depthwise if there are as many groups as channels.
    pub groups: usize,
}

impl Default for Conv2d {
    fn default() -> Self {
        Conv2d {
            stride: [1, 1],
            padding: [[0, 0], [0, 0]],
            dilation: [1, 1],
            groups: 1,
        }
    }
}

/// Extents of a convolution.
#[derive(Clone, Copy, Debug)]
struct Extents {
    batch: usize,
    input: [usize; 2],
    channels: usize,
    kernel: [usize; 2],
    output: [usize; 2],
    out_channels: usize,
    /// Input channels per group.
    group_channels: usize,
}

impl Conv2d {
    /// Padding with which a stride of 1 preserves height and width; an odd row or column is added at the end ('same').
    pub fn same(kernel: [usize; 2], dilation: [usize; 2]) -> [[usize; 2]; 2] {
        [0, 1].map(|i| {
            let total = dilation[i] * (kernel[i] - 1);
            [total / 2, total - total / 2]
        })
    }

    /// Height and width of the result.
    ///
    /// # Errors
    /// If an attribute is zero or the kernel does not fit into the padded input.
    pub fn output(&self, input: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2], String> {
        let mut output = [0; 2];
        for i in 0..2 {
            if self.stride[i] == 0 || self.dilation[i] == 0 || kernel[i] == 0 {
                return Err("stride, dilation and kernel must be at least 1".to_string());
            }
            let padded = input[i] + self.padding[i][0] + self.padding[i][1];
            let span = self.dilation[i] * (kernel[i] - 1) + 1;
            if span > padded {
                return Err(format!(
                    "a kernel that spans {span} does not fit into an input of {padded} with its padding"
                ));
            }
            output[i] = (padded - span) / self.stride[i] + 1;
        }
        Ok(output)
    }

    /// The attributes of ONNX's `Conv` and `ConvTranspose` with weights of type `w`.
    fn onnx_attributes(&self, w: &TensorType) -> Vec<(&'static str, OnnxAttribute)> {
        let kernel = [w.dims()[1], w.dims()[2]];
        let mut attributes = windows(kernel, self.stride, &self.padding);
        attributes.extend([
            ("dilations", OnnxAttribute::Ints(ints(&self.dilation))),
            ("group", OnnxAttribute::Int(self.groups as i64)),
        ]);
        attributes
    }

    fn extents(&self, x: &[usize], w: &[usize]) -> Result<Extents, String> {
        let (&[batch, height, width, channels], &[out_channels, kh, kw, group_channels]) = (x, w)
        else {
            return Err(format!(
                "takes X [N, H, W, C] and W [O, KH, KW, I], was given {x:?} and {w:?}"
            ));
        };
        if self.groups == 0
            || group_channels * self.groups != channels
            || !out_channels.is_multiple_of(self.groups)
        {
            return Err(format!(
                "an input of {channels} channels does not fit weights for {group_channels} channels to {out_channels} in {} groups",
                self.groups
            ));
        }
        let (input, kernel) = ([height, width], [kh, kw]);
        let output = self.output(input, kernel)?;
        Ok(Extents {
            batch,
            input,
            channels,
            kernel,
            output,
            out_channels,
            group_channels,
        })
    }

    /// Parameters that place the taps, with the names that all kernels of the family use.
    fn geometry(&self) -> Vec<(&'static str, Scalar)> {
        vec![
            ("stride_y", signed(self.stride[0])),
            ("stride_x", signed(self.stride[1])),
            ("pad_top", signed(self.padding[0][0])),
            ("pad_left", signed(self.padding[1][0])),
            ("dilation_y", signed(self.dilation[0])),
            ("dilation_x", signed(self.dilation[1])),
        ]
    }

    /// Kernel variants of a pass that is the product of `outline`.
    fn variants(
        &self,
        target: &Target,
        e: &Extents,
        outline: impl Fn(&Extents) -> Outline,
        pass: &Pass,
    ) -> Vec<&'static str> {
        if depthwise::covers(self, e) {
            return vec![depthwise::NAME, "direct"];
        }
        let mut variants = contraction::variants(target, outline(&e.one_group(self.groups)));
        if self.groups > 1 {
            let at = if grouped::pays(self, e, target) {
                variants.len()
            } else {
                0
            };
            variants.insert(at, "direct");
            return variants;
        }
        // Winograd's algorithm multiplies other numbers than the operands, which mixed precision would round.
        if target.precision == Precision::Float32 {
            winograd::add(&mut variants, self, e, pass, target);
        }
        variants.push("direct");
        variants
    }

    /// Whether mixed precision rounds the operands: depthwise convolutions are no products of matrices.
    fn rounds(&self, e: &Extents) -> bool {
        !depthwise::covers(self, e)
    }

    /// A launch of one of the plain kernels, with one invocation for each of `elements` elements.
    fn direct(
        &self,
        cx: &Lowering<'_>,
        file: &str,
        e: &Extents,
        operands: [&Arg; 2],
        out: &Arg,
        elements: usize,
    ) -> Launch {
        let precision = match self.rounds(e) {
            true => cx.target().precision,
            false => Precision::Float32,
        };
        let work = (out.ty.elements() * e.kernel[0] * e.kernel[1]) as u64;
        Launch::new(file)
            .read("a", operands[0].value, work * e.group_channels as u64)
            .read("b", operands[1].value, work * e.group_channels as u64)
            .write("out", out.value)
            .param("height", signed(e.input[0]))
            .param("width", signed(e.input[1]))
            .param("channels", e.channels)
            .param("out_height", signed(e.output[0]))
            .param("out_width", signed(e.output[1]))
            .param("out_channels", e.out_channels)
            .param("kernel_height", signed(e.kernel[0]))
            .param("kernel_width", signed(e.kernel[1]))
            .param("group_channels", e.group_channels)
            .param("group_out_channels", e.out_channels / self.groups)
            .invocations(elements, 64)
            .flops(e.flops())
            .params(self.geometry())
            .round(precision, &["a", "b"])
    }
}

impl Extents {
    /// Floating-point operations of each of the three passes.
    fn flops(&self) -> u64 {
        let pixels = self.batch * self.output[0] * self.output[1];
        2 * pixels as u64
            * (self.out_channels * self.kernel[0] * self.kernel[1] * self.group_channels) as u64
    }

    /// The extents of one of several groups.
    fn one_group(&self, groups: usize) -> Extents {
        Extents {
            channels: self.group_channels,
            out_channels: self.out_channels / groups.max(1),
            ..*self
        }
    }

    /// Rows and columns of the forward pass as a product, for one group.
    fn forward(&self, target: &Target) -> Outline {
        let (m, n) = (
            self.batch * self.output[0] * self.output[1],
            self.out_channels,
        );
        Outline {
            m,
            n,
            b_k_contiguous: !contraction::transposes(target, m, n, self.row()),
        }
    }

    /// Weights per output channel.
    fn row(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.group_channels
    }

    fn input_grad(&self, conv: &Conv2d) -> Outline {
        let m = self.batch * Phases::of(conv, self).pixels();
        Outline {
            m,
            n: self.channels,
            b_k_contiguous: false,
        }
    }

    fn weight_grad(&self) -> Outline {
        let m = self.kernel[0] * self.kernel[1] * self.channels;
        Outline {
            m,
            n: self.out_channels,
            b_k_contiguous: false,
        }
    }

    fn x(&self) -> TensorType {
        TensorType::f32([self.batch, self.input[0], self.input[1], self.channels])
    }

    fn w(&self) -> TensorType {
        TensorType::f32([
            self.out_channels,
            self.kernel[0],
            self.kernel[1],
            self.group_channels,
        ])
    }

    fn y(&self) -> TensorType {
        TensorType::f32([
            self.batch,
            self.output[0],
            self.output[1],
            self.out_channels,
        ])
    }
}

fn floats(inputs: &[&TensorType]) -> Result<(), String> {
    match inputs.iter().find(|ty| ty.dtype != DType::F32) {
        Some(ty) => Err(format!("works on f32, was given {ty}")),
        None => Ok(()),
    }
}

fn signed(x: usize) -> Scalar {
    Scalar::I32(x as i32)
}

impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, w] = operands(inputs)?;
        floats(inputs)?;
        Ok(self.extents(x.dims(), w.dims())?.y())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let (x, w) = (cx.inputs[0], cx.inputs[1]);
        let (xs, ws) = (x.shape(), w.shape());
        let input = [xs.dims()[1], xs.dims()[2]];
        let kernel = [ws.dims()[1], ws.dims()[2]];
        let dx = x
            .builder()
            .op(Conv2dInputGrad { conv: *self, input }, &[cx.grad, w])?;
        let dw = x.builder().op(
            Conv2dWeightGrad {
                conv: *self,
                kernel,
            },
            &[x, cx.grad],
        )?;
        Ok(vec![Some(dx), Some(dw)])
    }

    fn sample_axis(
        &self,
        _inputs: &[&TensorType],
        own: &[Option<usize>],
        _samples: usize,
    ) -> Option<usize> {
        samples::of_first(own)
    }

    fn sample_norms<'g>(
        &self,
        cx: &Vjp<'g>,
        operand: usize,
        samples: usize,
    ) -> Result<Option<Var<'g>>> {
        let (x, w) = (cx.inputs[0], cx.inputs[1].shape());
        if operand != 1 || self.groups > 1 || x.shape().dims()[0] != samples {
            return Ok(None);
        }
        let each = Conv2dSampleWeightGrad {
            conv: *self,
            kernel: [w.dims()[1], w.dims()[2]],
        };
        let each = x.builder().op(each, &[x, cx.grad])?;
        each.squared_norms(samples).map(Some)
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        match self.extents(inputs[0].dims(), inputs[1].dims()) {
            Ok(e) => reference::forward(self, &e, inputs[0].reals(), inputs[1].reals()),
            Err(_) => Tensor::zeros(output),
        }
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        let (x, w) = (form.image(), form.input(1));
        let w = form.transposed(&w, &[0, 3, 1, 2]);
        let y = form.node("Conv", &[&x, &w], self.onnx_attributes(&form.types[1]));
        Ok(form.channels_last(&y))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, w, y) = (cx.input(0), cx.input(1), cx.output()?);
        let e = self
            .extents(x.dims(), w.dims())
            .map_err(crate::Error::Graph)?;
        if cx.variant() == "direct" {
            let elements = y.ty.elements();
            let launch = self.direct(cx, "conv2d/forward_direct", &e, [&x, &w], &y, elements);
            let launch = launch.param("len", elements);
            return cx.launch_with_epilogue(launch);
        }
        if cx.variant() == winograd::separate::NAME {
            return winograd::separate::forward(cx, self, &e);
        }
        if cx.variant() == winograd::fused::NAME {
            return winograd::fused::forward(cx, self, &e);
        }
        if cx.variant() == depthwise::NAME {
            return depthwise::images(cx, "conv2d/forward_depthwise", self, &e);
        }
        let e = e.one_group(self.groups);
        let x = grouped::apart(cx, x, self.groups)?;
        // A whole kernel row is contiguous in memory unless the kernel is dilated.
        let [kh, kw] = e.kernel;
        let whole_rows = self.dilation[1] == 1 || kw == 1;
        let (per_row, pixels) = if whole_rows { (1, kw) } else { (kw, 1) };
        let length = pixels * e.channels;
        let Outline { m, n, .. } = e.forward(cx.target());
        let k = e.row();
        let transposed =
            contraction::broadcasts(cx.variant()) && contraction::transposes(cx.target(), m, n, k);
        let columns = n * self.groups;
        let w = if transposed {
            contraction::transposed(cx, &w, 0, [columns, k])?
        } else {
            w
        };
        let (b_column_stride, b_k_stride) = if transposed { (1, columns) } else { (k, 1) };
        let mut params = self.geometry();
        params.extend([
            ("b_column_stride", b_column_stride.into()),
            ("b_k_stride", b_k_stride.into()),
            ("segments_per_row", per_row.into()),
            ("segment_pixels", signed(pixels)),
            ("height", signed(e.input[0])),
            ("width", signed(e.input[1])),
            ("channels", signed(e.channels)),
            ("out_height", e.output[0].into()),
            ("out_width", e.output[1].into()),
        ]);
        grouped::lower(
            cx,
            self.groups,
            Contraction {
                broadcast: "conv2d/forward_broadcast",
                tiled: "conv2d/forward_tiled",
                a: x,
                b: w,
                m,
                n,
                batches: self.groups,
                segments: Segments::Fixed {
                    count: kh * per_row,
                    length,
                    k: kh * per_row * length,
                },
                a_layout: OperandLayout {
                    k_contiguous: true,
                    vec4: e.channels.is_multiple_of(4),
                },
                b_layout: match transposed {
                    true => OperandLayout {
                        k_contiguous: false,
                        vec4: n.is_multiple_of(4),
                    },
                    false => OperandLayout {
                        k_contiguous: true,
                        vec4: length.is_multiple_of(4),
                    },
                },
                transpose_out: false,
                params,
                constants: Vec::new(),
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
        self.variants(target, &e, |e| e.forward(target), &Pass::forward(self, &e))
    }

    fn rounds_operands(&self, inputs: &[&TensorType]) -> bool {
        self.extents(inputs[0].dims(), inputs[1].dims())
            .is_ok_and(|e| self.rounds(&e))
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[1].dims()[1..].iter().product()
    }
}

impl<'g> Var<'g> {
    /// Convolution of `self [N, H, W, C]` with `weight [O, KH, KW, C / groups]`.
    ///
    /// # Errors
    /// If the channels differ or the kernel does not fit.
    #[track_caller]
    pub fn conv2d(self, weight: Var<'g>, attributes: Conv2d) -> Result<Var<'g>> {
        self.builder().op(attributes, &[self, weight])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_that_differ_are_named() {
        let x = TensorType::f32([1, 8, 8, 3]);
        let w = TensorType::f32([4, 3, 3, 2]);
        let message = Op::infer(&Conv2d::default(), &[&x, &w]).unwrap_err();
        assert!(
            message.contains("3 channels") && message.contains("for 2 channels"),
            "{message}"
        );
    }
}
