//! Every operation against PyTorch's outputs and gradients: see tests/fixtures/README.md.

use crate::support;
use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use wgrad::Result;
use wgrad::autodiff::gradients;
use wgrad::check::worst_error;
use wgrad::cpu::{Data, Tensor, Variables, interpret};
use wgrad::gpu::{Gpu, Program, Store};
use wgrad::graph::{Builder, Graph, Var};
use wgrad::ops::RecurrentWeights;
use wgrad::ops::augment::{Augment, Change};
use wgrad::ops::avg_pool2d::AvgPool2d;
use wgrad::ops::conv2d::{Conv2d, Conv2dInputGrad};
use wgrad::ops::matmul::Matmul;
use wgrad::ops::max_pool2d::MaxPool2d;
use wgrad::ops::paste_box::PasteBox;
use wgrad::plan::Plan;
use wgrad::tensor::{Shape, TensorType};

/// Builds an operation of the record from its operands and attributes.
type Build = for<'g> fn(&[Var<'g>], &Attributes) -> Result<Var<'g>>;

/// The operations of the record, and how to build them.
const OPERATIONS: &[(&str, Build)] = &[
    ("abs", |x, _| x[0].abs()),
    ("add", |x, _| x[0].add(x[1])),
    ("attention", |x, a| {
        x[0].attention(a.integer("heads"), a.flag("causal"), x.get(1).copied())
    }),
    ("augment_crop", |x, a| {
        let padding = a.integer("padding");
        augment(x, a, Change::Crop { padding })
    }),
    ("augment_cutout", |x, a| {
        let size = a.integer("size");
        augment(x, a, Change::Cutout { size })
    }),
    ("augment_flip", |x, a| {
        let (across, down) = (a.flag("across"), a.flag("down"));
        augment(x, a, Change::Flip { across, down })
    }),
    ("augment_jitter", |x, a| {
        let change = Change::Jitter {
            brightness: a.number("brightness"),
            contrast: a.number("contrast"),
            saturation: a.number("saturation"),
        };
        augment(x, a, change)
    }),
    ("augment_rotate", |x, a| {
        let degrees = a.number("degrees");
        augment(x, a, Change::Rotate { degrees })
    }),
    ("avg_pool2d", |x, a| {
        let include = a.flag("count_include_pad");
        x[0].avg_pool2d(AvgPool2d {
            kernel: a.pair("kernel"),
            stride: a.pair("stride"),
            padding: a.pairs("padding"),
            count_include_pad: include,
        })
    }),
    ("batch_norm", |x, a| {
        let builder = x[0].builder();
        let valid = builder.variable("rows", TensorType::u32([]))?;
        let (channels, moments) = (x[0].shape().last(), x[0].moments(0, Some(valid))?);
        let part = |i: usize| moments.slice_axis(0, i..i + 1)?.reshape([channels]);
        let (mean, variance) = (part(0)?, part(1)?);
        let deviation = variance
            .add(builder.constant(a.number("epsilon")))?
            .sqrt()?;
        let y = x[0].normalize(mean, x[1].div(deviation)?, x[2])?;
        y.slice_axis(0, 0..a.integer("valid"))
    }),
    ("batch_norm_eval", |x, a| {
        let epsilon = x[0].builder().constant(a.number("epsilon"));
        let deviation = x[2].add(epsilon)?.sqrt()?;
        x[0].normalize(x[1], x[3].div(deviation)?, x[4])
    }),
    ("bce_with_logits", |x, _| x[0].bce_with_logits(x[1])),
    ("clamp", |x, a| x[0].clamp(a.number("min"), a.number("max"))),
    ("concat", |x, a| Var::concat(x, a.integer("axis"))),
    ("conv2d", |x, a| {
        let conv = Conv2d {
            stride: a.pair("stride"),
            padding: a.pairs("padding"),
            dilation: a.pair("dilation"),
            groups: a.integer("groups"),
        };
        x[0].conv2d(x[1], conv)
    }),
    ("conv_transpose2d", |x, a| {
        let conv = Conv2d {
            stride: a.pair("stride"),
            padding: a.pairs("padding"),
            ..Conv2d::default()
        };
        let input = a.pair("output");
        x[0].builder().op(Conv2dInputGrad { conv, input }, x)
    }),
    ("cross_entropy", |x, a| {
        let valid = x[0].builder().variable("rows", TensorType::u32([]))?;
        let losses = x[0].softmax_cross_entropy(x[1], valid, a.number("label_smoothing"))?;
        losses.mean(&[0])
    }),
    ("cross_entropy_ignored", |x, a| {
        let valid = x[0].builder().variable("rows", TensorType::u32([]))?;
        x[0].masked_cross_entropy(x[1], valid, a.integer("ignore") as u32)
    }),
    ("cross_entropy_weighted", |x, a| {
        let valid = x[0].builder().variable("rows", TensorType::u32([]))?;
        let smoothing = a.number("label_smoothing");
        let [losses, weights] = x[0].weighted_cross_entropy(x[1], valid, x[2], smoothing)?;
        losses.sum_all()?.div(weights.sum_all()?)
    }),
    ("div", |x, _| x[0].div(x[1])),
    ("elu", |x, a| x[0].elu(a.number("alpha"))),
    ("embedding", |x, a| {
        x[0].embedding(x[1], Some(a.integer("padding")))
    }),
    ("exp", |x, _| x[0].exp()),
    ("gelu", |x, _| x[0].gelu()),
    ("gelu_tanh", |x, _| x[0].gelu_tanh()),
    ("gather", |x, _| x[0].gather(x[1])),
    ("global_avg_pool2d", |x, _| x[0].global_avg_pool2d()),
    ("group_norm", |x, a| {
        x[0].group_norm(a.integer("groups"), x[1], x[2], a.number("epsilon"))
    }),
    ("gru", |x, _| both_directions(x, Var::gru)),
    ("huber", |x, a| x[0].huber(x[1], a.number("delta"))),
    ("kl_div", |x, _| x[0].log_softmax()?.kl_div(x[1])),
    ("l1", |x, _| x[0].l1(x[1])),
    ("layer_norm", |x, a| x[0].layer_norm(a.number("epsilon"))),
    ("local_response_norm", |x, a| {
        x[0].local_response_norm(
            a.integer("size"),
            a.number("alpha"),
            a.number("beta"),
            a.number("k"),
        )
    }),
    ("leaky_relu", |x, a| x[0].leaky_relu(a.number("alpha"))),
    ("log", |x, _| x[0].log()),
    ("log_softmax", |x, a| {
        x[0].log_softmax_along(a.integer("axis"))
    }),
    ("lstm", |x, _| both_directions(x, Var::lstm)),
    ("matmul", matmul),
    ("max", |x, a| match a.flag("keepdims") {
        true => x[0].max_keep(&a.extents("axes")),
        false => x[0].max(&a.extents("axes")),
    }),
    ("max_pool2d", |x, a| {
        x[0].max_pool2d(MaxPool2d {
            kernel: a.pair("kernel"),
            stride: a.pair("stride"),
            padding: a.pairs("padding"),
        })
    }),
    ("maximum", |x, _| x[0].maximum(x[1])),
    ("mean", |x, a| {
        let mean = x[0].mean(&a.extents("axes"))?;
        match a.flag("keepdims") {
            true => mean.reshape(kept(&x[0], &a.extents("axes"))),
            false => Ok(mean),
        }
    }),
    ("minimum", |x, _| x[0].minimum(x[1])),
    ("mse", |x, _| x[0].mse(x[1])),
    ("mul", |x, _| x[0].mul(x[1])),
    ("neg", |x, _| x[0].neg()),
    ("next_row", |x, _| x[0].next_row(x[1])),
    ("paste_box", |x, a| {
        let seed = a.integer("seed") as u64;
        x[0].builder().op(PasteBox { seed }, x)
    }),
    ("pad", |x, a| {
        x[0].pad(&a.pairs_list("padding"), a.number("value"))
    }),
    ("permute", |x, a| x[0].permute(&a.extents("axes"))),
    ("pow", |x, _| x[0].pow(x[1])),
    ("pow_scalar", |x, a| x[0].powf(a.number("exponent"))),
    ("relu", |x, _| x[0].relu()),
    ("rms_norm", |x, a| x[0].rms_norm(a.number("epsilon"))),
    ("rotary", |x, a| {
        let (heads, shape) = (a.integer("heads"), x[0].shape());
        let &[batch, time, width] = shape.dims() else {
            panic!("qkv is [B,T,3E]")
        };
        let vectors = [batch, time, 3 * heads, width / 3 / heads];
        let turned = x[0].reshape(vectors)?.rotary(x[1], 2 * heads)?;
        turned.reshape(shape)
    }),
    ("sigmoid", |x, _| x[0].sigmoid()),
    ("silu", |x, _| x[0].silu()),
    ("slice", |x, a| {
        let (start, end) = (a.extents("start"), a.extents("end"));
        x[0].slice(
            &start
                .into_iter()
                .zip(end)
                .map(|(s, e)| s..e)
                .collect::<Vec<_>>(),
        )
    }),
    ("softmax", |x, a| x[0].softmax_along(a.integer("axis"))),
    ("sqrt", |x, _| x[0].sqrt()),
    ("sub", |x, _| x[0].sub(x[1])),
    ("sum", |x, a| match a.flag("keepdims") {
        true => x[0].sum_keep(&a.extents("axes")),
        false => x[0].sum(&a.extents("axes")),
    }),
    ("tanh", |x, _| x[0].tanh()),
    ("where", |x, _| x[0].select(x[1], x[2])),
];

