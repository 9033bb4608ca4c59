//! Properties of every format: the tests run over the registry, with the sample that each format's file provides.

use super::*;
use crate::host_memory::tests::with_free;
use std::fs;

/// A small source of a format.
pub struct Sample {
    /// The value of `data.source`.
    pub source: String,
    /// Settings to read it with.
    pub settings: DataSettings,
    /// One of its files, and a length in bytes at which that file is clearly truncated.
    pub cut: Option<(PathBuf, usize)>,
    /// The folder of its files.
    pub dir: PathBuf,
}

/// Loads a folder with one file of this name and text; returns the message of an error.
pub fn in_folder(
    name: &str,
    text: &str,
    settings: &DataSettings,
) -> Result<Dataset<Samples>, String> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), text).unwrap();
    let settings = DataSettings {
        source: dir.path().display().to_string(),
        ..settings.clone()
    };
    crate::data::load(&settings, &mut Fitted::default(), 1).map_err(|e| e.to_string())
}

impl Sample {
    /// An empty folder that is read with default settings.
    pub fn in_folder(dir: &Path) -> Sample {
        Sample {
            source: dir.display().to_string(),
            settings: DataSettings::default(),
            cut: None,
            dir: dir.to_owned(),
        }
    }

    /// Adds a file.
    pub fn with(self, file: &str, bytes: impl AsRef<[u8]>) -> Sample {
        let path = self.dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// Declares that it is an error if `file` is truncated to `bytes` bytes.
    pub fn cut(self, file: &str, bytes: usize) -> Sample {
        Sample {
            cut: Some((self.dir.join(file), bytes)),
            ..self
        }
    }

    /// A grey image of one value, as a PNG file.
    pub fn png([width, height]: [u32; 2], value: u8) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::GrayImage::from_pixel(width, height, image::Luma([value]))
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    }
}

/// Calls `check` with every registered format and its sample.
fn each_format(check: impl Fn(FormatName, &Sample)) {
    for &format in FORMATS {
        let dir = tempfile::Builder::new().prefix("sample").tempdir().unwrap();
        let mut sample = format.sample(dir.path());
        sample.settings.source.clone_from(&sample.source);
        check(format, &sample);
    }
}

fn load(
    format: FormatName,
    settings: &DataSettings,
    fitted: &mut Fitted,
) -> Result<Dataset<Samples>> {
    let settings = DataSettings {
        format: Some(format),
        ..settings.clone()
    };
    crate::data::load(&settings, fitted, 3)
}

#[test]
fn names_are_words_that_settings_accept_and_give_back() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Written {
        format: FormatName,
    }
    let read = |name: &str| toml::from_str::<Written>(&format!("format = \"{name}\""));
    for format in FORMATS {
        let name = format.name();
        assert!(
            name.chars()
                .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_')),
            "{name}"
        );
        let same = FORMATS.iter().filter(|other| other.name() == name);
        assert_eq!(same.count(), 1, "{name}");
        let text = toml::to_string(&read(name).unwrap()).unwrap();
        assert_eq!(text.trim(), format!("format = \"{name}\""));
    }
    let message = read("tabel").unwrap_err().to_string();
    assert!(
        message.contains("unknown format `tabel`, expected one of `box_table`, `cifar`"),
        "{message}"
    );
}

#[test]
fn every_format_detects_its_own_sample_and_no_other_is_as_sure() {
    each_format(|format, sample| {
        let source = Source::look(&sample.source).unwrap();
        let own = format.detect(&source).unwrap();
        // A format whose sample sets `data.format` looks like another format.
        if sample.settings.format.is_some() {
            return;
        }
        for other in FORMATS.iter().filter(|other| **other != format) {
            let claims = other.detect(&source);
            let sure = claims.is_some_and(|claims| claims.confidence >= own.confidence);
            assert!(
                !sure,
                "{} claims a sample of {}",
                other.name(),
                format.name()
            );
        }
        let (found, notes) = detect(&source).unwrap();
        assert_eq!((found, notes), (format, Vec::new()));
    });
}

#[test]
fn a_sample_is_read_the_same_way_again_with_what_was_learned() {
    each_format(|format, sample| {
        let name = format.name();
        let mut fitted = Fitted::default();
        let set = load(format, &sample.settings, &mut fitted).unwrap();
        assert!(!set.train.is_empty() && !set.test.is_empty(), "{name}");
        assert_eq!(set.train.shape(), set.test.shape(), "{name}");
        assert_eq!(
            (fitted.format, &fitted.classes),
            (Some(format), &set.classes)
        );
        assert!(format.describe(&fitted).iter().all(|line| !line.is_empty()));
        let text = toml::to_string(&fitted).unwrap();
        let mut again = Fitted {
            tokenizer: fitted.tokenizer.clone(),
            ..toml::from_str(&text).unwrap()
        };
        assert_eq!(again, fitted, "{name}");
        let same = load(format, &sample.settings, &mut again).unwrap();
        assert_eq!((&same.train, &same.test), (&set.train, &set.test), "{name}");
        assert_eq!(again, fitted, "{name}");
    });
}

#[test]
fn a_file_cut_short_is_named_and_nothing_panics_wherever_it_is_cut() {
    each_format(|format, sample| {
        let Some((file, bytes)) = &sample.cut else {
            return;
        };
        let whole = fs::read(file).unwrap();
        let read = |bytes: usize| {
            fs::write(file, &whole[..bytes]).unwrap();
            load(format, &sample.settings, &mut Fitted::default())
        };
        let message = read(*bytes).unwrap_err().to_string();
        let name = file.file_name().unwrap().to_string_lossy();
        assert!(message.contains(&*name), "{}: {message}", format.name());
        let step = (whole.len() / 40).max(1);
        for bytes in (0..whole.len()).step_by(step) {
            let _ = read(bytes);
            let _ = detect(&Source::look(&sample.source).unwrap());
        }
    });
}

