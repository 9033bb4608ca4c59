//! Pictures that are decoded as they are needed give the same bits as those in memory: in training, resumed runs, evaluations and
//! predictions, for every way in which a source is split.

use crate::support;
use image::{Rgb, RgbImage};
use std::fs;
use std::path::Path;
use wgrad::data::{ByteCount, InputContext, PredictInput, contact_sheet};
use wgrad::device::Engine;
use wgrad::run::{EpochReport, Measured, Observer, Silent, StepReport};
use wgrad::settings::{Prepared, Settings};
use wgrad::{Error, Result};

const RUN: &str = r#"
batch = 8
epochs = 2
seed = 5
device = "cpu"
augment = { flip = true, crop = 1, brightness = 0.2 }

[data]
source = "photos"
validation_share = 0.2

[model]
name = "small"
input = [6, 5, 3]

[[model.layer]]
type = "conv2d"
filters = 3
kernel = 3
activation = "relu"

[[model.layer]]
type = "flatten"

[[model.layer]]
type = "dense"
units = 3
"#;

/// The limits under which pictures are compared with those in memory: none of the 47 pictures of 90 bytes is kept, 10 are.
const LIMITS: [u64; 2] = [0, 900];

/// Writes 47 pictures of 3 classes, of different sizes and kinds.
fn photos(dir: &Path) {
    for n in 0..47_u32 {
        let class = ["cat", "dog", "owl"][n as usize % 3];
        let folder = dir.join("photos").join(class);
        fs::create_dir_all(&folder).unwrap();
        let (width, height) = (5 + n % 4, 6 + n % 3);
        let picture = RgbImage::from_fn(width, height, |x, y| {
            let level = |k: u32| ((n * 37 + k * 91 + x * (n % 3) * 29 + y * 13) % 256) as u8;
            Rgb([level(0), level(1), level(2)])
        });
        let ending = if n % 2 == 0 { "png" } else { "jpg" };
        picture.save(folder.join(format!("{n}.{ending}"))).unwrap();
    }
}

/// The run of `RUN` in the folder `out`, with these changes.
fn settings(dir: &Path, out: &str, limit: Option<u64>, change: &[&str]) -> Settings {
    let file = dir.join("run.toml");
    fs::write(&file, RUN).unwrap();
    let mut settings = Settings::read(&file).unwrap();
    let changes: Vec<String> = change.iter().map(|text| text.to_string()).collect();
    settings.assign(&changes).unwrap();
    settings.data.memory_limit = limit.map(ByteCount);
    settings.out = Some(dir.join(out));
    settings
}

fn train(prepared: Prepared, engine: &Engine, observer: &mut dyn Observer) -> Result<()> {
    let (mut run, folder) = prepared.start(engine)?;
    run.fit(observer, Some(&folder)).map(|_| ())
}

/// The weights of the run in `out`, its metrics without times, and the images of its report.
fn result(dir: &Path, out: &str) -> (Vec<u8>, Vec<serde_json::Value>, Vec<String>) {
    let run = dir.join(out);
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        let keys = line.as_object_mut().unwrap();
        for key in [
            "seconds",
            "samples_per_s",
            "device_waited",
            "decoders_waited",
        ] {
            keys.remove(key);
        }
        line
    };
    let weights = fs::read(run.join("model.safetensors")).unwrap();
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    let images = report.split("src=\"data:image/png").skip(1);
    let images: Vec<String> = images
        .map(|rest| rest.split('"').next().unwrap_or_default().to_string())
        .collect();
    assert!(!images.is_empty(), "the report shows samples");
    (weights, metrics.lines().map(line).collect(), images)
}

/// Notes the waiting of each epoch.
#[derive(Default)]
struct Waits(Vec<Option<wgrad::run::DataWaits>>);

impl Observer for Waits {
    fn step(&mut self, _: &StepReport) {}

    fn epoch(&mut self, report: &EpochReport) -> Result<()> {
        self.0.push(report.waits);
        Ok(())
    }
}