/// The record was computed in double precision and rounded to single precision once.
const CPU_TOLERANCE: f64 = 1e-6;
/// Single precision, with the errors that GPUs may have in elementary functions.
const GPU_TOLERANCE: f64 = 2e-5;
/// Cases in which single precision itself is less accurate. The gradient of tanh is `1 - y^2`, which keeps only four digits if
/// `y` is within 1e-4 of 1, in PyTorch's float32 too; every element of this case is that close.
const GPU_EXCEPTIONS: &[(&str, f64)] = &[("tanh_saturated", 1e-3)];

/// A recurrent layer in both directions: x, the weights of each direction as PyTorch names them, and lengths if there are any.
fn both_directions<'g>(
    x: &[Var<'g>],
    layer: fn(Var<'g>, RecurrentWeights<'g>, Option<Var<'g>>, bool) -> Result<Var<'g>>,
) -> Result<Var<'g>> {
    let run = |reverse: bool| {
        let first = if reverse { 5 } else { 1 };
        let weights = RecurrentWeights {
            input: x[first],
            state: x[first + 1],
            input_bias: x[first + 2],
            state_bias: x[first + 3],
        };
        layer(x[0], weights, x.get(9).copied(), reverse)
    };
    Var::concat(&[run(false)?, run(true)?], 2)
}