#[test]
fn an_input_that_is_not_there_is_reported_and_texts_are_for_formats_of_texts() {
    each_format(|format, sample| {
        let mut fitted = Fitted::default();
        let set = load(format, &sample.settings, &mut fitted).unwrap();
        let cx = InputContext {
            settings: &sample.settings,
            fitted: &fitted,
            model: "m",
            image: set.train.shape()[..].try_into().ok(),
            invert: false,
        };
        let read = |input| format.read_inputs(&[input], &cx);
        if let Ok(inputs) = read(PredictInput::Path("not/there".into())) {
            let message = inputs.items.iter().all(|item| item.trouble.is_some());
            assert!(message && inputs.set.is_empty(), "{}", format.name());
        }
        let text = read(PredictInput::Text("text 3".into()));
        match format.name() {
            "text_table" | "text_folder" | "text_lines" | "conll" | "parallel" | "stories" => {
                assert_eq!(text.unwrap().set.len(), 1)
            }
            "text" => assert!(text.unwrap_err().to_string().contains("wgrad generate")),
            _ => assert!(
                text.unwrap_err()
                    .to_string()
                    .contains("was not trained on texts")
            ),
        }
    });
}

#[test]
fn pictures_are_inverted_where_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    Sample::in_folder(dir.path())
        .with("a.png", Sample::png([2, 2], 5))
        .with("b.png", "no picture");
    let (settings, fitted) = (DataSettings::default(), Fitted::default());
    let cx = InputContext {
        settings: &settings,
        fitted: &fitted,
        model: "m",
        image: Some([2, 2, 1]),
        invert: true,
    };
    let inputs = [PredictInput::Path(dir.path().to_owned())];
    let folder = FormatName::named("folder").unwrap();
    let read = folder.read_inputs(&inputs, &cx).unwrap();
    assert_eq!(read.set.pictures().unwrap().bytes, [250; 4]);
    let troubles: Vec<bool> = read
        .items
        .iter()
        .map(|item| item.trouble.is_some())
        .collect();
    assert_eq!(troubles, [false, true]);
    let without = InputContext { image: None, ..cx };
    let message = folder
        .read_inputs(&inputs, &without)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("model m does not take images"),
        "{message}"
    );
}

#[test]
fn images_to_predict_that_are_unlike_those_of_the_training_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    Sample::in_folder(dir.path())
        .with("a.png", Sample::png([2, 2], 220))
        .with("b.heic", "")
        .with("c", Sample::png([2, 2], 222));
    let settings = DataSettings::default();
    let fitted = Fitted {
        mean: vec![0.13],
        ..Fitted::default()
    };
    let cx = InputContext {
        settings: &settings,
        fitted: &fitted,
        model: "m",
        image: Some([2, 2, 1]),
        invert: false,
    };
    let inputs = [PredictInput::Path(dir.path().to_owned())];
    let folder = FormatName::named("folder").unwrap();
    let read = |cx: &InputContext<'_>| folder.read_inputs(&inputs, cx).unwrap();
    assert_eq!(
        read(&cx).notes,
        [
            "1 image is left out because it is of a kind that is not read (1 .heic): convert them to JPEG or PNG",
            "these images are much lighter than the training images (mean 0.87, training 0.13): try --invert"
        ]
    );
    assert_eq!(read(&cx).items.len(), 2);
    let inverted = InputContext { invert: true, ..cx };
    assert_eq!(read(&inverted).notes.len(), 1);
    let own_mean = DataSettings {
        mean: Some(vec![0.13]),
        ..DataSettings::default()
    };
    let unknown = InputContext {
        settings: &own_mean,
        ..cx
    };
    assert_eq!(read(&unknown).notes.len(), 1);
}

#[test]
fn what_no_format_knows_is_reported_with_all_that_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.md"), "no data").unwrap();
    let source = Source::look(&dir.path().display().to_string()).unwrap();
    let message = detect(&source).unwrap_err().to_string();
    for format in FORMATS {
        assert!(
            message.contains(format.about()) && message.contains(format.looks_for()),
            "{message}"
        );
    }
}

#[test]
fn a_source_that_looks_like_two_formats_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    let sample = Sample::in_folder(dir.path())
        .with("train.csv", "a,label\n1,no\n2,yes\n")
        .with("train.txt", "a text");
    let (format, notes) = detect(&Source::look(&sample.source).unwrap()).unwrap();
    assert_eq!(format.name(), "table");
    assert!(
        notes.len() == 1 && notes[0].contains("data.format = \"text\""),
        "{notes:?}"
    );
    // A table with dates may be meant as a series.
    let sample = sample.with("train.csv", "day,level\n2020-01-01,3.5\n2020-01-02,3\n");
    let (format, notes) = detect(&Source::look(&sample.source).unwrap()).unwrap();
    assert_eq!((format.name(), notes.len()), ("table", 2));
}

/// The built-in digits are no file.
#[test]
fn what_the_free_memory_does_not_hold_is_refused_in_a_sentence() {
    each_format(|format, sample| {
        let name = format.name();
        if name == "digits" {
            return;
        }
        let fresh = || load(format, &sample.settings, &mut Fitted::default());
        let message = with_free(0, fresh).unwrap_err().to_string();
        assert!(
            message.contains("GiB of memory, but only 0.0 GiB are free"),
            "{name}: {message}"
        );
        with_free(1 << 30, fresh).unwrap();
    });
}
