//! Every built-in network against PyTorch's record, and a few networks with layers that no built-in one has: logits, loss, all
//! gradients, running statistics, and evaluation. See tests/fixtures/README.md. The weights follow from the seed, as
//! `wgrad models init` writes them for the record.

mod gpt2;

use crate::support;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use wgrad::autodiff::gradients;
use wgrad::cpu::{Tensor, Variables, interpret};
use wgrad::gpu::{Gpu, Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::nn::{Forward, Layer, LayerKind, Model, ModelSpec, Network, TokenInput, Training};
use wgrad::plan::{Plan, Scalar};
use wgrad::settings;
use wgrad::tensor::TensorType;

/// Relative to the size of a tensor, in double precision, in which the record was computed.
const CPU_ALLOWED: f64 = 1e-6;
/// In single precision: for networks with ReLUs, and for those of sequences, which have none.
const GPU_ALLOWED: [f64; 2] = [1e-3, 5e-5];

/// For networks that use Winograd filtering: forward results, and gradients. Its rounding errors (on average 6e-7 of a result's
/// size, those of plain sums are 2e-7) change the state of about one ReLU in a million, and with it what one pixel contributes to
/// the gradients. Without it, the same network is checked against [`GPU_ALLOWED`].
const FILTERED_ALLOWED: f64 = 1e-4;
const FILTERED_GRADIENTS: f64 = 1e-2;

/// A norm below this, in double precision, consists of zeros and rounding errors, as for the gradient of a bias that the next
/// batch normalization cancels.
const ZERO: f64 = 1e-12;

/// Pseudo-random numbers below 2^32.
fn scattered(i: u64) -> u64 {
    i * 2_654_435_761 % (1 << 32)
}

/// The norm and a few elements of a tensor in file order.
struct Fingerprint {
    norm: f64,
    elements: Vec<f64>,
}

impl Fingerprint {
    fn recorded(value: &Value) -> Fingerprint {
        let elements = value["elements"].as_array().expect("elements");
        Fingerprint {
            norm: value["norm"].as_f64().expect("a norm"),
            elements: elements
                .iter()
                .map(|x| x.as_f64().expect("a number"))
                .collect(),
        }
    }

    fn of(values: &[f32], samples: usize) -> Fingerprint {
        let squares: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
        let at = |i: usize| f64::from(values[i * values.len() / samples]);
        Fingerprint {
            norm: squares.sqrt(),
            elements: (0..samples).map(at).collect(),
        }
    }

    /// The largest difference, relative to the size of the tensor's elements; for a tensor that should be zero, its norm.
    fn difference(&self, values: &[f32]) -> f64 {
        let got = Fingerprint::of(values, self.elements.len());
        if self.norm < ZERO {
            return if got.norm.is_nan() {
                f64::INFINITY
            } else {
                got.norm
            };
        }
        let size = self.norm / (values.len() as f64).sqrt();
        let pairs = self.elements.iter().zip(&got.elements);
        let elements = pairs.map(|(want, got)| (want - got).abs() / (want.abs() + size + 1e-12));
        let norm = (self.norm - got.norm).abs() / (self.norm + 1e-12);
        let worst = elements.fold(norm, f64::max);
        if worst.is_nan() { f64::INFINITY } else { worst }
    }
}

struct Record {
    network: Network,
    seed: u64,
    batch: usize,
    value: Value,
    gpu_allowed: f64,
}

impl Record {
    fn of(name: &str) -> Record {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let records = ["models.json", "sequence_models.json"].map(|file| {
            let text = std::fs::read_to_string(fixtures.join(file)).expect("the record is there");
            serde_json::from_str::<Value>(&text).expect("the record is JSON")
        });
        let found = records.iter().zip(GPU_ALLOWED).find_map(|(all, allowed)| {
            let models = all["models"].as_array().expect("the record has models");
            let value = models.iter().find(|m| m["name"] == name)?;
            Some((all, value.clone(), allowed))
        });
        let (all, value, gpu_allowed) = found.unwrap_or_else(|| panic!("{name} is recorded"));
        let own = format!("{name}.toml");
        let mut spec = settings::named_model(&own, &fixtures.join("sequence_models"))
            .or_else(|_| ModelSpec::preset(name))
            .unwrap();
        // Dropout is removed, because PyTorch has other random numbers.
        let drops = |layer: &Layer| matches!(layer.kind, LayerKind::Dropout(_));
        spec.layers.retain(|layer| !drops(layer));
        for block in spec.blocks.values_mut() {
            if let Some(rate) = block.defaults.get_mut("dropout") {
                *rate = toml::Value::Float(0.0);
            }
        }
        Record {
            network: Network::new(spec).unwrap(),
            seed: all["seed"].as_u64().expect("a seed"),
            batch: value["batch"].as_u64().expect("a batch") as usize,
            value,
            gpu_allowed,
        }
    }

    /// The images of the record.
    fn images(&self) -> Tensor<f32> {
        let dims = [&[self.batch], &self.network.spec.input.sample()[..]].concat();
        let pixel = |i: u64| {
            let byte = scattered(i) >> 24;
            let slow = (i / 3 / 5 + 40 * (i % 3)) % 256;
            (byte + 3 * slow) as f32 / 1024.0 - 0.5
        };
        let n = dims.iter().product::<usize>() as u64;
        Tensor::real(dims, (0..n).map(pixel).collect())
    }

    /// The tokens of the record: only texts to classify end in padding.
    fn tokens(&self, input: TokenInput) -> Tensor<f32> {
        let (length, others) = (input.tokens, input.vocabulary as u64 - 1);
        let end = |sample: usize| match (self.network.per_token(), sample) {
            (true, _) | (false, 0) => length,
            (false, 1) => 1,
            _ => match (length as i64 - 2 * sample as i64).rem_euclid(length as i64) {
                0 => length,
                end => end as usize,
            },
        };
        let token = |at: usize| match at % length < end(at / length) {
            true => 1 + ((scattered(at as u64) >> 12) % others) as u32,
            false => 0,
        };
        let tokens = (0..self.batch * length).map(token).collect();
        Tensor::index([self.batch, length], tokens)
    }

    /// The classes of the samples, or the token after each token.
    fn labels(&self) -> Vec<u32> {
        let classes = self.network.classes() as u64;
        let count = match self.network.per_token() {
            true => self.batch * self.network.spec.input.sample()[0],
            false => self.batch,
        };
        let label = |i: u64| match self.network.per_token() {
            true => (scattered(i) >> 9) % classes,
            false => i * 3 % classes,
        };
        (0..count as u64).map(|i| label(i) as u32).collect()
    }

    fn variables(&self) -> Vec<(String, Tensor<f32>)> {
        let labels = self.labels();
        let names = self.network.state().map(|part| part.name.clone());
        let mut all: Vec<_> = names.zip(self.network.initial_state(self.seed)).collect();
        let x = match self.network.spec.input.tokens() {
            Some(input) => self.tokens(input),
            None => self.images(),
        };
        all.push(("x".into(), x));
        all.push(("labels".into(), Tensor::index([labels.len()], labels)));
        all
    }

    /// A training step without an optimizer, and the evaluation.
    fn graphs(&self) -> [Graph; 2] {
        let ty = self.network.spec.input.ty(self.batch);
        let builder = Builder::new();
        let x = builder.variable("x", ty.clone()).unwrap();
        let count = self.labels().len();
        let labels = builder
            .variable("labels", TensorType::u32([count]))
            .unwrap();
        let valid = builder.input("valid", TensorType::u32([]));
        let training = Training {
            step: builder.input("step", TensorType::u32([])),
            valid,
            inverse_valid: builder.input("inverse_valid", TensorType::f32([])),
            seed: self.seed,
        };
        let mut cx = Forward::training(&builder, training);
        let logits = self.network.forward_one(&mut cx, x).unwrap();
        cx.finish().unwrap();
        let rows = logits.reshape([count, self.network.classes()]).unwrap();
        let losses = rows.softmax_cross_entropy(labels, valid, 0.0).unwrap();
        let loss = losses.mean(&[0]).unwrap();
        builder.output("loss", loss);
        builder.output("logits", logits);
        let weights = self.network.parameters().iter();
        let weights: Vec<_> = weights
            .map(|p| builder.variable(&p.name, p.ty.clone()).unwrap())
            .collect();
        let grads = gradients(loss, &weights).unwrap();
        for (parameter, grad) in self.network.parameters().iter().zip(grads) {
            builder.output(&parameter.name, grad);
        }
        let evaluation = Builder::new();
        let x = evaluation.variable("x", ty).unwrap();
        let mut cx = Forward::evaluation(&evaluation);
        let logits = self.network.forward_one(&mut cx, x).unwrap();
        evaluation.output("evaluated", logits);
        [builder.finish().unwrap(), evaluation.finish().unwrap()]
    }

    fn scalar(&self, name: &str) -> Scalar {
        match name {
            "valid" => Scalar::from(self.labels().len()),
            "inverse_valid" => Scalar::F32(1.0 / self.batch as f32),
            _ => Scalar::U32(0),
        }
    }

    /// Compares `values`, by the names of outputs and buffers, with the record.
    fn hold(&self, values: &HashMap<String, Tensor<f32>>, on: &str, allowed: f64, gradients: f64) {
        let loss = f64::from(values["loss"].reals()[0]);
        let want = self.value["loss"].as_f64().unwrap();
        let mut worst = ((loss - want).abs() / want, "loss".to_string());
        let mut failures = Vec::new();
        let mut check = |name: &str, recorded: &Value, values: &[f32], allowed: f64| {
            let difference = Fingerprint::recorded(recorded).difference(values);
            if difference > allowed {
                failures.push(format!("{name} is off by {difference:.1e}"));
            }
            if difference > worst.0 {
                worst = (difference, name.to_string());
            }
        };
        check(
            "logits",
            &self.value["logits"],
            values["logits"].reals(),
            allowed,
        );
        for parameter in self.network.parameters() {
            let recorded = &self.value["gradients"][&parameter.name];
            let grad = parameter.to_file(&values[&parameter.name]);
            check(&parameter.name, recorded, &grad, gradients);
        }
        for buffer in self.network.buffers().iter().filter(|b| b.in_files()) {
            let recorded = &self.value["buffers"][&buffer.name];
            check(
                &buffer.name,
                recorded,
                values[&buffer.name].reals(),
                allowed,
            );
        }
        let evaluated = values["evaluated"].reals();
        check("evaluated", &self.value["evaluated"], evaluated, allowed);
        println!("{on}: worst {:.1e} ({})", worst.0, worst.1);
        assert!(
            worst.0.is_finite() && failures.is_empty(),
            "{on}:\n{}",
            failures.join("\n")
        );
    }

    /// The values in double precision, rounded at the end.
    fn on_cpu(&self) -> HashMap<String, Tensor<f32>> {
        let variables = self.variables().into_iter();
        let variables = variables.map(|(name, value)| (name, Arc::new(value.to_f64())));
        let mut variables: Variables<f64> = variables.collect();
        let index = |value: u32| Arc::new(Tensor::index([], vec![value]));
        let share = Tensor::real([], vec![1.0 / self.batch as f64]);
        let inputs = HashMap::from([
            ("valid".to_string(), index(self.labels().len() as u32)),
            ("step".to_string(), index(0)),
            ("inverse_valid".to_string(), Arc::new(share)),
        ]);
        let single = |value: &Tensor<f64>| {
            let reals = value.reals().iter().map(|&x| x as f32).collect();
            Tensor::real(value.shape.clone(), reals)
        };
        let mut values = HashMap::new();
        for graph in self.graphs() {
            let outputs = interpret(&graph, &mut variables, &inputs).unwrap();
            let names = graph.outputs.iter().map(|output| output.name.clone());
            values.extend(names.zip(outputs.iter().map(|value| single(value))));
        }
        for buffer in self.network.buffers() {
            values.insert(buffer.name.clone(), single(&variables[&buffer.name]));
        }
        values
    }

    /// The values with the kernels of `variant` where operations have it, and whether Winograd filtering was among them.
    fn on_gpu(&self, gpu: &Gpu, variant: Option<&str>) -> (HashMap<String, Tensor<f32>>, bool) {
        let mut store = Store::new();
        for (name, value) in self.variables() {
            store.set(gpu, &name, &value).unwrap();
        }
        let (mut values, mut filtered) = (HashMap::new(), false);
        for graph in self.graphs() {
            let plan = Plan::with_variant(&graph, &gpu.target, variant).unwrap();
            filtered |= plan
                .launches()
                .any(|launch| launch.shader.name.starts_with("conv2d/winograd"));
            let mut program = Program::new(gpu, &plan, &store).unwrap();
            program.poison(gpu).unwrap();
            let row: Vec<Scalar> = program
                .scalar_names()
                .iter()
                .map(|n| self.scalar(n))
                .collect();
            program.run(gpu, 1, &row).unwrap();
            for output in &graph.outputs {
                values.insert(
                    output.name.clone(),
                    program.read(gpu, &output.name).unwrap(),
                );
            }
        }
        for buffer in self.network.buffers() {
            values.insert(buffer.name.clone(), store.read(gpu, &buffer.name).unwrap());
        }
        (values, filtered)
    }
}

fn on_the_reference(name: &str) {
    let record = Record::of(name);
    let on = format!("{name} in the reference");
    record.hold(&record.on_cpu(), &on, CPU_ALLOWED, CPU_ALLOWED);
}

fn on_the_adapter(name: &str) {
    let Some(gpu) = support::gpu() else { return };
    let record = Record::of(name);
    let largest = record.network.state().map(|part| part.ty.bytes()).max();
    let largest = largest.unwrap_or(0) as u64;
    if largest > gpu.target.max_binding_bytes {
        eprintln!("skipped: {name} has a weight of {largest} bytes, more than the adapter binds");
        return;
    }
    let on = format!("{name} on {}", gpu.info.name);
    // In a deep network, single rounding errors change the state of a ReLU, in PyTorch's single precision too.
    let own = record.value["float32"].as_f64().expect("a number");
    let gradients = record.gpu_allowed.max(3.0 * own);
    let (values, filtered) = record.on_gpu(gpu, None);
    if !filtered {
        return record.hold(&values, &on, record.gpu_allowed, gradients);
    }
    record.hold(
        &values,
        &on,
        FILTERED_ALLOWED,
        gradients.max(FILTERED_GRADIENTS),
    );
    let plain = match gpu.target.subgroups_are(8) {
        true => "broadcast8 16x64",
        false => "tiled 64x64",
    };
    let (values, filtered) = record.on_gpu(gpu, Some(plain));
    assert!(!filtered, "{plain} is plain");
    record.hold(
        &values,
        &format!("{on}, {plain}"),
        record.gpu_allowed,
        gradients,
    );
}

macro_rules! models {
    ($($module:ident: $name:literal,)*) => {
        $(mod $module {
            #[test]
            fn agrees_with_pytorch_in_the_reference() {
                super::on_the_reference($name);
            }

            #[test]
            fn agrees_with_pytorch_on_the_adapter() {
                super::on_the_adapter($name);
            }
        })*
    };
}

models! {
    resnet20: "resnet20",
    resnet18_cifar: "resnet18-cifar",
    alexnet32: "alexnet32",
    lstm_rows: "lstm-rows",
    lstm_char: "lstm-char",
    gpt_nano: "gpt-nano",
    text_encoder: "text-encoder",
    bidirectional_lstm_over_padded_texts: "bilstm",
    gru_over_padded_texts: "gru",
    rotary_attention_over_padded_texts: "rotary",
    resnet18: "resnet18",
    resnet50: "resnet50",
    efficientnet_lite0: "efficientnet-lite0",
    alexnet: "alexnet",
    alexnet_2012: "alexnet-2012",
}