/// An augmentation of images in a step.
fn augment<'g>(x: &[Var<'g>], a: &Attributes, change: Change) -> Result<Var<'g>> {
    let (seed, stream) = (a.integer("seed") as u64, a.integer("stream") as u32);
    let op = Augment {
        change,
        seed,
        stream,
    };
    x[0].augment(x[1], op)
}

/// Batches of different sizes are broadcast first, which PyTorch does implicitly.
fn matmul<'g>(x: &[Var<'g>], a: &Attributes) -> Result<Var<'g>> {
    let op = Matmul {
        transpose_a: a.flag("transpose_a"),
        transpose_b: a.flag("transpose_b"),
    };
    let batch = |v: Var<'_>| Shape::from(&v.shape().dims()[..v.shape().rank() - 2]);
    let (left, right) = (batch(x[0]), batch(x[1]));
    if left == right || left.elements() == 1 || right.elements() == 1 {
        return x[0].matmul_with(x[1], op);
    }
    let common = left.broadcast(&right).expect("the batches broadcast");
    let stretch = |v: Var<'g>| {
        let matrix = &v.shape().dims()[v.shape().rank() - 2..].to_vec();
        v.broadcast_to(&[common.dims(), matrix].concat().into())
    };
    stretch(x[0])?.matmul_with(stretch(x[1])?, op)
}

fn kept(x: &Var<'_>, axes: &[usize]) -> Vec<usize> {
    let extent = |(axis, &d): (usize, &usize)| if axes.contains(&axis) { 1 } else { d };
    x.shape().dims().iter().enumerate().map(extent).collect()
}

/// Attributes of a case, by the names in the record.
struct Attributes(Value);

impl Attributes {
    fn number(&self, name: &str) -> f64 {
        self.0[name].as_f64().expect("the attribute is a number")
    }

    fn flag(&self, name: &str) -> bool {
        self.0[name].as_bool().expect("the attribute is a flag")
    }

    fn integer(&self, name: &str) -> usize {
        integer(&self.0[name])
    }

    fn extents(&self, name: &str) -> Vec<usize> {
        let list = self.0[name].as_array().expect("the attribute is a list");
        list.iter().map(integer).collect()
    }

