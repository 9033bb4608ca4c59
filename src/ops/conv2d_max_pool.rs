//! A convolution of few taps fused with the max pooling of its result. The intermediate result, the largest tensor of a
//! network on images of one or three channels, is never stored; the gradient recomputes it. The pooling's windows must
//! neither overlap nor be padded. `x [N, H, W, C]`, `w [KH, KW, C, O]`, result `[N, PH, PW, O]`. PyTorch
//! `max_pool2d(conv2d(x, w))`.
//!
//! Before autodiff, a max pooling is replaced by this operation where it pays off: [`combined`], the rule of
//! [`crate::passes::combine`].

mod combined;
mod unrolled;

pub(super) use combined::combined;

use super::conv2d::{Conv2d, Conv2dInputGrad, Conv2dWeightGrad};
use super::max_pool2d::{MaxPool2d, MaxPool2dGrad};
use super::onnx_form::{OnnxForm, Written, windows};
use super::{Case, Op, Operand, Role, Values, Vjp, contraction, operands};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Arg, Launch, Lowering, MAX_LOOP_ITERATIONS, Scalar};
use crate::random::Stream;
use crate::shader::Shader;
use crate::tensor::{DType, TensorType};
use unrolled::Pass;

/// See the module; y before x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2dMaxPool {
    /// Distance between positions of the convolution.
    pub stride: [usize; 2],
    /// Rows added at the top and bottom, columns at the left and right, before the convolution.
    pub padding: [[usize; 2]; 2],
    /// Height and width of a window, and the distance to the next.
    pub pool: [usize; 2],
}

/// Gradient of [`Conv2dMaxPool`] with respect to its weights: `x, w, dy` to `dw`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2dMaxPoolWeightGrad {
    /// The forward operation.
    pub of: Conv2dMaxPool,
}

/// Maximum number of taps, counting input channels: the weights of four channels and their gradients must fit in
/// registers, and recomputing a result must cost less than reading it.
const MOST_TAPS: usize = 32;
/// Maximum number of image elements that an invocation holds.
const MOST_PATCH: usize = 128;
/// Maximum number of positions in a window.
const MOST_PLACES: usize = 16;
/// Invocations in a workgroup.
const WORKGROUP: usize = 64;

#[derive(Clone, Copy)]
struct Extents {
    op: Conv2dMaxPool,
    batch: usize,
    input: [usize; 2],
    channels: usize,
    kernel: [usize; 2],
    /// Number of windows in each direction.
    output: [usize; 2],
    out_channels: usize,
}

impl Conv2dMaxPool {
    fn conv(&self) -> Conv2d {
        Conv2d {
            stride: self.stride,
            padding: self.padding,
            ..Conv2d::default()
        }
    }

    fn max_pool(&self) -> MaxPool2d {
        MaxPool2d {
            kernel: self.pool,
            stride: self.pool,
            padding: [[0, 0], [0, 0]],
        }
    }

    fn extents(&self, x: &TensorType, w: &TensorType) -> Result<Extents, String> {
        let (&[batch, height, width, channels], &[kh, kw, kc, out_channels]) = (x.dims(), w.dims())
        else {
            return Err(format!(
                "takes x [N, H, W, C] and w [KH, KW, C, O], was given {x} and {w}"
            ));
        };
        if x.dtype != DType::F32 || w.dtype != DType::F32 || kc != channels || x.elements() == 0 {
            return Err(format!("weights {w} do not fit an input {x}"));
        }
        let (input, kernel) = ([height, width], [kh, kw]);
        let between = self.conv().output(input, kernel)?;
        if self.pool.contains(&0) || between[0] < self.pool[0] || between[1] < self.pool[1] {
            return Err(format!(
                "a window of {:?} does not fit into {between:?}",
                self.pool
            ));
        }
        let output = [between[0] / self.pool[0], between[1] / self.pool[1]];
        let e = Extents {
            op: *self,
            batch,
            input,
            channels,
            kernel,
            output,
            out_channels,
        };
        let [rows, columns] = e.patch(1);
        let fits = e.taps() <= MOST_TAPS
            && e.places() <= MOST_PLACES
            && rows * columns.next_multiple_of(4) <= MOST_PATCH;
        if !fits || !out_channels.is_multiple_of(4) {
            return Err(format!(
                "takes at most {MOST_TAPS} taps, {MOST_PLACES} places of a window and {MOST_PATCH} numbers under it, and gives \
                 channels in fours; was given {x} and {w} with {self:?}"
            ));
        }
        Ok(e)
    }
}