#[test]
fn weights_and_metrics_are_those_of_pictures_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    photos(dir.path());
    let gpu = support::engine();
    let whole: &[&str] = &[];
    for (case, change) in [
        whole,
        &["shuffle=false", "data.channels=1", "model.input=[6, 5, 1]"],
        &["data.folds=3", "data.fold=2"],
        &[
            "data.train_without=[\"owl\"]",
            "data.evaluate=\"validation\"",
        ],
        &["accumulate=2", "data.fit=\"stretch\""],
        &["data.evaluate=\"train\"", "batch=16"],
    ]
    .into_iter()
    .enumerate()
    {
        // The other cases do not depend on the device.
        let engines = [Some(&Engine::Cpu), gpu.filter(|_| case == 0)];
        for (on, engine) in engines.into_iter().enumerate() {
            let Some(engine) = engine else { continue };
            let out = |limit: Option<u64>| format!("run-{case}-{on}-{limit:?}");
            let mut digests = Vec::new();
            for limit in [None, Some(LIMITS[0]), Some(LIMITS[1])] {
                let prepared = settings(dir.path(), &out(limit), limit, change).prepare();
                let prepared = prepared.unwrap();
                let fitted = &prepared.settings.fitted;
                digests.push((
                    fitted.digests.clone(),
                    fitted.mean.clone(),
                    fitted.std.clone(),
                ));
                let dataset = prepared.run.dataset();
                assert_eq!(dataset.train.are_on_disk(), limit.is_some());
                let is_said = dataset
                    .found
                    .iter()
                    .any(|line| line.contains("memory_limit"));
                assert_eq!(is_said, limit.is_some());
                let mut waits = Waits::default();
                train(prepared, engine, &mut waits).unwrap();
                for waits in waits.0 {
                    assert_eq!(waits.is_some(), limit.is_some());
                    let shares = waits.map_or([0.0; 2], |waits| [waits.device, waits.decoders]);
                    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
                }
            }
            assert!(digests.iter().all(|of| *of == digests[0]), "{change:?}");
            let resident = result(dir.path(), &out(None));
            for limit in LIMITS {
                let streamed = result(dir.path(), &out(Some(limit)));
                assert_eq!(streamed.1, resident.1, "{change:?} on {}", engine.name());
                assert!(streamed.0 == resident.0, "{change:?} on {}", engine.name());
                assert!(streamed.2 == resident.2, "{change:?} on {}", engine.name());
            }
        }
    }
}

#[test]
fn what_was_chosen_is_said_and_contradictory_settings_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    photos(dir.path());
    let found = |limit| {
        let mut settings = settings(dir.path(), "run", Some(limit), &[]);
        let found = settings.load_data().unwrap().found;
        let line = found.into_iter().find(|line| line.contains("memory_limit"));
        line.unwrap_or_default()
    };
    let threads = rayon::current_num_threads();
    let start = "47 images of 6 x 5 are 4.2 kB, over data.memory_limit";
    assert_eq!(
        found(80),
        format!("{start} (80 B): they are decoded as they are needed, by {threads} threads")
    );
    assert!(found(4229).ends_with("except for the first 46, which are kept"));
    assert_eq!(found(4230), "");
    let message = settings(dir.path(), "run", Some(80), &["data.stream=false"])
        .load_data()
        .unwrap_err()
        .to_string();
    assert!(
        message.contains(start) && message.contains("data.stream = false"),
        "{message}"
    );
}

/// Does something after a number of reported steps.
struct After<F: FnMut()> {
    steps: u64,
    act: F,
    stops: bool,
}

impl<F: FnMut()> Observer for After<F> {
    fn step(&mut self, report: &StepReport) {
        if report.epoch == 2 && report.step >= self.steps && self.steps > 0 {
            (self.act)();
            self.steps = 0;
        }
    }

    fn epoch(&mut self, _: &EpochReport) -> Result<()> {
        Ok(())
    }

    fn stops(&self) -> bool {
        self.stops && self.steps == 0
    }
}

#[test]
fn a_run_that_stops_within_an_epoch_resumes_exactly_in_memory_or_not() {
    let dir = tempfile::tempdir().unwrap();
    photos(dir.path());
    let whole = settings(dir.path(), "whole", None, &[]).prepare().unwrap();
    train(whole, &Engine::Cpu, &mut Silent).unwrap();
    for (first, second) in [(Some(0), Some(900)), (None, Some(0)), (Some(0), None)] {
        let out = format!("run-{first:?}-{second:?}");
        let begun = settings(dir.path(), &out, first, &[]).prepare().unwrap();
        let mut stop = After {
            steps: 2,
            act: || (),
            stops: true,
        };
        let stopped = train(begun, &Engine::Cpu, &mut stop).unwrap_err();
        assert!(matches!(stopped, Error::Stopped(_)), "{stopped}");
        let resumed = Settings::prepare_resumed(&dir.path().join(&out), |settings| {
            settings.data.memory_limit = second.map(ByteCount);
        });
        train(resumed.unwrap(), &Engine::Cpu, &mut Silent).unwrap();
        assert!(
            result(dir.path(), &out) == result(dir.path(), "whole"),
            "{out}"
        );
    }
}

