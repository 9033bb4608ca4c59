//! Models that Keras saved in both of its formats, recorded by `tests/fixtures/make_keras.py`: their outputs are Keras's, on the
//! reference and on an adapter, and they can be trained.

use crate::{record, support};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wgrad::data::NpyArray;
use wgrad::device::Engine;
use wgrad::nn::{Model as _, Network};
use wgrad::onnx::{self, OnnxFile, OnnxNetwork, OnnxSummary};

const MODELS: [&str; 4] = ["images", "branches", "words", "transformer"];
/// Allowed difference of outputs.
const TOLERANCE: f64 = 2e-6;

/// The files of the record, in a folder.
fn unpacked() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in record("keras.zip") {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn files(folder: &TempDir) -> impl Iterator<Item = (&'static str, PathBuf)> {
    let endings = ["keras", "h5"].into_iter();
    endings.flat_map(move |ending| {
        let path = move |name: &'static str| (name, folder.path().join(format!("{name}.{ending}")));
        MODELS.into_iter().map(path)
    })
}

fn agree(engine: &Engine) {
    let folder = unpacked();
    let array =
        |name: String| NpyArray::parse(&fs::read(folder.path().join(name)).unwrap()).unwrap();
    for (name, path) in files(&folder) {
        let file = OnnxFile::read(&path).unwrap();
        let input = file.inputs[0].name.clone();
        let given = BTreeMap::from([(input, array(format!("{name}_x.npy")))]);
        let expected = array(format!("{name}_y.npy"));
        let computed = onnx::run(&file, engine.device(), &given).unwrap();
        let [output] = &computed[..] else {
            panic!("{name} has {} outputs", computed.len());
        };
        assert_eq!(output.array.dims, expected.shape, "{name}");
        let largest = expected
            .numbers
            .iter()
            .fold(0.0, |most: f64, x| most.max(x.abs()));
        for (have, want) in output.array.iter().zip(&expected.numbers) {
            let difference = (have - want).abs();
            assert!(
                difference <= TOLERANCE * largest.max(1.0),
                "{}: {have} and {want}",
                path.display()
            );
        }
        assert!(largest > 0.01, "{name}");
    }
}

#[test]
fn outputs_are_those_of_keras_on_the_reference() {
    agree(&Engine::Cpu);
}

#[test]
fn outputs_are_those_of_keras_on_an_adapter() {
    let Some(engine) = support::engine() else {
        return;
    };
    agree(engine);
}

#[test]
fn weights_are_trained_and_statistics_are_not() {
    let folder = unpacked();
    for (name, path) in files(&folder) {
        let network = OnnxNetwork::read(&path).unwrap();
        let summary = OnnxSummary::of(&network);
        assert_eq!(summary.unsupported, Vec::<String>::new());
        let model = Network::new(network.spec().unwrap()).unwrap();
        assert_eq!(model.parameter_count(), summary.parameter_count, "{name}");
        let names: Vec<&str> = model.state().map(|part| part.name.as_str()).collect();
        let statistics = names.iter().filter(|name| name.contains("moving_")).count();
        let expected = match name {
            "images" | "branches" => 2,
            _ => 0,
        };
        assert_eq!(statistics, expected, "{names:?}");
    }
}

#[test]
fn what_can_not_be_read_is_named() {
    let folder = unpacked();
    let refuses = |path: &Path, parts: &[&str]| {
        let error = OnnxFile::read(path).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    let cut = folder.path().join("cut.h5");
    let bytes = fs::read(folder.path().join("words.h5")).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    refuses(&cut, &["cut.h5", "HDF5", "save it again"]);
    let cut = folder.path().join("cut.keras");
    let bytes = fs::read(folder.path().join("words.keras")).unwrap();
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    refuses(&cut, &["cut.keras", "archive"]);
}

/// Networks within one another, each called ten times, would be 10^16 layers.
#[test]
fn a_network_without_end_is_refused() {
    let call = |name: &str| serde_json::json!([[[name, 0, 0, {}]]]);
    let input = serde_json::json!({
        "class_name": "InputLayer", "name": "x", "inbound_nodes": [],
        "config": { "name": "x", "batch_shape": [null, 4] },
    });
    let mut network = serde_json::json!({
        "class_name": "Activation", "name": "inner", "inbound_nodes": call("x"),
        "config": { "name": "inner", "activation": "relu" },
    });
    for depth in 0..12 {
        let calls: Vec<serde_json::Value> = (0..10)
            .map(|_| serde_json::json!([["x", 0, 0, {}]]))
            .collect();
        network["inbound_nodes"] = serde_json::json!(calls);
        let inner = network["name"].as_str().unwrap().to_string();
        let each: Vec<serde_json::Value> = (0..10)
            .map(|at| serde_json::json!([inner, at, 0, {}]))
            .collect();
        let sum = serde_json::json!({
            "class_name": "Add", "name": "sum", "config": { "name": "sum" }, "inbound_nodes": [each],
        });
        let name = format!("n{depth}");
        network = serde_json::json!({
            "class_name": "Functional", "name": name, "inbound_nodes": call("x"),
            "config": {
                "name": name, "layers": [input, network, sum],
                "input_layers": [["x", 0, 0]], "output_layers": [["sum", 0, 0]],
            },
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endless.h5");
    let mut file = hdf5_pure::FileBuilder::new();
    let text = hdf5_pure::AttrValue::VarLenString(network.to_string());
    file.set_attr("model_config", text);
    let weights = file.create_group("model_weights").finish();
    file.add_group(weights);
    fs::write(&path, file.finish().unwrap()).unwrap();
    let refused = OnnxFile::read(&path).unwrap_err().to_string();
    assert!(
        refused.contains("endless.h5") && refused.contains("200000 nodes"),
        "{refused}"
    );
}