impl Extents {
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.channels
    }

    /// Positions in a window.
    fn places(&self) -> usize {
        self.op.pool[0] * self.op.pool[1]
    }

    /// Rows of the image under `windows` neighbouring windows, and elements in each row.
    fn patch(&self, windows: usize) -> [usize; 2] {
        let span =
            |axis: usize, outputs: usize| (outputs - 1) * self.op.stride[axis] + self.kernel[axis];
        [
            span(0, self.op.pool[0]),
            span(1, windows * self.op.pool[1]) * self.channels,
        ]
    }

    /// Elements from one window to the next.
    fn step(&self) -> usize {
        self.op.pool[1] * self.op.stride[1] * self.channels
    }

    /// Windows that an invocation handles at a time: enough for strips to start at whole `vec4`s, if the patch fits.
    fn strip(&self) -> usize {
        let fits = |windows: usize| {
            let [rows, columns] = self.patch(windows);
            rows * columns.next_multiple_of(4) <= MOST_PATCH
        };
        let aligned = |windows: &usize| (windows * self.step()).is_multiple_of(4);
        [1, 2, 4]
            .into_iter()
            .find(|w| aligned(w) && fits(*w))
            .unwrap_or(if fits(2) { 2 } else { 1 })
    }

    fn aligned(&self) -> bool {
        let starts = [
            self.strip() * self.step(),
            self.op.padding[1][0] * self.channels,
            self.input[1] * self.channels,
        ];
        starts.iter().all(|start| start.is_multiple_of(4))
    }

    /// Whether a strip may extend beyond the border of the image.
    fn cut(&self) -> bool {
        self.op.padding != [[0, 0], [0, 0]] || !self.output[1].is_multiple_of(self.strip()) || {
            let whole = self.patch(self.strip())[1].next_multiple_of(4);
            let last = (self.output[1] / self.strip() - 1) * self.strip() * self.step();
            last + whole > self.input[1] * self.channels
        }
    }

    /// Row and column in the patch of tap `tap` (ky, kx, c) for position `place` of window `window` of the strip.
    fn under(&self, window: usize, place: usize, tap: usize) -> (usize, usize) {
        let [_, pool_x] = self.op.pool;
        let (ky, kx) = (
            tap / (self.kernel[1] * self.channels),
            tap / self.channels % self.kernel[1],
        );
        let (py, px) = (place / pool_x, window * pool_x + place % pool_x);
        let (y, x) = (py * self.op.stride[0] + ky, px * self.op.stride[1] + kx);
        (y, x * self.channels + tap % self.channels)
    }

    fn y(&self) -> TensorType {
        TensorType::f32([
            self.batch,
            self.output[0],
            self.output[1],
            self.out_channels,
        ])
    }

    fn strips_per_row(&self) -> usize {
        self.output[1].div_ceil(self.strip())
    }

    /// Floating-point operations of the convolution.
    fn flops(&self) -> u64 {
        2 * (self.y().elements() * self.places() * self.taps()) as u64
    }

    /// A launch of one of the kernels, with `len` invocations that handle `strips_per_invocation` strips each.
    fn launch(
        &self,
        pass: Pass,
        x: &Arg,
        w: &Arg,
        len: usize,
        strips_per_invocation: usize,
    ) -> Launch {
        let name = match pass {
            Pass::Forward => "conv2d_max_pool/forward",
            Pass::WeightGrad => "conv2d_max_pool/weight_grad",
        };
        let [rows, columns] = self.patch(self.strip());
        let strips =
            (self.batch * self.output[0] * self.strips_per_row() * self.out_channels / 4) as u64;
        let loads = if self.aligned() { 1 } else { 2 };
        let signed = |x: usize| Scalar::I32(x as i32);
        Launch::of(Shader::generated(name, unrolled::text(self, pass)))
            .constant("ALIGNED", self.aligned())
            .constant("CUT", self.cut())
            .read(
                "x",
                x.value,
                strips * (loads * rows * columns.div_ceil(4)) as u64,
            )
            .read("w", w.value, (len * self.taps()) as u64)
            .param("len", len)
            .param("rows", self.batch * self.output[0])
            .param("height", signed(self.input[0]))
            .param("row_numbers", signed(self.input[1] * self.channels))
            .param("last", signed(x.ty.elements().div_ceil(4) - 1))
            .param("out_height", self.output[0])
            .param("out_width", self.output[1])
            .param("strips_per_row", self.strips_per_row())
            .param("strips_per_invocation", strips_per_invocation)
            .param("groups", self.out_channels / 4)
            .param("pad_top", signed(self.op.padding[0][0]))
            .param("pad_left", signed(self.op.padding[1][0] * self.channels))
            .param("window_rows", signed(self.op.pool[0] * self.op.stride[0]))
            .param("strip_numbers", signed(self.strip() * self.step()))
            .invocations(len, WORKGROUP)
    }
}

