//! Operations. Each has one file with everything about it, in this order: what it computes and the source of the
//! formula; attributes; shape rule; gradient rule; reference; GPU launches; builder method; sample cases.
//!
//! The kernels are in the folder of the same name under `shaders/`. To add an operation, write its file and its shader
//! and add its name to the list at the end of this page; `docs/adding-an-op.md` explains the steps.

mod case;
mod columns;
mod contraction;
mod extremum;
pub mod onnx_form;
mod pointwise;
mod recurrent;
mod reduce;
mod resized;
mod rows;
mod samples;
mod strided;
mod window;

pub use case::{Case, Operand, Values};
pub use pointwise::{Pointwise, same_float};
pub use recurrent::RecurrentWeights;
pub use reduce::Reduction;

use self::onnx_form::{OnnxForm, Written};
use crate::cpu::{Real, Tensor};
use crate::error::Result;
use crate::graph::Var;
use crate::plan::{Lowering, Target};
use crate::random::Stream;
use crate::tensor::{DType, TensorType};
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// An operation of the graph.
///
/// The `Debug` text is the name with the attributes: two nodes with the same text and operands have the same value.
pub trait Op: Debug + Send + Sync + 'static {
    /// Name of the operation: that of its file in `ops`, and unique. If a file has several operations, the file's name
    /// with what this one computes: `conv2d_weight_grad`. `tests/project/names.rs` checks this.
    fn name(&self) -> &'static str;

    /// Shape rule: the type of the result, or a message that says which operands don't fit and why.
    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String>;

    /// Gradient rule: adds the nodes of the loss's gradient for each operand, `None` where there is none.
    ///
    /// # Errors
    /// If a node can't be built, or there is no gradient.
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>>;

    /// Computes the result on the CPU, in plain loops.
    fn reference<T: Real>(&self, inputs: &[&Tensor<T>], output: &TensorType) -> Tensor<T>;

    /// Computes the result on the GPU by adding launches to the plan. Not called for views and pointwise operations.
    ///
    /// # Errors
    /// If the target can't run it.
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()>;

    /// Writes the operation as nodes of ONNX, for networks that are exported.
    ///
    /// # Errors
    /// Why it can't, as the rest of a sentence about the operation.
    fn onnx(&self, _form: &mut OnnxForm<'_>) -> Written {
        Err("has no form in ONNX".to_string())
    }

    /// What the planner may do with the operation.
    fn role(&self) -> Role {
        Role::Kernel
    }

    /// Kernel variants that `target` can run for these operands, the default first. `lower` gets the selected one from
    /// [`Lowering::variant`].
    fn variants(&self, _target: &Target, _inputs: &[&TensorType]) -> Vec<&'static str> {
        vec!["default"]
    }

    /// Whether [`Precision::Mixed`](crate::graph::Precision::Mixed) rounds the operands: all kernels of the operation then
    /// read them with [`Launch::round`](crate::plan::Launch::round).
    fn rounds_operands(&self, _inputs: &[&TensorType]) -> bool {
        false
    }

    /// Whether the result stays in 32 bits in mixed precision: statistics, sums and losses.
    fn stays_precise(&self) -> bool {
        false
    }

    /// Number of terms that are summed into one element of the result; error bounds scale with it.
    fn reduction_length(&self, _inputs: &[&TensorType]) -> usize {
        1
    }

    /// Number of steps in which the operation reads its own results again, as recurrent layers do; in mixed precision, error bounds
    /// scale with it.
    fn feedback(&self, _inputs: &[&TensorType]) -> usize {
        1
    }

    /// Operands of these types for trying out the operation's variants. By default floats are uniform in [-1, 1) and
    /// integers are 0; operations for which integers have a meaning, such as indices, choose them.
    fn trial_operands(&self, inputs: &[&TensorType]) -> Vec<Operand> {
        let operand = |ty: &&TensorType| match ty.dtype {
            DType::F32 => Operand::uniform(ty.shape.clone()),
            DType::U32 => Operand::index(ty.shape.clone(), Values::Below(1)),
        };
        inputs.iter().map(operand).collect()
    }

    /// The operation that computes this result as a by-product, from the same operands. If a graph holds both, the
    /// planner lowers that operation, which gets the place to write this result from [`Lowering::by_product`], and does
    /// not lower this one. A forward pass thus stores what its gradient needs and what would be costly to recompute.
    fn by_product_of(&self) -> Option<Arc<dyn ErasedOp>> {
        None
    }

    /// The axis of the result along which the samples of a batch lie, in equal blocks, if every sample's block depends on nothing of
    /// the other samples; `None` if it may. `own` is that axis of each operand, `None` for operands that are the same for all
    /// samples, and there is one that has samples.
    fn sample_axis(
        &self,
        inputs: &[&TensorType],
        own: &[Option<usize>],
        samples: usize,
    ) -> Option<usize> {
        let result = self.infer(inputs).ok()?.shape;
        match self.role() {
            Role::Pointwise(_) => samples::of_pointwise(inputs, own, &result),
            Role::View => samples::of_view(&inputs[0].shape, own[0]?, &result, samples),
            Role::Kernel | Role::KernelWithEpilogue => None,
        }
    }

    /// The squared norms `[samples]` of what each sample contributes to the gradient of the operand `operand`, which is the same for
    /// all samples, while the others and the result have theirs along their first axes. `None` if the operation has no rule for it.
    ///
    /// # Errors
    /// If a node can't be built.
    fn sample_norms<'g>(
        &self,
        _cx: &Vjp<'g>,
        _operand: usize,
        _samples: usize,
    ) -> Result<Option<Var<'g>>> {
        Ok(None)
    }

    /// Builds and returns a cheaper form of this operation combined with those that produce its operands, or `None` if
    /// there is none. [`passes::combine`](crate::passes::combine) calls it when the node is added to a graph, so that
    /// gradients are those of the cheaper form.
    ///
    /// # Errors
    /// If a node can't be built.
    fn combined<'g>(&self, _inputs: &[Var<'g>]) -> Result<Option<Var<'g>>> {
        Ok(None)
    }
}

