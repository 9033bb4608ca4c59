//! Built-in models as ONNX files: what is written is read again and gives the same results.

use std::collections::BTreeMap;
use std::path::Path;
use wgrad::cpu::Tensor;
use wgrad::data::NpyArray;
use wgrad::device::Engine;
use wgrad::nn::{DataSizes, Init, InputSpec, Model, ModelSpec, Network, PRESETS, TokenInput};
use wgrad::onnx::{self, ExportOptions, OnnxFile, WRITTEN_OPSETS, WeightStorage, export};
use wgrad::tensor::DType;
use wgrad::train::Predictor;

/// Allowed difference, relative to the largest result, for weights as they are, as 16-bit floats, and as 8-bit integers.
const ALLOWED: f64 = 2e-6;
const ALLOWED_HALF: f64 = 1e-3;
const ALLOWED_INT8: f64 = 4e-2;
/// Networks of more weights would only take longer.
const MOST_WEIGHTS: usize = 12_000_000;

/// The built-in model `name` for data of some size.
fn network(name: &str) -> Network {
    let mut spec = ModelSpec::preset(name).unwrap();
    spec.take_sizes(DataSizes {
        classes: Some(7),
        targets: Some(3),
        columns: Some(4),
        horizon: Some(5),
    });
    if spec.takes_its_input_from_data() && spec.input == InputSpec::Auto {
        spec.input = InputSpec::Shape(match name {
            "tabular" => vec![9],
            "mlp" => vec![28, 28, 1],
            _ => vec![12, 4],
        });
    }
    Network::new(spec).unwrap()
}

/// Initial values, where statistics and biases are not 0 and 1.
fn values(network: &Network) -> Vec<Tensor<f32>> {
    let mut values = network.initial_state(1);
    for (part, value) in network.state().zip(&mut values) {
        if matches!(part.init, Init::Constant(_)) {
            for (i, x) in value.reals_mut().iter_mut().enumerate() {
                *x += 0.1 + 0.05 * (i % 5) as f32;
            }
        }
    }
    values
}

/// Numbers from -1 to 1.
fn noise(i: usize) -> f32 {
    (i as u64 * 2_654_435_761 % 1000) as f32 / 500.0 - 1.0
}

/// Tokens; padded samples end early.
fn tokens(input: TokenInput, samples: usize) -> Vec<u32> {
    let token = |i: usize| match (i / input.tokens, i % input.tokens) {
        (sample, at) if input.padded && at >= input.tokens / (sample + 1) => 0,
        _ => 1 + (i * 7919 % (input.vocabulary - 1)) as u32,
    };
    (0..samples * input.tokens).map(token).collect()
}

/// A tensor of the engine as an array of a file: images have their channels first there.
fn array(tensor: &Tensor<f32>) -> NpyArray {
    let numbers: Vec<f64> = match tensor.dtype() {
        DType::F32 => tensor.reals().iter().map(|&x| f64::from(x)).collect(),
        DType::U32 => tensor.indices().iter().map(|&x| f64::from(x)).collect(),
    };
    let &[n, h, w, c] = tensor.shape.dims() else {
        return NpyArray {
            shape: tensor.shape.dims().to_vec(),
            numbers,
            has_floats: true,
        };
    };
    let at = |i: usize| {
        let (x, rest) = (i % w, i / w);
        let (y, rest) = (rest % h, rest / h);
        ((rest / c * h + y) * w + x) * c + rest % c
    };
    NpyArray {
        shape: vec![n, c, h, w],
        numbers: (0..numbers.len()).map(|i| numbers[at(i)]).collect(),
        has_floats: true,
    }
}

