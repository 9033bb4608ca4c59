//! ONNX files: what they hold, their outputs, and training.

use super::sandbox::Sandbox;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A folder with the recorded network `tiny` for the images of the sandbox, and its input and output in evaluation mode.
fn with_network() -> Sandbox {
    let sandbox = Sandbox::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx_models.zip");
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    for name in ["tiny.onnx", "tiny.x.npy", "recurrent.onnx"] {
        let mut bytes = Vec::new();
        let mut file = archive.by_name(name).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        sandbox.write(name, bytes);
    }
    sandbox
}

#[test]
fn what_a_file_holds_is_listed() {
    let sandbox = with_network();
    let text = sandbox.wgrad("import tiny.onnx").succeeds();
    for part in [
        "x float32 [n, 1, 8, 8]",
        "y float32",
        "in 6 tensors",
        "Conv 1",
    ] {
        assert!(text.out.contains(part), "{}", text.out);
    }
    let json = sandbox.wgrad("import tiny.onnx --json").succeeds();
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["inputs"][0]["name"], "x");
    assert_eq!(json["inputs"][0]["shape"][1], 1);
    assert_eq!(json["operators"]["BatchNormalization"], 1);
    assert_eq!(json["parameters"].as_array().unwrap().len(), 6);
    assert!(json["unsupported"].as_array().unwrap().is_empty());
    let all = sandbox.wgrad("import --operators").succeeds();
    assert!(all.out.lines().any(|name| name == "Conv"));
}

#[test]
fn outputs_are_computed_on_both_devices() {
    let sandbox = with_network();
    for device in ["cpu", "gpu"] {
        let command =
            format!("run tiny.onnx --input x=tiny.x.npy --out {device} --device {device} --json");
        let json = sandbox.wgrad(&command).succeeds();
        let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!(json["outputs"][0]["name"], "y");
        assert_eq!(json["outputs"][0]["shape"], serde_json::json!([4, 3]));
    }
    let [cpu, gpu] = ["cpu", "gpu"].map(|device| {
        let path = sandbox.path(device).join("y.npy");
        wgrad::data::read_npy(&path).unwrap()
    });
    assert_eq!((&cpu.shape, cpu.numbers.len()), (&vec![4, 3], 12));
    for (a, b) in cpu.numbers.iter().zip(&gpu.numbers) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
    // An existing output is kept.
    let again = sandbox.wgrad("run tiny.onnx --input tiny.x.npy --out cpu --device cpu");
    again.fails(2, &["y.npy", "already exists", "--overwrite"]);
}

#[test]
fn a_file_trains_alone_or_with_a_new_end() {
    let sandbox = with_network();
    let run = "train tiny.onnx --data good --epochs 2 --batch 6 --device cpu --out run";
    sandbox.wgrad(run).succeeds();
    assert!(sandbox.path("run/network.onnx").is_file());
    // The run folder stands alone.
    std::fs::remove_file(sandbox.path("tiny.onnx")).unwrap();
    std::fs::rename(sandbox.path("run"), sandbox.path("moved")).unwrap();
    sandbox.wgrad("eval moved --device cpu").succeeds();
    sandbox
        .wgrad("train --resume moved --epochs 3 --device cpu")
        .succeeds();

    let sandbox = with_network();
    let summary = sandbox.wgrad("import tiny.onnx --json").succeeds();
    let summary: serde_json::Value = serde_json::from_str(&summary.out).unwrap();
    sandbox
        .wgrad("import tiny.onnx --cut nothing --out mine")
        .succeeds();
    let refused = sandbox.wgrad("train mine/model.toml --data good --device cpu --out run");
    refused.fails(2, &["no value nothing", "its last ones are"]);
    let text = std::fs::read_to_string(sandbox.path("mine/model.toml")).unwrap();
    assert!(
        text.contains("until = \"nothing\"") && text.contains("units = \"classes\""),
        "{text}"
    );
    // The value before the last layer: what it is called depends on the exporter.
    let reshaped = summary["values"].as_array().unwrap();
    let last = reshaped[reshaped.len() - 2].as_str().unwrap();
    let cut = format!("import tiny.onnx --cut {last} --out mine --overwrite");
    sandbox.wgrad(&cut).succeeds();
    let run = "train mine/model.toml --data good --batch 6 --device cpu --out run";
    sandbox.wgrad(run).succeeds();
    sandbox.wgrad("eval run --device cpu").succeeds();
}