/// `w [KH, KW, C, O]` as `[O, KH, KW, C]`, the layout of convolutions.
fn output_major<T: Real>(w: &Tensor<T>) -> Tensor<T> {
    let &[kh, kw, channels, out] = w.dims() else {
        return w.clone();
    };
    let taps = kh * kw * channels;
    let values = (0..w.reals().len())
        .map(|i| w.reals()[i % taps * out + i / taps])
        .collect();
    Tensor::real([out, kh, kw, channels], values)
}

/// The inverse of [`output_major`].
fn output_minor<T: Real>(w: &Tensor<T>) -> Tensor<T> {
    let &[out, kh, kw, channels] = w.dims() else {
        return w.clone();
    };
    let taps = kh * kw * channels;
    let values = (0..w.reals().len())
        .map(|i| w.reals()[i % out * taps + i / out])
        .collect();
    Tensor::real([kh, kw, channels, out], values)
}

impl Op for Conv2dMaxPool {
    fn name(&self) -> &'static str {
        "conv2d_max_pool"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, w] = operands(inputs)?;
        Ok(self.extents(x, w)?.y())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        let (x, w, dy) = (cx.inputs[0], cx.inputs[1], cx.grad);
        let builder = x.builder();
        let dw = builder.op(Conv2dMaxPoolWeightGrad { of: *self }, &[x, w, dy])?;
        // Images seldom need a gradient: it is built from the separate operations.
        let w = w.permute(&[3, 0, 1, 2])?;
        let between = builder.op(self.conv(), &[x, w])?;
        let d_between = builder.op(
            MaxPool2dGrad {
                pool: self.max_pool(),
            },
            &[between, dy],
        )?;
        let input = [x.shape().dims()[1], x.shape().dims()[2]];
        let dx = builder.op(
            Conv2dInputGrad {
                conv: self.conv(),
                input,
            },
            &[d_between, w],
        )?;
        Ok(vec![Some(dx), Some(dw)])
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let w = output_major(inputs[1]);
        let Ok(ty) = Op::infer(&self.conv(), &[&inputs[0].ty(), &w.ty()]) else {
            return Tensor::zeros(output);
        };
        let between = self.conv().reference(&[inputs[0], &w], &ty);
        self.max_pool().reference(&[&between], output)
    }

    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        // Weights are KH-KW-C-O here.
        let (x, w) = (form.image(), form.input(1));
        let w = form.transposed(&w, &[3, 2, 0, 1]);
        let kernel = form.types[1].dims();
        let attributes = windows([kernel[0], kernel[1]], self.stride, &self.padding);
        let y = form.node("Conv", &[&x, &w], attributes);
        let pool = windows(self.pool, self.pool, &[[0, 0], [0, 0]]);
        let y = form.node("MaxPool", &[&y], pool);
        Ok(form.channels_last(&y))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (x, w, y) = (cx.input(0), cx.input(1), cx.output()?);
        let e = self.extents(&x.ty, &w.ty).map_err(crate::Error::Graph)?;
        // Every invocation loads the weights once, so there are few invocations where there are few lanes to keep busy.
        let each = if cx.target().software {
            e.strips_per_row()
        } else {
            1
        };
        let parts = e.strips_per_row().div_ceil(each);
        let len = e.batch * e.output[0] * parts * e.out_channels / 4;
        let launch = e
            .launch(Pass::Forward, &x, &w, len, each)
            .param("rows_per_split", 0_u32);
        cx.launch_with_epilogue(launch.write("out", y.value).flops(e.flops()))
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[1].dims()[..3].iter().product()
    }
}