#[test]
fn a_file_that_vanishes_during_an_epoch_ends_the_run_with_its_name_and_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    photos(dir.path());
    let begun = settings(dir.path(), "run", Some(0), &["epochs=40"]);
    let path = dir.path().join("photos/owl");
    let mut observer = After {
        steps: 1,
        act: || fs::rename(&path, dir.path().join("elsewhere")).unwrap(),
        stops: false,
    };
    let failed = train(begun.prepare().unwrap(), &Engine::Cpu, &mut observer).unwrap_err();
    let message = failed.to_string();
    assert!(
        message.contains("photos/owl/") && message.contains("can no longer be read as an image"),
        "{message}"
    );
    // It goes on from the checkpoint of the first epoch once the files are back.
    fs::rename(dir.path().join("elsewhere"), &path).unwrap();
    let change = |settings: &mut Settings| settings.epochs = 2;
    let resumed = Settings::prepare_resumed(&dir.path().join("run"), change).unwrap();
    train(resumed, &Engine::Cpu, &mut Silent).unwrap();
    let whole = settings(dir.path(), "whole", None, &[]).prepare().unwrap();
    train(whole, &Engine::Cpu, &mut Silent).unwrap();
    assert!(result(dir.path(), "run") == result(dir.path(), "whole"));
}

#[test]
fn a_damaged_file_is_found_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    photos(dir.path());
    fs::write(dir.path().join("photos/cat/0.png"), "no picture").unwrap();
    let load = |limit, change: &[&str]| settings(dir.path(), "run", limit, change).load_data();
    let refused = |limit| load(limit, &[]).unwrap_err().to_string();
    assert_eq!(refused(Some(0)), refused(None));
    let [disk, memory] = [Some(0), None].map(|limit| load(limit, &["data.skip_bad=true"]).unwrap());
    assert_eq!(disk.notes, memory.notes);
    assert_eq!(disk.train.digest(), memory.train.digest());
    assert_eq!(disk.train.labels(), memory.train.labels());
}

#[test]
fn evaluations_predictions_and_sheets_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    photos(dir.path());
    fs::write(dir.path().join("photos/dog/new.png"), "no picture").unwrap();
    let skip: &[&str] = &["data.skip_bad=true"];
    let trained = settings(dir.path(), "run", None, skip).prepare().unwrap();
    train(trained, &Engine::Cpu, &mut Silent).unwrap();
    let outcome = |limit: Option<u64>| {
        let (folder, mut settings) = Settings::open_run(&dir.path().join("run")).unwrap();
        settings.data.memory_limit = limit.map(ByteCount);
        let dataset = settings.load_data().unwrap();
        let sheet = contact_sheet(&dataset.train, &dataset.classes, 4).unwrap();
        let weights = folder.path.join("model.safetensors");
        let parts = || settings.clone().resolve_trained(&weights).unwrap();
        let test = Measured::evaluation(&Engine::Cpu, parts(), dataset.test);
        let (evaluation, _, outputs) = test.unwrap().run().unwrap();
        let inputs = [PredictInput::Path(dir.path().join("photos"))];
        let predicted = |invert| {
            let context = InputContext {
                settings: &settings.data,
                fitted: &settings.fitted,
                model: "small",
                image: Some([6, 5, 3]),
                invert,
            };
            let format = settings.fitted.format.unwrap();
            let read = format.read_inputs(&inputs, &context).unwrap();
            assert_eq!(read.set.are_on_disk(), limit.is_some());
            assert_eq!((read.items.len(), read.set.len()), (48, 47));
            let found = Measured::prediction(&Engine::Cpu, parts(), read.set);
            (read.items, found.unwrap().run().unwrap().2)
        };
        let predictions = [false, true].map(predicted);
        (evaluation.loss.to_bits(), outputs, predictions, sheet)
    };
    let resident = outcome(None);
    for limit in LIMITS {
        assert!(outcome(Some(limit)) == resident, "{limit}");
    }
}

#[test]
fn a_table_of_pictures_gives_the_same_samples() {
    let dir = tempfile::tempdir().unwrap();
    photos(dir.path());
    let mut table = "file,level,label\n".to_string();
    for n in (0..47).step_by(2) {
        let class = ["cat", "dog", "owl"][n % 3];
        table += &format!("photos/{class}/{n}.png,{}.5,{}\n", n % 7, n % 4 / 2);
    }
    fs::write(dir.path().join("table.csv"), table).unwrap();
    let load = |limit| {
        let source = format!("data.source={:?}", dir.path().join("table.csv"));
        let mut settings = settings(dir.path(), "run", limit, &[&source]);
        settings.load_data().unwrap()
    };
    let (memory, disk) = (load(None), load(Some(0)));
    assert!(disk.train.are_on_disk() && !memory.train.are_on_disk());
    for (a, b) in [
        (&memory.train, &disk.train),
        (&memory.test, &disk.test),
        (
            memory.validation.as_ref().unwrap(),
            disk.validation.as_ref().unwrap(),
        ),
    ] {
        assert_eq!(a.digest(), b.digest());
        for index in 0..a.len() {
            assert_eq!(a.picture(index).unwrap(), b.picture(index).unwrap());
        }
    }
}
