use super::*;
use crate::nn::layers::{Conv2d, Dense, Flatten};
use crate::nn::{Layer, ModelSpec};
use safetensors::serialize;
use std::path::PathBuf;
use tempfile::TempDir;

/// A tensor to write: name, type, shape and bytes.
type Raw = (&'static str, Dtype, Vec<usize>, Vec<u8>);

struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn weights(&self, tensors: &[Raw]) -> PathBuf {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
            (*name, view)
        });
        self.write("w.safetensors", &serialize(views, None).unwrap())
    }
}

/// F32 numbers 1, 2, ... under a name.
fn counting(name: &'static str, shape: &[usize]) -> Raw {
    let n = shape.iter().product::<usize>();
    let values = (1..=n).flat_map(|i| (i as f32).to_le_bytes());
    (name, Dtype::F32, shape.to_vec(), values.collect())
}

fn of_type(raw: Raw, dtype: Dtype, bytes: impl IntoIterator<Item = u8>) -> Raw {
    (raw.0, dtype, raw.2, bytes.into_iter().collect())
}

/// Two inputs, two hidden units, one output.
fn network() -> Network {
    let layers = ModelSpec::new("m", [2])
        .layer(Layer::new(Dense::new(2)).named("hidden"))
        .layer(Layer::new(Dense::new(1)).named("output"));
    Network::new(layers).unwrap()
}

fn fitting() -> Vec<Raw> {
    vec![
        counting("hidden.weight", &[2, 2]),
        counting("hidden.bias", &[2]),
        counting("output.weight", &[1, 2]),
        counting("output.bias", &[1]),
    ]
}

/// An embedding whose weight is tied to the output layer.
fn tied() -> Network {
    let text = "name = \"m\"\ninput = { tokens = 2, vocabulary = 3 }\n[[layer]]\nname = \"in\"\ntype = \"embedding\"\nwidth = 2\n\
                [[layer]]\nname = \"out\"\ntype = \"dense\"\nunits = 3\ntied = \"in\"\nbias = false\n";
    Network::new(crate::toml_text::parse(text, "m.toml").unwrap()).unwrap()
}

#[track_caller]
fn refuses<T>(result: Result<T>, parts: &[&str]) {
    let Err(error) = result else {
        panic!("it is taken")
    };
    let error = error.to_string();
    for part in parts {
        assert!(error.contains(part), "{part}: {error}");
    }
}

fn names(left_out: &[LeftOut]) -> Vec<&str> {
    left_out.iter().map(|one| one.name.as_str()).collect()
}

#[test]
fn what_is_saved_is_loaded() {
    let (folder, network) = (Folder::new(), network());
    let path = folder.0.path().join("w.safetensors");
    let values = network.initial_state(3);
    save(&path, &network, &values, 5).unwrap();
    assert_eq!(load(&path, &network).unwrap(), values);
    assert_eq!(
        init(&path, &network, true).unwrap().matched,
        [
            "hidden.weight",
            "hidden.bias",
            "output.weight",
            "output.bias"
        ]
    );
}

#[test]
fn halves_and_doubles_are_read_as_singles() {
    let (folder, network) = (Folder::new(), network());
    let numbers = [1.5, -2.0, 65504.0, 2.0_f64.powi(-24)];
    let half = numbers.map(|x| half::f16::from_f64(x).to_le_bytes());
    // 2^-24 is subnormal in F16, and is represented exactly.
    let brain = [1.5_f32, -2.0, 3e38, 1e-38].map(|x| half::bf16::from_f32(x).to_le_bytes());
    let double = [0.1_f64, -2.0].map(f64::to_le_bytes);
    let mut file = fitting();
    file[0] = of_type(file[0].clone(), Dtype::F16, half.into_iter().flatten());
    file[2] = of_type(file[2].clone(), Dtype::F64, double.into_iter().flatten());
    let values = load(&folder.weights(&file), &network).unwrap();
    assert_eq!(values[0].reals(), numbers.map(|x| x as f32));
    assert_eq!(values[2].reals(), [0.1, -2.0]);

    file[0] = of_type(
        file[0].clone(),
        Dtype::BF16,
        brain.iter().flatten().copied(),
    );
    let values = load(&folder.weights(&file), &network).unwrap();
    let expected = brain.map(|b| half::bf16::from_le_bytes(b).to_f32());
    assert_eq!(values[0].reals(), expected);
    assert!((expected[2] - 3e38).abs() < 2e36 && expected[3] > 0.0);
}

