//! Models with several inputs from data: a table of images, where the class depends on both image and number.

use crate::support;
use std::fmt::Write as _;
use std::path::Path;
use wgrad::Result;
use wgrad::data::{DataSettings, Fitted, PredictInput, Samples, load};
use wgrad::device::Engine;
use wgrad::run::{EpochReport, Evaluation, Observer, StepReport};
use wgrad::settings::Settings;

struct Quiet;

impl Observer for Quiet {
    fn step(&mut self, _: &StepReport) {}

    fn epoch(&mut self, _: &EpochReport) -> Result<()> {
        Ok(())
    }
}

/// Pseudo-random numbers in [0, 1).
struct Draws(u32);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1 << 24)
    }
}

/// Vertical or horizontal bars, and a level: the class says whether the bar is vertical or the level is positive, but not both.
/// `target` makes the target column from these two and the position of the bar.
fn bars(dir: &Path, count: usize, columns: &str, target: impl Fn(bool, f64, u32) -> String) {
    std::fs::create_dir_all(dir.join("pictures")).unwrap();
    let mut table = format!("{columns}\n");
    let mut draws = Draws(7);
    for n in 0..count {
        let stands = draws.next() < 0.5;
        let level = 2.0 * draws.next() - 1.0;
        let at = (draws.next() * 8.0) as u32;
        let picture = image::GrayImage::from_fn(8, 8, |x, y| {
            image::Luma([if at == if stands { x } else { y } {
                255
            } else {
                0
            }])
        });
        picture.save(dir.join(format!("pictures/{n}.png"))).unwrap();
        writeln!(table, "pictures/{n}.png,{}", target(stands, level, at)).unwrap();
    }
    std::fs::write(dir.join("bars.csv"), table).unwrap();
}

fn xor(dir: &Path) {
    bars(dir, 240, "file,level,label", |stands, level, _| {
        let class = if stands != (level > 0.0) { "yes" } else { "no" };
        format!("{level:.3},{class}")
    });
}

fn fusion(dir: &Path, change: &[&str]) -> Settings {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fusion.toml");
    let mut settings = Settings::read(&file).unwrap();
    settings.set_source(dir.display().to_string());
    let change: Vec<String> = change.iter().map(|text| text.to_string()).collect();
    settings.assign(&change).unwrap();
    settings
}

fn trained(settings: Settings, engine: &Engine) -> Evaluation {
    let out = tempfile::tempdir().unwrap();
    let settings = Settings {
        out: Some(out.path().join("run")),
        ..settings
    };
    let (mut run, folder) = settings.prepare().unwrap().start(engine).unwrap();
    run.fit(&mut Quiet, Some(&folder)).unwrap()
}

fn accuracy(settings: Settings) -> f64 {
    trained(settings, &Engine::Cpu).value("accuracy").unwrap()
}

/// A model with one input, `image` or `row`.
fn of_one(input: &str) -> String {
    let (shape, first) = match input {
        "image" => ("[8, 8, 1]", "{ type = \"flatten\", input = \"image\" }"),
        _ => (
            "\"auto\"",
            "{ type = \"dense\", units = 8, input = \"row\" }",
        ),
    };
    format!(
        "model={{ name = \"alone\", inputs = {{ {input} = {shape} }}, layer = [{first}, {{ type = \"dense\", units = 32, \
         activation = \"relu\" }}, {{ type = \"dense\", units = 2 }}] }}"
    )
}

#[test]
fn only_picture_and_number_together_give_the_class() {
    let dir = tempfile::tempdir().unwrap();
    xor(dir.path());
    let both = accuracy(fusion(dir.path(), &[]));
    assert!(both > 0.9, "{both}");
    for input in ["image", "row"] {
        let mut settings = fusion(dir.path(), &[]);
        let table: toml::Table =
            toml::from_str(&of_one(input).replacen("model=", "model = ", 1)).unwrap();
        settings.model = table["model"].clone().try_into().unwrap();
        let alone = accuracy(settings);
        assert!(alone < 0.75, "{input}: {alone}");
    }
}

#[test]
fn a_streamed_fusion_and_one_on_the_device_end_with_the_same_result() {
    let Some(engine) = support::engine() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    xor(dir.path());
    let loss = |stream: &str, engine: &Engine| {
        let change = ["epochs=1", "data.validation_share=0.2", stream];
        trained(fusion(dir.path(), &change), engine).loss
    };
    for engine in [&Engine::Cpu, engine] {
        let (whole, streamed) = (
            loss("data.stream=false", engine),
            loss("data.stream=true", engine),
        );
        assert_eq!(whole.to_bits(), streamed.to_bits(), "{}", engine.name());
    }
}

#[test]
fn a_number_is_predicted_from_pictures_alone() {
    let dir = tempfile::tempdir().unwrap();
    bars(dir.path(), 120, "file,place", |_, _, at| format!("{at}.5"));
    let mut settings = fusion(dir.path(), &["epochs=30", "augment.brightness=0.05"]);
    settings.model = toml::from_str(
        "name = \"place\"\ninput = [8, 8, 1]\n[[layer]]\ntype = \"flatten\"\n[[layer]]\ntype = \"dense\"\nunits = 32\n\
         activation = \"relu\"\n[[layer]]\ntype = \"dense\"\nunits = 1\n",
    )
    .unwrap();
    let found = trained(settings, &Engine::Cpu);
    // In units of the standard deviation; always predicting the mean would have an error of about 0.85.
    assert!(found.value("mae").unwrap() < 0.5, "{:?}", found.figures);
}

