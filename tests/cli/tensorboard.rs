//! Event files for TensorBoard, read with a reader of our own and, where it is installed, with TensorBoard's.

use super::sandbox::{Sandbox, names};
use crc::{CRC_32_ISCSI, Crc};
use prost::Message as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use wgrad::run::events::messages::{
    Event, EventContent, HParamValue, HParamsContent, HParamsPluginData, SessionStartInfo,
    SessionStatus, SummaryContent, SummaryValue,
};

/// The event files of `run`, in the order in which TensorBoard reads them.
fn event_files(sandbox: &Sandbox, run: &str) -> Vec<String> {
    let mut files = names(&sandbox.path(run));
    files.retain(|name| name.starts_with("events.out.tfevents."));
    files
}

/// The events of a file, whose records must be whole, with the right checksums.
fn events(sandbox: &Sandbox, file: &str) -> Vec<Event> {
    let bytes = std::fs::read(sandbox.path(file)).unwrap();
    let mut rest = &bytes[..];
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at(count);
        rest = left;
        taken
    };
    let checks = |data: &[u8], checksum: &[u8]| {
        let plain = Crc::<u32>::new(&CRC_32_ISCSI).checksum(data);
        let masked = plain.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(checksum, masked.to_le_bytes());
    };
    let (mut events, mut read) = (Vec::new(), 0);
    while read < bytes.len() {
        let length = take(8);
        checks(length, take(4));
        let count = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let data = take(count);
        checks(data, take(4));
        events.push(Event::decode(data).unwrap());
        read += count + 16;
    }
    events
}

/// The values of a run by tag, each with its step, as TensorBoard keeps them: the start of a process removes those of its step
/// and of later ones.
fn kept(sandbox: &Sandbox, run: &str) -> BTreeMap<String, Vec<(i64, SummaryValue)>> {
    let mut values: BTreeMap<String, Vec<(i64, SummaryValue)>> = BTreeMap::new();
    for file in event_files(sandbox, run) {
        for event in events(sandbox, &format!("{run}/{file}")) {
            match event.what.unwrap() {
                EventContent::FileVersion(version) => assert_eq!(version, "brain.Event:2"),
                EventContent::SessionLog(log) => {
                    assert_eq!(log.status(), SessionStatus::Start);
                    for known in values.values_mut() {
                        known.retain(|(step, _)| *step < event.step);
                    }
                }
                EventContent::Summary(summary) => {
                    for value in summary.value {
                        let known = values.entry(value.tag.clone()).or_default();
                        known.push((event.step, value));
                    }
                }
            }
        }
    }
    values
}

/// The numbers of a tag with their steps.
fn scalars(values: &[(i64, SummaryValue)]) -> Vec<(i64, f32)> {
    let number = |(step, value): &(i64, SummaryValue)| match value.content {
        Some(SummaryContent::Scalar(number)) => (*step, number),
        _ => panic!("{} is no number", value.tag),
    };
    values.iter().map(number).collect()
}