    fn pair(&self, name: &str) -> [usize; 2] {
        pair(&self.0[name])
    }

    fn pairs_list(&self, name: &str) -> Vec<[usize; 2]> {
        let list = self.0[name].as_array().expect("the attribute is a list");
        list.iter().map(pair).collect()
    }

    fn pairs(&self, name: &str) -> [[usize; 2]; 2] {
        [pair(&self.0[name][0]), pair(&self.0[name][1])]
    }
}

fn integer(value: &Value) -> usize {
    value.as_u64().expect("the attribute is a whole number") as usize
}

fn pair(value: &Value) -> [usize; 2] {
    [integer(&value[0]), integer(&value[1])]
}

struct Case {
    name: String,
    op: String,
    attributes: Attributes,
    inputs: Vec<Tensor<f32>>,
    gradients: Vec<Option<Tensor<f32>>>,
    /// Number of valid samples: that of the case, or the extent of the first operand's first axis.
    rows: Tensor<f32>,
    output: Tensor<f32>,
    upstream: Tensor<f32>,
}

impl Case {
    fn all() -> Vec<Case> {
        ["ops", "sequence", "augment"]
            .into_iter()
            .flat_map(Case::recorded_in)
            .collect()
    }

    fn recorded_in(record: &str) -> Vec<Case> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(record);
        let bytes = std::fs::read(path.with_extension("safetensors")).expect("the record is there");
        let tensors = SafeTensors::deserialize(&bytes).expect("the record is whole");
        let text = std::fs::read_to_string(path.with_extension("json")).expect("the list is there");
        let list: Value = serde_json::from_str(&text).expect("the list is JSON");
        let cases = list["cases"].as_array().expect("the list has cases");
        cases.iter().map(|case| Case::new(case, &tensors)).collect()
    }

    fn new(case: &Value, tensors: &SafeTensors<'_>) -> Case {
        let text = |key: &str| case[key].as_str().expect("a name").to_string();
        let list = |key: &str| case[key].as_array().expect("a list").clone();
        let load = |key: &Value| tensor(tensors, key.as_str().expect("a key"));
        let op = text("op");
        let mut inputs: Vec<_> = list("inputs").iter().map(load).collect();
        if op == "where" {
            inputs[0] = as_float(&inputs[0]);
        }
        let rows = inputs[0].dims().first().map_or(1, |&n| n as u32);
        let rows = case["attributes"]["valid"]
            .as_u64()
            .map_or(rows, |n| n as u32);
        Case {
            name: text("name"),
            op,
            rows: Tensor::index([], vec![rows]),
            attributes: Attributes(case["attributes"].clone()),
            inputs,
            gradients: list("gradients")
                .iter()
                .map(|key| (!key.is_null()).then(|| load(key)))
                .collect(),
            output: load(&case["output"]),
            upstream: load(&case["upstream"]),
        }
    }

    fn build(&self) -> Option<Build> {
        let known = OPERATIONS.iter().find(|(name, _)| *name == self.op);
        known.map(|(_, build)| *build)
    }

    /// Builds the outputs: the result, then the gradient of `sum(result * upstream)` for each operand that has one.
    fn graph(&self, build: Build) -> Result<Graph> {
        let builder = Builder::new();
        let mut operands = Vec::new();
        for (i, value) in self.inputs.iter().enumerate() {
            operands.push(builder.variable(&format!("x{i}"), value.ty())?);
        }
        let y = build(&operands, &self.attributes)?;
        builder.output("y", y);
        let upstream = builder.variable("upstream", self.upstream.ty())?;
        let loss = y.mul(upstream)?.sum_all()?;
        let wrt: Vec<Var<'_>> = operands
            .iter()
            .zip(&self.gradients)
            .filter(|(_, gradient)| gradient.is_some())
            .map(|(&operand, _)| operand)
            .collect();
        for (i, gradient) in gradients(loss, &wrt)?.into_iter().enumerate() {
            builder.output(&format!("grad{i}"), gradient);
        }
        builder.finish()
    }

    /// Variables by name.
    fn values(&self) -> Vec<(String, &Tensor<f32>)> {
        let operands = self.inputs.iter().enumerate();
        operands
            .map(|(i, value)| (format!("x{i}"), value))
            .chain([
                ("upstream".to_string(), &self.upstream),
                ("rows".to_string(), &self.rows),
            ])
            .collect()
    }

    /// The largest error of `outputs`, in the order of the graph.
    fn error(&self, outputs: &[Tensor<f32>]) -> f64 {
        let recorded = std::iter::once(&self.output).chain(self.gradients.iter().flatten());
        let recorded: Vec<_> = recorded.collect();
        assert_eq!(outputs.len(), recorded.len());
        let pairs = outputs.iter().zip(recorded);
        pairs
            .map(|(got, want)| worst_error(got, &want.to_f64()))
            .fold(0.0, f64::max)
    }
}