/// What the planner may do with an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Runs its own kernels.
    Kernel,
    /// Runs its own kernels; the last one can apply pointwise operations to the elements it writes.
    KernelWithEpilogue,
    /// Can be fused: each element of the result depends on one element of each operand.
    Pointwise(PointwiseCode),
    /// The same bytes with another shape: nothing runs.
    View,
}

/// The WGSL of a pointwise operation in a fused kernel: a call of a function of type `F`.
#[derive(Clone, Debug, PartialEq)]
pub struct PointwiseCode {
    /// File under `shaders/`, without ending.
    pub shader: String,
    /// Function to call.
    pub function: String,
    /// Additional arguments after the operands.
    pub literals: Vec<f64>,
}

/// The input of a gradient rule.
pub struct Vjp<'g> {
    /// Operands.
    pub inputs: Vec<Var<'g>>,
    /// Result of the forward operation.
    pub output: Var<'g>,
    /// Gradient of the loss with respect to [`Vjp::output`], of the same shape.
    pub grad: Var<'g>,
}

impl<'g> Vjp<'g> {
    /// The error of an operation that has no gradient rule.
    ///
    /// # Errors
    /// Always.
    pub fn not_differentiable(&self, name: &str) -> Result<Vec<Option<Var<'g>>>> {
        Err(crate::Error::Graph(format!(
            "{name} has no gradient; stop the gradient before it"
        )))
    }
}

/// [`Op`] as a trait object: the graph stores operations as such. Implemented for every `Op`.
pub trait ErasedOp: Debug + Send + Sync {
    /// See [`Op::name`].
    fn name(&self) -> &'static str;
    /// See [`Op::infer`].
    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String>;
    /// See [`Op::vjp`].
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>>;
    /// See [`Op::reference`].
    fn reference_f32(&self, inputs: &[&Tensor<f32>], output: &TensorType) -> Tensor<f32>;
    /// See [`Op::reference`].
    fn reference_f64(&self, inputs: &[&Tensor<f64>], output: &TensorType) -> Tensor<f64>;
    /// See [`Op::lower`].
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()>;
    /// See [`Op::onnx`].
    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written;
    /// See [`Op::role`].
    fn role(&self) -> Role;
    /// See [`Op::variants`].
    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str>;
    /// See [`Op::rounds_operands`].
    fn rounds_operands(&self, inputs: &[&TensorType]) -> bool;
    /// See [`Op::stays_precise`].
    fn stays_precise(&self) -> bool;
    /// See [`Op::reduction_length`].
    fn reduction_length(&self, inputs: &[&TensorType]) -> usize;
    /// See [`Op::feedback`].
    fn feedback(&self, inputs: &[&TensorType]) -> usize;
    /// See [`Op::trial_operands`].
    fn trial_operands(&self, inputs: &[&TensorType]) -> Vec<Operand>;
    /// See [`Op::by_product_of`].
    fn by_product_of(&self) -> Option<Arc<dyn ErasedOp>>;
    /// See [`Op::sample_axis`].
    fn sample_axis(
        &self,
        inputs: &[&TensorType],
        own: &[Option<usize>],
        samples: usize,
    ) -> Option<usize>;
    /// See [`Op::sample_norms`].
    fn sample_norms<'g>(
        &self,
        cx: &Vjp<'g>,
        operand: usize,
        samples: usize,
    ) -> Result<Option<Var<'g>>>;
    /// See [`Op::combined`].
    fn combined<'g>(&self, inputs: &[Var<'g>]) -> Result<Option<Var<'g>>>;
    /// The operation itself, to check for a specific type.
    fn as_any(&self) -> &dyn Any;
}