#[test]
fn numbers_that_are_too_large_or_none_are_refused() {
    let (folder, network) = (Folder::new(), network());
    let with = |dtype, bytes: &[u8]| {
        let mut file = fitting();
        file[3] = of_type(file[3].clone(), dtype, bytes.iter().copied());
        folder.weights(&file)
    };
    let large = with(Dtype::F64, &1e39_f64.to_le_bytes());
    refuses(load(&large, &network), &["output.bias holds 1e39"]);
    refuses(init(&large, &network, false), &["output.bias holds 1e39"]);
    for dtype in [Dtype::F64, Dtype::F32, Dtype::F16] {
        let nan = match dtype {
            Dtype::F64 => f64::NAN.to_le_bytes().to_vec(),
            Dtype::F32 => f32::NAN.to_le_bytes().to_vec(),
            _ => half::f16::NAN.to_le_bytes().to_vec(),
        };
        let path = with(dtype, &nan);
        refuses(load(&path, &network), &["output.bias holds NaN"]);
        refuses(init(&path, &network, false), &["output.bias holds NaN"]);
    }
    let whole = with(Dtype::I32, &7_i32.to_le_bytes());
    refuses(load(&whole, &network), &["output.bias", "type I32"]);
    let taken = init(&whole, &network, false).unwrap();
    assert_eq!(taken.missing[0].reason, Reason::Type("I32".to_string()));
}

#[test]
fn what_fits_is_taken_and_what_does_not_is_listed_with_its_reason() {
    let (folder, network) = (Folder::new(), network());
    let path = folder.weights(&[
        counting("hidden.weight", &[2, 2]),
        counting("output.weight", &[3, 2]),
        counting("output.bias", &[1]),
        counting("other.weight", &[4]),
    ]);
    let taken = init(&path, &network, false).unwrap();
    assert_eq!(taken.matched, ["hidden.weight", "output.bias"]);
    let values: Vec<_> = taken.values.iter().map(Option::is_some).collect();
    assert_eq!(values, [true, false, false, true]);
    assert_eq!(
        taken.values[0].as_ref().unwrap().reals(),
        [1.0, 2.0, 3.0, 4.0]
    );
    assert_eq!(names(&taken.missing), ["hidden.bias", "output.weight"]);
    assert_eq!(taken.missing[0].reason, Reason::Absent);
    let other = Reason::Shape {
        file: vec![3, 2],
        model: vec![1, 2],
    };
    assert_eq!(taken.missing[1].reason, other);
    assert_eq!(names(&taken.unused), ["other.weight"]);
    assert_eq!(taken.unused[0].reason, Reason::NotInModel);
    let said = taken.remarks().join("\n");
    assert!(
        said.contains("output.weight (it is [3, 2] in the file but [1, 2] in the model)"),
        "{said}"
    );
    refuses(
        init(&path, &network, true),
        &["hidden.bias", "output.weight", "other.weight"],
    );
    refuses(load(&path, &network), &["no tensor hidden.bias"]);
}

#[test]
fn strict_also_refuses_what_no_parameter_takes() {
    let (folder, network) = (Folder::new(), network());
    let mut file = fitting();
    let exact = folder.weights(&file);
    let taken = init(&exact, &network, true).unwrap();
    assert!(taken.missing.is_empty() && taken.unused.is_empty() && taken.remarks().is_empty());
    file.push(counting("head.weight", &[1]));
    refuses(
        init(&folder.weights(&file), &network, true),
        &["head.weight"],
    );
}

#[test]
fn a_file_of_which_nothing_fits_is_refused() {
    let (folder, network) = (Folder::new(), network());
    let path = folder.weights(&[
        counting("hidden.weight", &[9, 2]),
        counting("fc.weight", &[1, 2]),
    ]);
    refuses(
        init(&path, &network, false),
        &["no tensor that fits", "hidden.weight", "[9, 2]"],
    );
    let path = folder.weights(&[counting("fc.weight", &[1, 2])]);
    refuses(
        init(&path, &network, false),
        &["the model has hidden.weight, ", "the file fc.weight"],
    );
}

#[test]
fn names_under_a_common_prefix_are_taken_without_it_and_that_is_noted() {
    let (folder, network) = (Folder::new(), network());
    let path = folder.weights(&[
        counting("module.hidden.weight", &[2, 2]),
        counting("module.hidden.bias", &[2]),
        counting("module.output.weight", &[1, 2]),
        counting("loss.weight", &[1]),
    ]);
    let taken = init(&path, &network, false).unwrap();
    assert_eq!(taken.prefix, Some("module."));
    assert_eq!(
        taken.matched,
        ["hidden.weight", "hidden.bias", "output.weight"]
    );
    assert_eq!(names(&taken.missing), ["output.bias"]);
    assert_eq!(names(&taken.unused), ["loss.weight"]);
    assert!(taken.remarks()[0].contains("\"module.\""));
}

#[test]
fn a_prefix_is_not_looked_for_where_names_fit_as_they_stand() {
    let (folder, network) = (Folder::new(), network());
    let path = folder.weights(&[
        counting("hidden.bias", &[2]),
        counting("model.output.bias", &[1]),
    ]);
    let taken = init(&path, &network, false).unwrap();
    assert_eq!(taken.prefix, None);
    assert_eq!(names(&taken.unused), ["model.output.bias"]);
}