fn tensor(tensors: &SafeTensors<'_>, key: &str) -> Tensor<f32> {
    let view = tensors.tensor(key).expect("the record has the tensor");
    let words = view.data().as_chunks::<4>().0;
    match view.dtype() {
        safetensors::Dtype::F32 => {
            let values = words.iter().map(|w| f32::from_le_bytes(*w)).collect();
            Tensor::real(view.shape(), values)
        }
        safetensors::Dtype::U32 => {
            let values = words.iter().map(|w| u32::from_le_bytes(*w)).collect();
            Tensor::index(view.shape(), values)
        }
        other => panic!("{key} is recorded as {other:?}"),
    }
}

fn as_float(x: &Tensor<f32>) -> Tensor<f32> {
    Tensor::real(
        x.shape.clone(),
        x.indices().iter().map(|&i| i as f32).collect(),
    )
}

fn on_cpu(case: &Case, graph: &Graph) -> Result<Vec<Tensor<f32>>> {
    let mut variables: Variables<f64> = case
        .values()
        .into_iter()
        .map(|(name, value)| (name, Arc::new(value.to_f64())))
        .collect();
    let outputs = interpret(graph, &mut variables, &HashMap::new())?;
    let single = |t: &Arc<Tensor<f64>>| match &t.data {
        Data::Real(x) => Tensor::real(t.shape.clone(), x.iter().map(|&x| x as f32).collect()),
        Data::Index(x) => Tensor::index(t.shape.clone(), x.clone()),
    };
    Ok(outputs.iter().map(single).collect())
}

fn on_gpu(gpu: &Gpu, case: &Case, graph: &Graph) -> Result<Vec<Tensor<f32>>> {
    let mut store = Store::new();
    for (name, value) in case.values() {
        store.set(gpu, &name, value)?;
    }
    let plan = Plan::with_variant(graph, &gpu.target, None)?;
    let mut program = Program::new(gpu, &plan, &store)?;
    program.poison(gpu)?;
    program.run(gpu, 1, &[])?;
    graph
        .outputs
        .iter()
        .map(|output| program.read(gpu, &output.name))
        .collect()
}

/// Runs every case of the existing operations and checks its error against its tolerance.
fn hold(tolerance: impl Fn(&Case) -> f64, run: impl Fn(&Case, &Graph) -> Result<Vec<Tensor<f32>>>) {
    let mut failures = Vec::new();
    let mut worst = (0.0, String::new());
    let mut held = 0;
    for case in Case::all() {
        let Some(build) = case.build() else { continue };
        held += 1;
        let outcome = case.graph(build).and_then(|graph| run(&case, &graph));
        match outcome.map(|outputs| case.error(&outputs)) {
            Ok(error) => {
                if error > tolerance(&case) {
                    failures.push(format!("{}: error {error:.2e}", case.name));
                }
                if error >= worst.0 {
                    worst = (error, case.name);
                }
            }
            Err(e) => failures.push(format!("{}: {e}", case.name)),
        }
    }
    eprintln!(
        "{held} cases held, worst error {:.2e} ({})",
        worst.0, worst.1
    );
    assert!(
        failures.is_empty(),
        "{} of {held} cases:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_recorded_operation_is_covered() {
    let cases = Case::all();
    let recorded: BTreeSet<&str> = cases.iter().map(|case| case.op.as_str()).collect();
    let covered: BTreeSet<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(recorded, covered);
}

#[test]
fn the_reference_agrees_with_pytorch() {
    hold(|_| CPU_TOLERANCE, on_cpu);
}

#[test]
fn the_device_agrees_with_pytorch() {
    let Some(gpu) = support::gpu() else { return };
    let tolerance = |case: &Case| {
        let exception = GPU_EXCEPTIONS.iter().find(|(name, _)| *name == case.name);
        exception.map_or(GPU_TOLERANCE, |(_, tolerance)| *tolerance)
    };
    hold(tolerance, |case, graph| on_gpu(gpu, case, graph));
}