impl Op for Conv2dMaxPoolWeightGrad {
    fn name(&self) -> &'static str {
        "conv2d_max_pool_weight_grad"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        let [x, w, dy] = operands(inputs)?;
        let y = self.of.extents(x, w)?.y();
        if *dy != y {
            return Err(format!("the gradient of a {y} can't be a {dy}"));
        }
        Ok(w.clone())
    }

    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        cx.not_differentiable("the gradient of conv2d_max_pool")
    }

    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T> {
        let (x, w, dy) = (inputs[0], output_major(inputs[1]), inputs[2]);
        let (conv, kernel) = (self.of.conv(), [output.dims()[0], output.dims()[1]]);
        let Ok(ty) = Op::infer(&conv, &[&x.ty(), &w.ty()]) else {
            return Tensor::zeros(output);
        };
        let between = conv.reference(&[x, &w], &ty);
        let d_between = MaxPool2dGrad {
            pool: self.of.max_pool(),
        }
        .reference(&[&between, dy], &ty);
        output_minor(&Conv2dWeightGrad { conv, kernel }.reference(&[x, &d_between], &w.ty()))
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        // Rows of windows that an invocation sums, and the maximum number of splits: a GPU needs many invocations.
        let (fewest_rows, most_splits) = if cx.target().software {
            (16, 256)
        } else {
            (1, 1024)
        };
        let (x, w, dy, dw) = (cx.input(0), cx.input(1), cx.input(2), cx.output()?);
        let e = self.of.extents(&x.ty, &w.ty).map_err(crate::Error::Graph)?;
        let rows = e.batch * e.output[0];
        let longest = (MAX_LOOP_ITERATIONS / (e.strips_per_row() + 1)).max(1);
        let per_split = rows.div_ceil(most_splits).max(fewest_rows).min(longest);
        let splits = rows.div_ceil(per_split);
        let to = match splits {
            1 => dw.clone(),
            _ => cx.scratch(TensorType::f32([splits, dw.ty.elements()])),
        };
        let launch = e
            .launch(
                Pass::WeightGrad,
                &x,
                &w,
                splits * e.out_channels / 4,
                e.strips_per_row(),
            )
            .read("dy", dy.value, dy.vec4s())
            .write("out", to.value)
            .param("rows_per_split", per_split)
            .flops(2 * e.flops());
        if splits == 1 {
            return cx.launch_with_epilogue(launch);
        }
        cx.launch(launch)?;
        cx.launch_with_epilogue(contraction::sum_splits(cx.target(), &to, &dw, splits))
    }

    fn role(&self) -> Role {
        Role::KernelWithEpilogue
    }

    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        inputs[2].dims()[..3].iter().product()
    }
}

pub(super) fn cases(stream: &mut Stream) -> Vec<Case> {
    let odd = |stream: &mut Stream| 9 + stream.below(6) as usize;
    let (h, w) = (odd(stream), odd(stream));
    let none = [[0, 0], [0, 0]];
    let op = |stride, padding, pool| Conv2dMaxPool {
        stride,
        padding,
        pool,
    };
    let shapes: [(Conv2dMaxPool, [usize; 4], [usize; 4]); 10] = [
        (op([1, 1], none, [2, 2]), [2, 12, 12, 1], [3, 3, 1, 32]),
        (op([1, 1], none, [2, 2]), [3, h, w, 1], [3, 3, 1, 8]),
        (
            op([1, 1], [[2, 2], [2, 2]], [2, 2]),
            [2, h, w, 1],
            [5, 5, 1, 8],
        ),
        (
            op([1, 1], [[1, 1], [1, 1]], [2, 2]),
            [2, 8, 8, 3],
            [3, 3, 3, 12],
        ),
        (op([1, 1], none, [3, 3]), [1, h, w, 3], [3, 2, 3, 4]),
        (
            op([2, 2], [[1, 0], [0, 1]], [2, 2]),
            [2, h, w, 2],
            [3, 3, 2, 4],
        ),
        (op([2, 1], none, [1, 3]), [1, h, w, 1], [2, 4, 1, 4]),
        (op([1, 1], none, [1, 1]), [1, h, w, 4], [1, 1, 4, 4]),
        (op([1, 1], none, [2, 2]), [1, 4, 4, 1], [3, 3, 1, 4]),
        // More rows of windows than one split sums.
        (op([1, 1], none, [2, 2]), [21, 10, w, 1], [3, 3, 1, 4]),
    ];
    let mut cases = Vec::new();
    for (op, x, w) in shapes {
        let Ok(e) = op.extents(&TensorType::f32(x), &TensorType::f32(w)) else {
            continue;
        };
        // Values far apart, so that every window has a clear maximum.
        let image = || Operand::real(x, Values::Distinct);
        let weights = || Operand::uniform(w);
        cases.push(Case::new(op, [image(), weights()]));
        let grad = Conv2dMaxPoolWeightGrad { of: op };
        let dy = Operand::uniform(e.y().shape).constant();
        cases.push(Case::new(
            grad,
            [image().constant(), weights().constant(), dy],
        ));
    }
    cases
}