/// Exports the built-in model `name` and compares what the file computes with the model.
fn agrees(name: &str, opset: i64, storage: WeightStorage) -> usize {
    const SAMPLES: usize = 3;
    let network = network(name);
    if network.parameter_count() > MOST_WEIGHTS {
        return 0;
    }
    let values = values(&network);
    let mut predictor = Predictor::new(Engine::Cpu.device(), &network, &values, SAMPLES).unwrap();
    let fed = network.inputs().iter().zip(predictor.inputs());
    let fed: Vec<(String, Tensor<f32>)> = fed
        .map(|(input, (_, ty))| {
            let tensor = match input.spec.tokens() {
                Some(input) => Tensor::index(ty.shape.clone(), tokens(input, SAMPLES)),
                None => Tensor::real(ty.shape.clone(), (0..ty.elements()).map(noise).collect()),
            };
            (input.name.clone(), tensor)
        })
        .collect();
    let given: Vec<(&str, &Tensor<f32>)> = fed.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let wanted = predictor.run(&given).unwrap();

    let options = ExportOptions {
        opset,
        metadata: vec![("wgrad.task".to_string(), "test".to_string())],
        storage,
    };
    let bytes = export(&network, &values, &options).unwrap();
    let file = OnnxFile::parse(&Path::new(name).with_extension("onnx"), &bytes).unwrap();
    assert_eq!(file.metadata, options.metadata);
    assert_eq!(file.opset, opset);
    let inputs: BTreeMap<String, NpyArray> = fed
        .iter()
        .map(|(name, tensor)| (name.clone(), array(tensor)))
        .collect();
    let computed = onnx::run(&file, Engine::Cpu.device(), &inputs).unwrap();
    for ((output, want), have) in wanted.iter().zip(&computed) {
        let want = array(want);
        assert_eq!(
            (&have.name, &have.array.dims),
            (output, &want.shape),
            "{name}"
        );
        let largest = want.numbers.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
        let pairs = want.numbers.iter().zip(have.array.iter());
        let allowed = match storage {
            WeightStorage::Float32 => ALLOWED,
            WeightStorage::Float16 => ALLOWED_HALF,
            WeightStorage::Int8 => ALLOWED_INT8,
        };
        let worst = pairs.fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
        println!("{name}, {storage:?}: {:.1e}", worst / largest);
        assert!(
            worst <= allowed * largest,
            "{name}: off by {worst:.1e} of {largest:.1e}"
        );
    }
    // Weights keep their names, for whoever reads the file.
    let kept = network
        .parameters()
        .iter()
        .filter(|p| file.constants.contains_key(&p.name));
    assert!(2 * kept.count() >= network.parameters().len(), "{name}");
    bytes.len()
}

#[test]
fn built_in_models_are_written_and_read_again() {
    for preset in PRESETS {
        agrees(preset.name, 17, WeightStorage::Float32);
    }
}

#[test]
fn other_versions_are_written() {
    for name in [
        "mnist-cnn",
        "resnet20",
        "gpt-nano",
        "text-encoder",
        "lstm-char",
    ] {
        for opset in [*WRITTEN_OPSETS.start(), 15, 18, *WRITTEN_OPSETS.end()] {
            agrees(name, opset, WeightStorage::Float32);
        }
    }
}

#[test]
fn weights_are_stored_in_fewer_bits() {
    for name in ["mnist-cnn", "resnet20", "gpt-nano", "lstm-char"] {
        let [whole, half, byte] = [
            WeightStorage::Float32,
            WeightStorage::Float16,
            WeightStorage::Int8,
        ]
        .map(|storage| agrees(name, 17, storage) as f64);
        println!(
            "{name}: {:.2} and {:.2} of {whole} bytes",
            half / whole,
            byte / whole
        );
        assert!(half < 0.65 * whole && byte < 0.45 * whole, "{name}");
    }
}

#[test]
fn versions_that_are_not_known_are_refused() {
    let network = network("mlp");
    let options = ExportOptions {
        opset: 12,
        metadata: Vec::new(),
        storage: WeightStorage::default(),
    };
    let refused = export(&network, &values(&network), &options)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("13 to 21") && refused.contains("12"),
        "{refused}"
    );
}