#[test]
fn a_run_is_exported_in_every_format() {
    let sandbox = with_network();
    let train = "train tiny.toml --data good --epochs 1 --batch 6 --device cpu --out run";
    sandbox.wgrad(train).succeeds();
    let images = wgrad::data::read_npy(&sandbox.path("tiny.x.npy")).unwrap();
    let images = wgrad::onnx::Array::new(wgrad::onnx::Element::Float, images.shape, images.numbers);
    sandbox.write("last.npy", images.permuted(&[0, 2, 3, 1]).to_npy());
    let json = sandbox.wgrad("export run --json").succeeds();
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["format"], "onnx");
    assert!(sandbox.path("run/model.onnx").is_file());
    let again = sandbox.wgrad("export run");
    again.fails(2, &["model.onnx already exists", "--overwrite"]);
    let summary = sandbox.wgrad("import run/model.onnx --json").succeeds();
    let summary: serde_json::Value = serde_json::from_str(&summary.out).unwrap();
    assert_eq!(summary["inputs"][0]["shape"][1], 1);
    assert_eq!(summary["operators"]["Conv"], 1);
    let names: Vec<&str> = summary["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["conv1.bias", "conv1.weight", "dense1.bias", "dense1.weight"]
    );
    // The file computes what the run does, whose images have their channels last: of one channel, the numbers are the same.
    let computed = ["run", "run/model.onnx"].map(|what| {
        let out = format!("out-{}", what.replace(['/', '.'], "-"));
        let input = match what {
            "run" => "last.npy",
            _ => "tiny.x.npy",
        };
        let command = format!("run {what} --input {input} --out {out} --device cpu");
        sandbox.wgrad(&command).succeeds();
        wgrad::data::read_npy(&sandbox.path(&out).join("output.npy")).unwrap()
    });
    for (a, b) in computed[0].numbers.iter().zip(&computed[1].numbers) {
        assert!((a - b).abs() < 1e-5, "{a} and {b}");
    }
    let wrong = sandbox.wgrad("run run --input tiny.x.npy --device cpu");
    wrong.fails(2, &["input is [4,8,8,1]", "[4, 1, 8, 8]"]);
    // What was exported is a model again.
    let train = "train run/model.onnx --data good --epochs 1 --batch 6 --device cpu --out second";
    sandbox.wgrad(train).succeeds();

    sandbox
        .wgrad("export run --format npz --out w.npz")
        .succeeds();
    let archive = zip::ZipArchive::new(File::open(sandbox.path("w.npz")).unwrap()).unwrap();
    let files: Vec<_> = archive.file_names().flatten().collect();
    assert!(
        files.iter().any(|name| *name == "conv1.weight.npy"),
        "{files:?}"
    );
    sandbox
        .wgrad("export run --format safetensors --out w.safetensors")
        .succeeds();
    let init = "train tiny.toml --data good --epochs 1 --batch 6 --device cpu --set init=w.safetensors --out third";
    sandbox.wgrad(init).succeeds();
    let own = sandbox.wgrad("export run --format safetensors --overwrite");
    own.fails(2, &["holds the weights already", "--out"]);
    sandbox
        .wgrad("export run --opset 9 --out x.onnx")
        .fails(2, &["13 to 21", "not 9"]);
    sandbox.wgrad("export good").fails(2, &["good"]);
}

#[test]
fn bad_files_and_inputs_are_named() {
    let sandbox = with_network();
    sandbox
        .wgrad("run absent.onnx")
        .fails(2, &["absent.onnx", "does not exist"]);
    sandbox.write("text.onnx", "not a network at all");
    sandbox
        .wgrad("import text.onnx")
        .fails(2, &["text.onnx", "no ONNX file"]);
    let whole = std::fs::read(sandbox.path("tiny.onnx")).unwrap();
    sandbox.write("cut.onnx", &whole[..whole.len() / 2]);
    sandbox
        .wgrad("import cut.onnx")
        .fails(2, &["cut.onnx", "cut short"]);
    sandbox
        .wgrad("run tiny.onnx --device cpu")
        .fails(2, &["input x is missing", "--input x="]);
    let other = "run tiny.onnx --input y=tiny.x.npy --device cpu";
    sandbox
        .wgrad(other)
        .fails(2, &["no input y", "its inputs are x"]);
    let wrong = "run recurrent.onnx --input x=tiny.x.npy --device cpu";
    sandbox
        .wgrad(wrong)
        .fails(2, &["input x is [n, 5, 6]", "[4, 1, 8, 8]"]);
    let data = "train recurrent.onnx --data good --device cpu --out run";
    sandbox
        .wgrad(data)
        .fails(2, &["recurrent takes [5, 6]", "[8, 8, 1]"]);
    sandbox.holds_no_run();
}

/// What was exported says of itself how it is to be fed.
#[test]
fn an_exported_file_is_evaluated_and_predicts_as_its_run() {
    let sandbox = Sandbox::new();
    sandbox.trained();
    sandbox.wgrad("export run --out net.onnx").succeeds();
    let picture = image::GrayImage::from_fn(8, 8, |x, y| image::Luma([(x * 30 + y) as u8]));
    picture.save(sandbox.path("a.png")).unwrap();
    let lines = |of: &str| {
        let predicted = sandbox.wgrad(&format!("predict {of} a.png --device cpu --json"));
        let line: serde_json::Value = serde_json::from_str(&predicted.succeeds().out).unwrap();
        let top = line["top"].as_array().unwrap().clone();
        top.into_iter()
            .map(|class| {
                (
                    class["class"].as_str().unwrap().to_string(),
                    class["probability"].as_f64().unwrap(),
                )
            })
            .collect::<Vec<_>>()
    };
    sandbox
        .wgrad("export run --out pixels.onnx --pixels")
        .succeeds();
    for file in ["net.onnx", "pixels.onnx"] {
        for ((name, own), (other, share)) in lines("run").into_iter().zip(lines(file)) {
            assert_eq!(name, other);
            assert!((own - share).abs() < 1e-5, "{own} {share}");
        }
    }
    let figures = |of: &str| {
        let evaluated = sandbox.wgrad(&format!("eval {of} --data good --device cpu --json"));
        let line: serde_json::Value = serde_json::from_str(&evaluated.succeeds().out).unwrap();
        let figure = |name: &str| {
            line[name]
                .as_f64()
                .unwrap_or_else(|| panic!("{name}: {line}"))
        };
        [
            figure("test_loss"),
            figure("test_accuracy"),
            figure("count"),
        ]
    };
    let (own, file) = (figures("run"), figures("net.onnx"));
    for (own, file) in own.into_iter().zip(file) {
        assert!((own - file).abs() < 1e-5, "{own} {file}");
    }
    sandbox
        .wgrad("eval net.onnx")
        .fails(2, &["net.onnx", "--data"]);
}