#[test]
fn counters_of_steps_are_not_unused() {
    let text = "name = \"m\"\ninput = [2]\n[[layer]]\nname = \"norm\"\ntype = \"batch_norm\"\n\
                [[layer]]\nname = \"out\"\ntype = \"dense\"\nunits = 1\n";
    let network = Network::new(crate::toml_text::parse(text, "m.toml").unwrap()).unwrap();
    let folder = Folder::new();
    let path = folder.0.path().join("w.safetensors");
    save(&path, &network, &network.initial_state(1), 5).unwrap();
    let taken = init(&path, &network, true).unwrap();
    assert_eq!(taken.matched.len(), 6);
}

#[test]
fn a_tied_weight_is_found_under_either_of_its_names() {
    let (folder, network) = (Folder::new(), tied());
    for name in ["in.weight", "out.weight"] {
        let path = folder.weights(&[counting(name, &[3, 2])]);
        let expected = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(load(&path, &network).unwrap()[0].reals(), expected);
        let taken = init(&path, &network, true).unwrap();
        assert_eq!(taken.matched, ["in.weight"]);
        assert_eq!(taken.values[0].as_ref().unwrap().reals(), expected);
    }
}

#[test]
fn names_of_a_tied_weight_that_hold_different_values_are_not_taken_for_one() {
    let (folder, network) = (Folder::new(), tied());
    let zeros = of_type(counting("out.weight", &[3, 2]), Dtype::F32, [0; 24]);
    let path = folder.weights(&[counting("in.weight", &[3, 2]), zeros]);
    refuses(load(&path, &network), &["out.weight and in.weight"]);
    let taken = init(&path, &network, false).unwrap();
    assert_eq!(taken.matched, ["in.weight"]);
    assert_eq!(
        taken.unused[0].reason,
        Reason::Tied("in.weight".to_string())
    );
    refuses(init(&path, &network, true), &["out.weight"]);
}

#[test]
fn layouts_are_those_of_files() {
    let layers = ModelSpec::new("m", [2, 1, 2])
        .layer(Layer::new(Conv2d::new(1, [2, 1])).named("conv"))
        .layer(Layer::new(Flatten {}))
        .layer(Layer::new(Dense::new(1)).named("out"));
    let (folder, network) = (Folder::new(), Network::new(layers).unwrap());
    let path = folder.weights(&[counting("conv.weight", &[1, 2, 2, 1])]);
    let taken = init(&path, &network, false).unwrap();
    // O-I-KH-KW in the file, O-KH-KW-I in the engine.
    assert_eq!(
        taken.values[0].as_ref().unwrap().reals(),
        [1.0, 3.0, 2.0, 4.0]
    );
}

/// A file that another program wrote, of the network above with the values 1, 2, ... in each tensor.
fn written(folder: &Folder, name: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights.zip");
    let mut archive = zip::ZipArchive::new(std::fs::File::open(fixtures).unwrap()).unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut archive.by_name(name).unwrap(), &mut bytes).unwrap();
    folder.write(name, &bytes)
}

#[test]
fn files_of_other_programs_are_read_without_running_anything() {
    let (folder, network) = (Folder::new(), network());
    let expected = load(&folder.weights(&fitting()), &network).unwrap();
    for shard in ["model-1.safetensors", "model-2.safetensors"] {
        written(&folder, shard);
    }
    let files = [
        "state_dict.pt",
        "state_dict_legacy.pt",
        "checkpoint.pt",
        "module.pt",
        "transposed.pt",
        "lightning.ckpt",
        "half.pt",
        "arrays.npz",
        "model.safetensors.index.json",
    ];
    for name in files {
        let path = written(&folder, name);
        let taken = init(&path, &network, false).unwrap();
        let values: Vec<Tensor<f32>> = taken.values.into_iter().flatten().collect();
        assert_eq!(values, expected, "{name}");
        assert!(taken.missing.is_empty(), "{name}");
        for cut in [10, 100, 300] {
            let bytes = std::fs::read(&path).unwrap();
            let damaged = folder.write("damaged", &bytes[..bytes.len() - cut.min(bytes.len())]);
            assert!(
                init(&damaged, &network, false).is_err(),
                "{name} cut by {cut}"
            );
        }
    }
    let other = written(&folder, "hostile.pt");
    refuses(
        init(&other, &network, false),
        &["hostile.pt", "holds no tensors"],
    );
    assert!(!Path::new("/tmp/wgrad-was-run").exists());
    let other = folder.write("a.npz", b"PK\x03\x04 some other archive");
    refuses(load(&other, &network), &["a.npz", "archive"]);
    let other = folder.write("notes.txt", b"some text");
    refuses(
        load(&other, &network),
        &["notes.txt", "safetensors", "PyTorch", "NumPy"],
    );
}

#[test]
fn an_index_names_files_beside_it() {
    let (folder, network) = (Folder::new(), network());
    let path = written(&folder, "model.safetensors.index.json");
    refuses(init(&path, &network, false), &["model-1.safetensors"]);
    let outside = r#"{"weight_map": {"hidden.weight": "../w.safetensors"}}"#;
    let path = folder.write("index.json", outside.as_bytes());
    refuses(
        init(&path, &network, false),
        &["../w.safetensors", "beside"],
    );
}
