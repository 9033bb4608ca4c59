//! Built-in models as ONNX files: what is written is read again and gives the same results.

use std::collections::BTreeMap;
use std::path::Path;
use wgrad::cpu::Tensor;
use wgrad::data::NpyArray;
use wgrad::device::Engine;
use wgrad::nn::{DataSizes, Init, InputSpec, Model, ModelSpec, Network, PRESETS, TokenInput};
use wgrad::onnx::{
    self, ExportOptions, OnnxFile, WRITTEN_OPSETS, WeightStorage, export, export_keras,
};
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

/// A built-in model with inputs and what it makes of them.
struct Computed {
    network: Network,
    values: Vec<Tensor<f32>>,
    fed: Vec<(String, Tensor<f32>)>,
    wanted: Vec<(String, Tensor<f32>)>,
}

/// The built-in model `name`, if it is not too large.
fn computed(name: &str) -> Option<Computed> {
    const SAMPLES: usize = 3;
    let network = network(name);
    if network.parameter_count() > MOST_WEIGHTS {
        return None;
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
    for (output, want) in &wanted {
        let largest = want.reals().iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        let is_telling = largest > 1e-3 && want.reals().iter().all(|x| x.is_finite());
        assert!(is_telling, "{name}: {output} is up to {largest}");
    }
    Some(Computed {
        network,
        values,
        fed,
        wanted,
    })
}

/// The largest difference, relative to the largest result.
fn difference(want: &NpyArray, have: &onnx::Array) -> f64 {
    let largest = want.numbers.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
    let pairs = want.numbers.iter().zip(have.iter());
    pairs.fold(0.0_f64, |m, (a, b)| m.max((a - b).abs())) / largest
}

/// Exports the built-in model `name` and compares what the file computes with the model.
fn agrees(name: &str, opset: i64, storage: WeightStorage) -> usize {
    let Some(Computed {
        network,
        values,
        fed,
        wanted,
    }) = computed(name)
    else {
        return 0;
    };
    let options = ExportOptions {
        opset,
        metadata: vec![("wgrad.task".to_string(), "test".to_string())],
        storage,
        pixels: None,
        temperature: None,
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
        let allowed = match storage {
            WeightStorage::Float32 => ALLOWED,
            WeightStorage::Float16 => ALLOWED_HALF,
            WeightStorage::Int8 => ALLOWED_INT8,
        };
        let worst = difference(&want, &have.array);
        println!("{name}, {storage:?}: {worst:.1e}");
        assert!(worst <= allowed, "{name}: off by {worst:.1e}");
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

/// Built-in models that are not written for Keras, and a part of the reason.
const NOT_FOR_KERAS: [(&str, &str); 4] = [
    // Upsampling by repetition.
    ("fcos", "(Expand) has no form in Keras"),
    ("bilstm-tagger", "has another direction, lengths or states"),
    ("story-reader", "joins constants alone"),
    // Group normalisation has no form in files of Keras.
    ("diffusion-unet", "no form in Keras"),
];

#[test]
fn built_in_models_are_written_for_keras_and_read_again() {
    for preset in PRESETS {
        let name = preset.name;
        let Some(model) = computed(name) else {
            continue;
        };
        let written = export_keras(&model.network, &model.values);
        if let Some((_, why)) = NOT_FOR_KERAS.iter().find(|(other, _)| *other == name) {
            let message = written.unwrap_err().to_string();
            assert!(message.contains(why), "{name}: {message}");
            continue;
        }
        let bytes = written.unwrap();
        let file = OnnxFile::parse(Path::new("model.keras"), &bytes).unwrap();
        // Names have no dots there, and images their channels last.
        let inputs = file
            .inputs
            .iter()
            .zip(&model.fed)
            .map(|(input, (_, tensor))| {
                let numbers = match tensor.dtype() {
                    DType::F32 => tensor.reals().iter().map(|&x| f64::from(x)).collect(),
                    DType::U32 => tensor.indices().iter().map(|&x| f64::from(x)).collect(),
                };
                let array = NpyArray {
                    shape: tensor.shape.dims().to_vec(),
                    numbers,
                    has_floats: true,
                };
                (input.name.clone(), array)
            });
        let computed = onnx::run(&file, Engine::Cpu.device(), &inputs.collect()).unwrap();
        for ((_, want), have) in model.wanted.iter().zip(&computed) {
            let want = NpyArray {
                shape: want.shape.dims().to_vec(),
                numbers: want.reals().iter().map(|&x| f64::from(x)).collect(),
                has_floats: true,
            };
            assert_eq!(have.array.dims, want.shape, "{name}");
            let worst = difference(&want, &have.array);
            println!("{name}: {worst:.1e}");
            assert!(worst <= ALLOWED, "{name}: off by {worst:.1e}");
        }
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
        pixels: None,
        temperature: None,
    };
    let refused = export(&network, &values(&network), &options)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("13 to 21") && refused.contains("12"),
        "{refused}"
    );
}

#[test]
fn pixels_are_normalised_by_the_network_on_request() {
    let network = network("resnet20");
    let values = values(&network);
    let (mean, std) = (vec![0.5_f32, 0.4, 0.3], vec![0.2_f32, 0.25, 0.3]);
    let mut options = ExportOptions {
        opset: 17,
        metadata: Vec::new(),
        storage: WeightStorage::default(),
        pixels: None,
        temperature: None,
    };
    let computed = |options: &ExportOptions, image: NpyArray| {
        let bytes = export(&network, &values, options).unwrap();
        let file = OnnxFile::parse(Path::new("resnet20.onnx"), &bytes).unwrap();
        let inputs = BTreeMap::from([("input".to_string(), image)]);
        onnx::run(&file, Engine::Cpu.device(), &inputs)
            .unwrap()
            .remove(0)
            .array
    };
    let image = |number: &dyn Fn(usize, f64) -> f64| NpyArray {
        shape: vec![1, 3, 32, 32],
        numbers: (0..3 * 32 * 32)
            .map(|at| number(at / 1024, (at * 37 % 256) as f64))
            .collect(),
        has_floats: true,
    };
    let normalised = image(&|channel, pixel| {
        (pixel / 255.0 - f64::from(mean[channel])) / f64::from(std[channel])
    });
    let want = computed(&options, normalised);
    options.pixels = Some([mean.clone(), std.clone()]);
    let have = computed(&options, image(&|_, pixel| pixel));
    let largest = want.iter().fold(1.0_f64, |most, x| most.max(x.abs()));
    for (want, have) in want.iter().zip(have.iter()) {
        assert!((want - have).abs() < 1e-6 * largest, "{want} {have}");
    }
    options.pixels = Some([vec![0.5], vec![0.5]]);
    let refused = export(&network, &values, &options).unwrap_err().to_string();
    assert!(
        refused.contains("1 channels") && refused.contains("--pixels"),
        "{refused}"
    );
}