fn read(settings: &DataSettings) -> Result<(Samples, Samples, Fitted, Vec<String>)> {
    let mut fitted = Fitted::default();
    let set = load(settings, &mut fitted, 1)?;
    Ok((set.train, set.test, fitted, set.notes))
}

fn settings(dir: &Path) -> DataSettings {
    DataSettings {
        source: dir.display().to_string(),
        ..DataSettings::default()
    }
}

#[test]
fn rows_keep_their_pictures_through_folds_and_validation_parts() {
    let dir = tempfile::tempdir().unwrap();
    // The number says which row or column of the image is bright, which must hold in every part.
    bars(dir.path(), 60, "file,place,label", |stands, _, at| {
        format!("{at},{stands}")
    });
    for fold in 1..=3 {
        let settings = DataSettings {
            folds: Some(3),
            fold,
            validation_share: Some(0.2),
            ..settings(dir.path())
        };
        let mut fitted = Fitted::default();
        let set = load(&settings, &mut fitted, 1).unwrap();
        let wgrad::data::ColumnKind::Number { mean, std, .. } = fitted.columns[0].kind else {
            panic!("the place is a number");
        };
        let parts = [&set.train, set.validation.as_ref().unwrap(), &set.test];
        assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), 60);
        for part in parts {
            let pictures = part.pictures().unwrap();
            let wgrad::data::FieldValues::Windows { rows, .. } = &part.field("row").unwrap().values
            else {
                panic!("a row is a window");
            };
            let wgrad::data::WindowRows::Floats { values, .. } = &**rows else {
                panic!("of numbers");
            };
            for (index, value) in values.iter().enumerate() {
                let place = (f64::from(*value) * std + mean).round() as usize;
                let stands = part.labels().unwrap()[index] == 1;
                let picture = pictures.picture(index);
                let bright = if stands {
                    3 * 24 + place * 3
                } else {
                    place * 24 + 9
                };
                assert_eq!(picture[bright], 255, "sample {index} of fold {fold}");
            }
        }
    }
}

#[test]
fn a_bad_picture_is_named_with_its_line_or_left_out_with_its_row() {
    let dir = tempfile::tempdir().unwrap();
    bars(dir.path(), 20, "file,level,label", |stands, level, _| {
        format!("{level:.3},{stands}")
    });
    std::fs::remove_file(dir.path().join("pictures/3.png")).unwrap();
    std::fs::write(dir.path().join("pictures/7.png"), "no picture").unwrap();
    let message = read(&settings(dir.path())).unwrap_err().to_string();
    for part in ["bars.csv", "line 5", "3.png", "skip_bad"] {
        assert!(message.contains(part), "{message}");
    }
    let lenient = DataSettings {
        skip_bad: true,
        ..settings(dir.path())
    };
    let (train, test, fitted, notes) = read(&lenient).unwrap();
    assert_eq!(train.len() + test.len(), 18);
    assert_eq!(fitted.image.as_deref(), Some("file"));
    let message: Vec<&String> = notes
        .iter()
        .filter(|note| note.contains("skipped a row"))
        .collect();
    assert!(
        message.len() == 2 && message[1].contains("line 9"),
        "{notes:?}"
    );
}

#[test]
fn the_column_of_pictures_is_detected_or_set_and_sizes_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    bars(dir.path(), 20, "file,level,label", |stands, level, _| {
        format!("{level:.3},{stands}")
    });
    let small = DataSettings {
        size: Some([4, 6]),
        channels: Some(1),
        ..settings(dir.path())
    };
    let (train, _, fitted, _) = read(&small).unwrap();
    assert_eq!(train.pictures().unwrap().shape, [4, 6, 1]);
    assert_eq!(fitted.format.unwrap().name(), "manifest");
    let wrong = DataSettings {
        image: Some("photo".to_string()),
        format: fitted.format,
        ..settings(dir.path())
    };
    let message = read(&wrong).unwrap_err().to_string();
    assert!(
        message.contains("no column photo") && message.contains("file, level, label"),
        "{message}"
    );
}

#[test]
fn parts_in_files_of_their_own_are_taken_and_rows_to_predict_may_be_bad() {
    let dir = tempfile::tempdir().unwrap();
    bars(dir.path(), 12, "file,level,label", |stands, level, _| {
        format!("{level:.3},{stands}")
    });
    let table = std::fs::read_to_string(dir.path().join("bars.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    let header = lines[0];
    let write = |name: &str, lines: &[&str]| {
        std::fs::write(
            dir.path().join(name),
            format!("{header}\n{}\n", lines.join("\n")),
        )
        .unwrap();
    };
    write("train.csv", &lines[1..9]);
    write("test.csv", &lines[9..]);
    let (train, test, fitted, _) = read(&settings(dir.path())).unwrap();
    assert_eq!((train.len(), test.len()), (8, 4));
    let new = dir.path().join("new.csv");
    std::fs::write(
        &new,
        "level,file\n0.5,pictures/1.png\n0.1,pictures/none.png\n-0.5,pictures/2.png\n",
    )
    .unwrap();
    let settings = settings(dir.path());
    let cx = wgrad::data::InputContext {
        settings: &settings,
        fitted: &fitted,
        model: "m",
        image: Some([8, 8, 1]),
        invert: false,
    };
    let read = fitted
        .format
        .unwrap()
        .read_inputs(&[PredictInput::Path(new)], &cx)
        .unwrap();
    let troubles: Vec<bool> = read
        .items
        .iter()
        .map(|item| item.trouble.is_some())
        .collect();
    assert_eq!((troubles, read.set.len()), (vec![false, true, false], 2));
    assert!(read.items[1].trouble.as_ref().unwrap().contains("line 3"));
}