impl<O: Op> ErasedOp for O {
    fn name(&self) -> &'static str {
        Op::name(self)
    }
    fn infer(&self, inputs: &[&TensorType]) -> Result<TensorType, String> {
        Op::infer(self, inputs)
    }
    fn vjp<'g>(&self, cx: &Vjp<'g>) -> Result<Vec<Option<Var<'g>>>> {
        Op::vjp(self, cx)
    }
    fn reference_f32(&self, inputs: &[&Tensor<f32>], output: &TensorType) -> Tensor<f32> {
        self.reference(inputs, output)
    }
    fn reference_f64(&self, inputs: &[&Tensor<f64>], output: &TensorType) -> Tensor<f64> {
        self.reference(inputs, output)
    }
    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        Op::lower(self, cx)
    }
    fn onnx(&self, form: &mut OnnxForm<'_>) -> Written {
        Op::onnx(self, form)
    }
    fn role(&self) -> Role {
        Op::role(self)
    }
    fn variants(&self, target: &Target, inputs: &[&TensorType]) -> Vec<&'static str> {
        Op::variants(self, target, inputs)
    }
    fn rounds_operands(&self, inputs: &[&TensorType]) -> bool {
        Op::rounds_operands(self, inputs)
    }
    fn stays_precise(&self) -> bool {
        Op::stays_precise(self)
    }
    fn reduction_length(&self, inputs: &[&TensorType]) -> usize {
        Op::reduction_length(self, inputs)
    }
    fn feedback(&self, inputs: &[&TensorType]) -> usize {
        Op::feedback(self, inputs)
    }
    fn trial_operands(&self, inputs: &[&TensorType]) -> Vec<Operand> {
        Op::trial_operands(self, inputs)
    }
    fn by_product_of(&self) -> Option<Arc<dyn ErasedOp>> {
        Op::by_product_of(self)
    }
    fn sample_axis(
        &self,
        inputs: &[&TensorType],
        own: &[Option<usize>],
        samples: usize,
    ) -> Option<usize> {
        Op::sample_axis(self, inputs, own, samples)
    }
    fn sample_norms<'g>(
        &self,
        cx: &Vjp<'g>,
        operand: usize,
        samples: usize,
    ) -> Result<Option<Var<'g>>> {
        Op::sample_norms(self, cx, operand, samples)
    }
    fn combined<'g>(&self, inputs: &[Var<'g>]) -> Result<Option<Var<'g>>> {
        Op::combined(self, inputs)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Checks the number of operands; shape rules call it first.
pub fn operands<'a, const N: usize>(
    inputs: &[&'a TensorType],
) -> Result<[&'a TensorType; N], String> {
    inputs
        .try_into()
        .map_err(|_| format!("takes {N} operands, was given {}", inputs.len()))
}

/// One registered operation.
pub struct RegisteredOp {
    /// Name of its file and shader folder.
    pub name: &'static str,
    /// Sample cases: random odd shapes and important edge cases, drawn from the stream.
    pub cases: fn(&mut Stream) -> Vec<Case>,
}

macro_rules! register {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// All operations: the shared tests and `wgrad check` iterate over them.
        pub static REGISTRY: &[RegisteredOp] = &[
            $(RegisteredOp { name: stringify!($module), cases: $module::cases },)*
        ];
    };
}

register! {
    abs,
    adaptive_avg_pool2d,
    add,
    argmax,
    assign_boxes,
    augment,
    augment_boxes,
    attention,
    avg_pool2d,
    bce_with_logits,
    broadcast_to,
    cast,
    clamp,
    compare,
    concat,
    confusion,
    conv2d,
    conv2d_max_pool,
    correct,
    counted,
    cross_attention,
    div,
    dropout,
    elu,
    erf,
    exp,
    floor,
    gather,
    gather_batch,
    gather_windows,
    gelu,
    gelu_tanh,
    in_top_k,
    huber,
    kl_div,
    layer_norm,
    gru,
    leaky_relu,
    local_response_norm,
    log,
    log_softmax,
    mask_rows,
    lstm,
    matmul,
    max_pool2d,
    maximum,
    minimum,
    moments,
    mul,
    neg,
    normalize,
    next_row,
    noise,
    pad,
    paste_box,
    permute,
    pow,
    recurrent_weight_grad,
    reduce_max,
    relu,
    reshape,
    rms_norm,
    rotary,
    round,
    select,
    sigmoid,
    silu,
    similarity_lse,
    slice,
    softmax,
    softmax_cross_entropy,
    sqrt,
    squared_error,
    sub,
    sum,
    tanh,
    upsample_bilinear2d,
}