fn metrics(sandbox: &Sandbox) -> Vec<Value> {
    let text = std::fs::read_to_string(sandbox.path("run/metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// The number that event files hold of a value in `metrics.jsonl`, if they hold one.
fn number(value: &Value) -> Option<f32> {
    let flag = value.as_bool().map(|flag| f64::from(u8::from(flag)));
    value.as_f64().or(flag).map(|number| number as f32)
}

/// Checks the curves of `run`, in which an epoch has three steps, against its `metrics.jsonl`.
fn curves_match_metrics(sandbox: &Sandbox) {
    let (values, lines) = (kept(sandbox, "run"), metrics(sandbox));
    let (mut expected, mut found) = (BTreeSet::new(), BTreeSet::new());
    for (key, _) in lines[0].as_object().unwrap().iter() {
        let numbers = (1..).zip(&lines);
        let numbers = numbers.filter_map(|(epoch, line)| Some((3 * epoch, number(&line[key])?)));
        let numbers: Vec<(i64, f32)> = numbers.collect();
        if !numbers.is_empty() {
            let tag = format!("epoch/{key}");
            assert_eq!(scalars(&values[&tag]), numbers, "{tag}");
            expected.insert(tag);
        }
    }
    found.extend(values.keys().filter(|tag| tag.starts_with("epoch/")));
    assert_eq!(found, expected.iter().collect());
    assert!(expected.len() >= 8, "{expected:?}");
    for key in ["loss", "accuracy", "lr", "samples_per_s"] {
        let steps = scalars(&values[&format!("step/{key}")]);
        assert!(steps.is_sorted_by(|a, b| a.0 < b.0), "{key}: {steps:?}");
        for (epoch, line) in (1..).zip(&lines) {
            let (_, last) = steps.iter().find(|(step, _)| *step == 3 * epoch).unwrap();
            match key {
                "lr" => assert_eq!(*last, 0.001),
                "samples_per_s" => assert!(*last > 0.0),
                _ => assert_eq!(Some(*last), number(&line[format!("train_{key}")]), "{key}"),
            }
        }
    }
}

/// What the plugin HParams reads at the start of a run.
fn start_info(value: &SummaryValue) -> SessionStartInfo {
    let metadata = value.metadata.clone().unwrap();
    let plugin = metadata.plugin_data.unwrap();
    assert_eq!(plugin.plugin_name, "hparams");
    match HParamsPluginData::decode(&plugin.content[..]).unwrap().data {
        Some(HParamsContent::SessionStartInfo(info)) => info,
        other => panic!("{other:?}"),
    }
}

#[test]
fn event_files_hold_curves_histograms_settings_and_pictures() {
    let sandbox = Sandbox::new();
    sandbox.train("--epochs 2 --tensorboard").succeeds();
    let files = event_files(&sandbox, "run");
    assert!(
        files.len() == 1 && files[0].ends_with(".wgrad.1"),
        "{files:?}"
    );
    let all = events(&sandbox, &format!("run/{}", files[0]));
    let version = EventContent::FileVersion("brain.Event:2".to_string());
    assert_eq!(all[0].what, Some(version));
    assert!(matches!(all[1].what, Some(EventContent::SessionLog(_))));
    assert_eq!(all[1].step, 0);
    assert!(all[0].wall_time > 1.7e9, "{}", all[0].wall_time);
    curves_match_metrics(&sandbox);
    let values = kept(&sandbox, "run");

    let Some(SummaryContent::Tensor(text)) = &values["run.toml"][0].1.content else {
        panic!("run.toml is no tensor");
    };
    let settings = std::fs::read_to_string(sandbox.path("run/run.toml")).unwrap();
    let shown = String::from_utf8(text.string_val[0].clone()).unwrap();
    assert_eq!(shown, format!("```toml\n{settings}\n```"));

    let info = start_info(&values["_hparams_/session_start_info"][0].1);
    let hparam = |key: &str| info.hparams[key].kind.clone().unwrap();
    assert_eq!(hparam("optimizer.name"), HParamValue::Text("adam".into()));
    assert_eq!(hparam("optimizer.lr"), HParamValue::Number(0.001));
    assert_eq!(hparam("batch"), HParamValue::Number(8.0));
    assert_eq!(hparam("seed"), HParamValue::Number(1.0));
    assert_eq!(hparam("model.name"), HParamValue::Text("tiny".into()));
    assert!(values.contains_key("_hparams_/session_end_info"));

    // Nine pictures of 8 x 8 in rows of four, with two pixels between them.
    let (step, picture) = &values["pictures/test"][0];
    let Some(SummaryContent::Image(image)) = &picture.content else {
        panic!("pictures/test is no image");
    };
    assert_eq!((*step, image.width, image.height), (0, 38, 28));
    let png = image::load_from_memory(&image.encoded_image_string).unwrap();
    assert_eq!((png.width(), png.height()), (38, 28));

    let weights = std::fs::read(sandbox.path("run/model.safetensors")).unwrap();
    let weights = safetensors::SafeTensors::deserialize(&weights).unwrap();
    let histograms = values.keys().filter(|tag| tag.starts_with("weights/"));
    assert_eq!(histograms.count(), weights.len());
    for (name, view) in weights.tensors() {
        let numbers = view.data().chunks_exact(4);
        let numbers = numbers.map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())));
        let numbers: Vec<f64> = numbers.collect();
        let [(3, _), (6, last)] = &values[&format!("weights/{name}")][..] else {
            panic!("{name} has not one histogram for each epoch");
        };
        let Some(SummaryContent::Histogram(found)) = &last.content else {
            panic!("{name} has no histogram");
        };
        assert_eq!(found.num, numbers.len() as f64);
        assert_eq!(found.min, numbers.iter().copied().fold(f64::MAX, f64::min));
        assert_eq!(found.max, numbers.iter().copied().fold(f64::MIN, f64::max));
        assert_eq!(found.bucket.iter().sum::<f64>(), found.num);
    }
}

#[test]
fn a_resumed_run_writes_a_new_file_and_repeated_steps_count_once() {
    let sandbox = Sandbox::new();
    sandbox.train("--epochs 2 --tensorboard").succeeds();
    // As if the process had been killed before this checkpoint.
    std::fs::remove_file(sandbox.path("run/checkpoints/step-000000006.safetensors")).unwrap();
    let resume = "train --resume run --epochs 3";
    sandbox.wgrad(resume).succeeds();
    let files = event_files(&sandbox, "run");
    assert!(
        files.len() == 2 && files[1].ends_with(".wgrad.2"),
        "{files:?}"
    );
    let first = &events(&sandbox, &format!("run/{}", files[1]))[1];
    assert!(matches!(first.what, Some(EventContent::SessionLog(_))));
    assert_eq!(first.step, 4);
    assert_eq!(metrics(&sandbox).len(), 3);
    curves_match_metrics(&sandbox);
    let listed = std::fs::read_to_string(sandbox.path("run/files.json")).unwrap();
    assert!(files.iter().all(|file| listed.contains(file)), "{listed}");
    // Nothing is left to train, so that nothing is written.
    sandbox.wgrad(resume).succeeds();
    assert_eq!(event_files(&sandbox, "run"), files);
}

