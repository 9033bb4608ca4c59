//! Layers against PyTorch's outputs and gradients with the same weights: see tests/fixtures/README.md.

use crate::support;
use safetensors::SafeTensors;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use wgrad::autodiff::gradients;
use wgrad::check::worst_error;
use wgrad::cpu::{Tensor, interpret};
use wgrad::gpu::{Gpu, Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::nn::{Forward, Model, ModelSpec, Network};
use wgrad::plan::Plan;

/// The record was computed in double precision and rounded once.
const CPU_ALLOWED: f64 = 1e-6;
const GPU_ALLOWED: f64 = 2e-5;

struct Case {
    name: String,
    network: Network,
    /// By name: x, upstream and the weights.
    inputs: Vec<(String, Tensor<f32>)>,
    /// The result, the gradient of x, and the gradients of the weights in their order.
    recorded: Vec<Tensor<f32>>,
}

impl Case {
    fn all() -> Vec<Case> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layers");
        let bytes = std::fs::read(path.with_extension("safetensors")).expect("the record is there");
        let tensors = SafeTensors::deserialize(&bytes).expect("the record is whole");
        let text = std::fs::read_to_string(path.with_extension("json")).expect("the list is there");
        let list: Value = serde_json::from_str(&text).expect("the list is JSON");
        let cases = list["cases"].as_array().expect("the list has cases");
        cases.iter().map(|case| Case::new(case, &tensors)).collect()
    }

    fn new(case: &Value, tensors: &SafeTensors<'_>) -> Case {
        let name = case["name"].as_str().expect("a name").to_string();
        let load = |part: &str| {
            let view = tensors.tensor(&format!("{name}.{part}"));
            let view = view.expect("the record has the tensor");
            let words = view.data().as_chunks::<4>().0;
            let values = words.iter().map(|w| f32::from_le_bytes(*w)).collect();
            Tensor::real(view.shape(), values)
        };
        let spec: ModelSpec =
            wgrad::toml_text::parse(case["model"].as_str().expect("a model"), &name).unwrap();
        let network = Network::new(spec).unwrap();
        let names: Vec<&str> = network.parameters().iter().map(|p| &*p.name).collect();
        assert_eq!(case["weights"], serde_json::json!(names), "{name}");
        let mut inputs = vec![
            ("x".to_string(), load("x")),
            ("upstream".to_string(), load("upstream")),
        ];
        let mut recorded = vec![load("y"), load("grad_x")];
        for parameter in network.parameters() {
            let inside = |part: &str| {
                let value = load(&format!("{part}.{}", parameter.name));
                assert_eq!(value.shape, parameter.file_shape(), "{}", parameter.name);
                parameter.from_file(value.reals())
            };
            inputs.push((parameter.name.clone(), inside("weight")));
            recorded.push(inside("gradient"));
        }
        Case {
            name,
            network,
            inputs,
            recorded,
        }
    }

    fn graph(&self) -> Graph {
        let builder = Builder::new();
        let variables = self.inputs.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| builder.variable(name, value.ty()).unwrap())
            .collect();
        let mut cx = Forward::evaluation(&builder);
        let y = self.network.forward_one(&mut cx, variables[0]).unwrap();
        builder.output("y", y);
        let loss = y.mul(variables[1]).unwrap().sum_all().unwrap();
        let wrt = [&variables[..1], &variables[2..]].concat();
        for (i, gradient) in gradients(loss, &wrt).unwrap().into_iter().enumerate() {
            builder.output(&format!("gradient {i}"), gradient);
        }
        builder.finish().unwrap()
    }

    fn on_cpu(&self) -> Vec<Tensor<f32>> {
        let variables = self.inputs.iter();
        let mut variables = variables
            .map(|(name, value)| (name.clone(), Arc::new(value.to_f64())))
            .collect();
        let outputs = interpret(&self.graph(), &mut variables, &HashMap::new()).unwrap();
        let single = |value: &Arc<Tensor<f64>>| {
            let values = value.reals().iter().map(|&x| x as f32).collect();
            Tensor::real(value.shape.clone(), values)
        };
        outputs.iter().map(single).collect()
    }

    fn on_gpu(&self, gpu: &Gpu) -> Vec<Tensor<f32>> {
        let mut store = Store::new();
        for (name, value) in &self.inputs {
            store.set(gpu, name, value).unwrap();
        }
        let graph = self.graph();
        let plan = Plan::new(&graph, &gpu.target).unwrap();
        let mut program = Program::new(gpu, &plan, &store).unwrap();
        program.poison(gpu).unwrap();
        program.run(gpu, 1, &[]).unwrap();
        let outputs = graph.outputs.iter();
        outputs
            .map(|output| program.read(gpu, &output.name).unwrap())
            .collect()
    }
}

fn hold(allowed: f64, run: impl Fn(&Case) -> Vec<Tensor<f32>>) {
    let mut failures = Vec::new();
    for case in Case::all() {
        let outputs = run(&case);
        assert_eq!(outputs.len(), case.recorded.len());
        for (i, (got, want)) in outputs.iter().zip(&case.recorded).enumerate() {
            assert_eq!(got.shape, want.shape, "{}", case.name);
            let error = worst_error(got, &want.to_f64());
            if error.is_nan() || error > allowed {
                failures.push(format!("{}, output {i}: {error:.2e}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_reference_agrees_with_pytorch() {
    hold(CPU_ALLOWED, Case::on_cpu);
}

#[test]
fn the_device_agrees_with_pytorch() {
    let Some(gpu) = support::gpu() else { return };
    hold(GPU_ALLOWED, |case| case.on_gpu(gpu));
}
