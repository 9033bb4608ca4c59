//! Networks that PyTorch exported, recorded by `tests/fixtures/make_onnx_models.py`: their outputs, and all weights and statistics
//! after one step of SGD, are PyTorch's.

use crate::{record, support};
use std::fs;
use tempfile::TempDir;
use wgrad::autodiff::gradients;
use wgrad::cpu::Tensor;
use wgrad::data::NpyArray;
use wgrad::device::{Device, Engine, set_all};
use wgrad::graph::Builder;
use wgrad::nn::{Forward, Model, Network, Training};
use wgrad::onnx::OnnxNetwork;
use wgrad::plan::Scalar;
use wgrad::tensor::{DType, TensorType};

/// Allowed difference of outputs, and of weights after the step.
const OUTPUTS: f64 = 1e-5;
const WEIGHTS: f64 = 1e-6;
/// The rate of the recorded step.
const RATE: f64 = 0.1;

/// An array of the record; images with the channels last, as in the engine.
fn tensor(array: &NpyArray) -> Tensor<f32> {
    if !array.has_floats {
        let tokens = array.numbers.iter().map(|&x| x as u32).collect();
        return Tensor::index(array.shape.clone(), tokens);
    }
    let values: Vec<f32> = array.numbers.iter().map(|&x| x as f32).collect();
    let &[n, c, h, w] = &array.shape[..] else {
        return Tensor::real(array.shape.clone(), values);
    };
    let at = |i: usize| {
        let (channel, rest) = (i % c, i / c);
        let (x, rest) = (rest % w, rest / w);
        ((rest / h * c + channel) * h + rest % h) * w + x
    };
    Tensor::real(
        [n, h, w, c],
        (0..values.len()).map(|i| values[at(i)]).collect(),
    )
}

/// The largest difference between `have` and a recorded array.
fn difference(have: &[f32], want: &NpyArray) -> f64 {
    assert_eq!(have.len(), want.numbers.len());
    let pairs = have.iter().zip(&want.numbers);
    let differences = pairs.map(|(&a, b)| (f64::from(a) - b).abs());
    differences.fold(0.0, |worst, d| {
        if d.is_nan() {
            f64::INFINITY
        } else {
            worst.max(d)
        }
    })
}

/// One output of a graph on `device`, in which `x` and `target` are fed.
fn run(
    device: &mut dyn Device,
    builder: Builder,
    x: &Tensor<f32>,
    target: Option<&Tensor<f32>>,
) -> Tensor<f32> {
    let planned = device.plan(builder.finish().unwrap()).unwrap();
    let program = device.prepare(planned).unwrap();
    device.feed(program, "x", x).unwrap();
    if let Some(target) = target {
        device.feed(program, "target", target).unwrap();
    }
    let samples = x.shape.dims()[0];
    let scalar = |name: &String| match name.as_str() {
        "valid" => Scalar::U32(samples as u32),
        "inverse_valid" => Scalar::F32(1.0 / samples as f32),
        _ => Scalar::U32(0),
    };
    let scalars: Vec<Scalar> = device.scalar_names(program).iter().map(scalar).collect();
    device.run(program, 1, &scalars).unwrap();
    device.output(program, "y").unwrap()
}

fn agrees(engine: &Engine) {
    let files = record("onnx_models.zip");
    let folder = TempDir::new().unwrap();
    let array = |name: &str| NpyArray::parse(&files[name]).unwrap();
    for file in files.keys().filter(|name| name.ends_with(".onnx")) {
        let name = file.strip_suffix(".onnx").unwrap();
        let path = folder.path().join(file);
        fs::write(&path, &files[file]).unwrap();
        let spec = OnnxNetwork::read(&path).unwrap().spec().unwrap();
        let network = Network::new(spec).unwrap();
        let mut device = engine.device();
        let names = network.state().map(|part| part.name.as_str());
        set_all(&mut *device, names, &network.initial_state(1)).unwrap();
        let (x, target) = (
            array(&format!("{name}.x.npy")),
            array(&format!("{name}.target.npy")),
        );
        let (x, target) = (tensor(&x), tensor(&target));
        let input = match x.dtype() {
            DType::F32 => TensorType::f32(x.shape.clone()),
            DType::U32 => TensorType::u32(x.shape.clone()),
        };

        let builder = Builder::new();
        let mut cx = Forward::evaluation(&builder);
        let y = network
            .forward_one(&mut cx, builder.input("x", input.clone()))
            .unwrap();
        builder.output("y", y);
        let y = run(&mut *device, builder, &x, None);
        let off = difference(y.reals(), &array(&format!("{name}.eval.npy")));
        assert!(off <= OUTPUTS, "{name}: the output is off by {off:.1e}");

        let builder = Builder::new();
        let training = Training {
            step: builder.input("step", TensorType::u32([])),
            valid: builder.input("valid", TensorType::u32([])),
            inverse_valid: builder.input("inverse_valid", TensorType::f32([])),
            seed: 1,
        };
        let mut cx = Forward::training(&builder, training);
        let y = network
            .forward_one(&mut cx, builder.input("x", input))
            .unwrap();
        cx.finish().unwrap();
        builder.output("y", y);
        let to = builder.input("target", TensorType::f32(y.shape().dims()));
        let axes: Vec<usize> = (0..y.shape().rank()).collect();
        let loss = y.mul(to).unwrap().mean(&axes).unwrap();
        let parameters = network.parameters().iter();
        let weights: Vec<_> = parameters
            .map(|p| builder.variable(&p.name, p.ty.clone()).unwrap())
            .collect();
        for (&weight, grad) in weights.iter().zip(gradients(loss, &weights).unwrap()) {
            let next = weight.sub(grad.scale(RATE).unwrap()).unwrap();
            builder.update(weight, next).unwrap();
        }
        let y = run(&mut *device, builder, &x, Some(&target));
        let off = difference(y.reals(), &array(&format!("{name}.y.npy")));
        assert!(
            off <= OUTPUTS,
            "{name}: the output in training is off by {off:.1e}"
        );

        let prefix = format!("{name}.after/");
        let mut worst = 0.0_f64;
        for (part, bytes) in files.range(prefix.clone()..) {
            let Some(part) = part.strip_prefix(&prefix) else {
                break;
            };
            let part = part.strip_suffix(".npy").unwrap();
            let parameter = network.state().find(|p| p.name == part);
            let parameter = parameter.unwrap_or_else(|| panic!("{name} has no weight {part}"));
            let value = parameter.to_file(&device.get(part).unwrap());
            let off = difference(&value, &NpyArray::parse(bytes).unwrap());
            assert!(
                off <= WEIGHTS,
                "{name}: {part} is off by {off:.1e} after a step"
            );
            worst = worst.max(off);
        }
        println!("{name}: {worst:.1e}");
    }
}

#[test]
fn exported_networks_train_as_in_pytorch_on_the_reference() {
    agrees(&Engine::Cpu);
}

#[test]
fn exported_networks_train_as_in_pytorch_on_an_adapter() {
    if let Some(engine) = support::engine() {
        agrees(engine);
    }
}