#[test]
fn event_files_are_only_written_where_asked_for_and_change_no_result() {
    let sandbox = Sandbox::new();
    let train = "train tiny.toml --data good --batch 8 --device cpu --epochs 2 --out";
    sandbox.wgrad(&format!("{train} without")).succeeds();
    let with = format!("{train} with --set tensorboard=true --set average.decay=0.9");
    sandbox.wgrad(&with).succeeds();
    sandbox
        .wgrad(&format!("{train} average --set average.decay=0.9"))
        .succeeds();
    sandbox
        .wgrad(&format!("{train} plain --tensorboard"))
        .succeeds();
    assert!(event_files(&sandbox, "without").is_empty());
    let weights = |run: &str| std::fs::read(sandbox.path(&format!("{run}/model.safetensors")));
    assert_eq!(weights("without").unwrap(), weights("plain").unwrap());
    assert_eq!(weights("average").unwrap(), weights("with").unwrap());
    // Event files can begin in a run that had none.
    sandbox
        .wgrad("train --resume without --epochs 3 --tensorboard")
        .succeeds();
    let values = kept(&sandbox, "without");
    assert_eq!(values["epoch/test_loss"][0].0, 9);
}

#[test]
fn every_fold_has_its_event_file() {
    let sandbox = Sandbox::new();
    sandbox
        .wgrad("train tiny.toml --data good --batch 8 --device cpu --epochs 1 --folds 2 --tensorboard --out folds")
        .succeeds();
    for fold in ["folds/fold-1", "folds/fold-2"] {
        assert_eq!(event_files(&sandbox, fold).len(), 1);
    }
}

/// Prints what TensorBoard reads in the folder of a run, as JSON.
const READER: &str = r#"
import json, sys
from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.plugins.hparams import metadata

run = event_accumulator.EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0, "images": 0})
run.Reload()
tags = run.Tags()
new = plugin_event_accumulator.EventAccumulator(sys.argv[1])
new.Reload()
content = new.PluginTagToContent("hparams")[metadata.SESSION_START_INFO_TAG]
hparams = metadata.parse_session_start_info_plugin_data(content).hparams
value = lambda v: getattr(v, v.WhichOneof("kind"))
print(json.dumps({
    "scalars": {tag: [[e.step, e.value] for e in run.Scalars(tag)] for tag in tags["scalars"]},
    "histograms": {tag: [[e.step, e.histogram_value.num] for e in run.Histograms(tag)] for tag in tags["histograms"]},
    "images": {tag: [[e.width, e.height] for e in run.Images(tag)] for tag in tags["images"]},
    "texts": {tag: new.Tensors(tag)[-1].tensor_proto.string_val[0].decode() for tag in new.PluginTagToContent("text")},
    "hparams": {key: value(hparams[key]) for key in hparams},
}))
"#;

#[test]
fn tensorboard_reads_what_was_written() {
    let python = |args: &[&str]| Command::new("python3").args(args).output();
    if !python(&["-c", "import tensorboard"]).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3 has no tensorboard");
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.train("--epochs 2 --tensorboard").succeeds();
    std::fs::remove_file(sandbox.path("run/checkpoints/step-000000006.safetensors")).unwrap();
    sandbox.wgrad("train --resume run --epochs 3").succeeds();
    let run = sandbox.path("run");
    let output = python(&["-c", READER, run.to_str().unwrap()]).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();

    for (tag, values) in kept(&sandbox, "run") {
        let steps: Vec<i64> = values.iter().map(|(step, _)| *step).collect();
        match &values[0].1.content {
            Some(SummaryContent::Scalar(_)) => {
                let expected = scalars(&values);
                let found: Vec<(i64, f32)> =
                    serde_json::from_value(read["scalars"][&tag].clone()).unwrap();
                assert_eq!(found, expected, "{tag}");
            }
            Some(SummaryContent::Histogram(_)) => {
                let found: Vec<(i64, f64)> =
                    serde_json::from_value(read["histograms"][&tag].clone()).unwrap();
                let found: Vec<i64> = found.iter().map(|(step, _)| *step).collect();
                assert_eq!(found, steps, "{tag}");
            }
            _ => {}
        }
    }
    assert_eq!(
        read["images"]["pictures/test"][0],
        serde_json::json!([38, 28])
    );
    let settings = std::fs::read_to_string(sandbox.path("run/run.toml")).unwrap();
    let shown = read["texts"]["run.toml"].as_str().unwrap();
    assert!(shown.contains(&settings), "{shown}");
    assert_eq!(read["hparams"]["optimizer.name"], "adam");
    assert_eq!(read["hparams"]["batch"], 8.0);
}
