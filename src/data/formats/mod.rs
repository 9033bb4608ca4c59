//! The formats that data are kept in: one format, one file, one line of registration at the end of this one.
//! `docs/adding-a-format.md` adds one.

mod pictures;

pub use cifar::load_cifar_dir;
pub use digits::digits;
pub use folder::{image_files, read_pictures};
pub use idx::load_idx_dir;
pub use masks::{MaskSet, MaskValue, Masks, load_masks};
pub use series::{read_last_window, target_scales};
pub use table::{Column, ColumnKind, Scale, TargetKind, read_rows};
pub use text_table::{ReadTexts, read_text_rows, read_texts};

use super::split::split_off;
use super::{DataError, DataSettings, Dataset, Fitted, Parts, Samples, Source};
use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A format that data are kept in.
pub trait Format: Sync {
    /// The word for it in `data.format`.
    fn name(&self) -> &'static str;

    /// What a source of this format is, such as "a NumPy archive": for people, after "is" or a colon.
    fn about(&self) -> &'static str;

    /// The files or columns that [`detect`](Format::detect) looks for, for the message that nothing was found.
    fn looks_for(&self) -> &'static str;

    /// Whether `source` looks like it. Nothing is read but names and heads of files.
    fn detect(&self, source: &Source) -> Option<Detection>;

    /// Reads the parts of the source. What is learned of the training part is put into [`LoadContext::fitted`], and what is there
    /// already is used in its place.
    ///
    /// # Errors
    /// Names the file, and the line, column or record in it, that is wrong.
    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>>;

    /// Sentences on what was found, beside what every data set has, for `wgrad data show`.
    fn describe(&self, _fitted: &Fitted) -> Vec<String> {
        Vec::new()
    }

    /// Reads what is to be predicted by a run that learned from this format.
    ///
    /// # Errors
    /// If nothing of it can be predicted. An input that can't be read while others can is a [`PredictItem`] with trouble.
    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs>;

    /// Writes a small source of this format into `dir`, for the shared tests.
    #[cfg(test)]
    fn sample(&self, dir: &Path) -> tests::Sample;
}

/// That a source looks like a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// How sure that is, up to 100. 100: the source says it itself; from 80: files that only this format has; from 60: files and
    /// folders lie as it has them; below: an ending, or the look of a few cells. Where formats are less than [`MARGIN`] apart,
    /// the user hears of both.
    pub confidence: u8,
    /// What was seen, after "it has".
    pub reason: String,
}

impl Detection {
    /// A detection with a reason that goes on after "it has".
    pub fn new(confidence: u8, reason: impl Into<String>) -> Option<Detection> {
        Some(Detection {
            confidence,
            reason: reason.into(),
        })
    }
}

/// Formats whose confidence differs by no more than this are worth a note.
pub const MARGIN: u8 = 20;

/// What [`Format::load`] is given.
pub struct LoadContext<'a> {
    /// The look at the source.
    pub source: &'a Source,
    /// What the user set.
    pub settings: &'a DataSettings,
    /// What is learned of the training part.
    pub fitted: &'a mut Fitted,
    /// Of the splits, and of what is drawn.
    pub seed: u64,
}

/// What a reader of labelled images found.
#[derive(Debug)]
struct LabelledImages {
    parts: Parts,
    classes: Vec<String>,
    /// What the user should hear of.
    notes: Vec<String>,
}

impl LoadContext<'_> {
    /// The data set of what was found, with those parts split off that are missing.
    fn split(&self, found: LabelledImages) -> Result<Dataset<Samples>> {
        let parts = Parts {
            train: found.parts.train.into(),
            validation: found.parts.validation.map(Samples::from),
            test: found.parts.test.map(Samples::from),
        };
        let parts = split_off(parts, self.settings, self.seed)?;
        let mut dataset = Dataset::of_parts(self.source.path(), parts, found.classes);
        dataset.notes.extend(found.notes);
        Ok(dataset)
    }
}

impl From<Dataset> for LabelledImages {
    fn from(set: Dataset) -> Self {
        LabelledImages {
            parts: Parts {
                train: set.train,
                validation: set.validation,
                test: Some(set.test),
            },
            classes: set.classes,
            notes: set.notes,
        }
    }
}

/// What a run is to predict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PredictInput {
    /// A file, or a folder of them.
    Path(PathBuf),
    /// A text.
    Text(String),
    /// The lines of standard input, a text each.
    StandardInput,
}

/// What [`Format::read_inputs`] is given.
#[derive(Clone, Copy, Debug)]
pub struct InputContext<'a> {
    /// What the user set for the run.
    pub settings: &'a DataSettings,
    /// What the run learned.
    pub fitted: &'a Fitted,
    /// Name of its model, for messages.
    pub model: &'a str,
    /// `[height, width, channels]`, if the model takes images.
    pub image: Option<[usize; 3]>,
    /// Images: whether brightness is inverted.
    pub invert: bool,
}

/// What is to be predicted, in the order in which it was given.
#[derive(Clone, Debug)]
pub struct PredictInputs {
    /// What each sample is called, and what can't be one.
    pub items: Vec<PredictItem>,
    /// A sample for each item without trouble.
    pub set: Samples,
    /// What the user should hear of.
    pub notes: Vec<String>,
}

/// An image, a row, a text or a window to predict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictItem {
    /// What it is called: a file, a row of one, or the text itself.
    pub name: String,
    /// The key of its name in a line of JSON.
    pub key: &'static str,
    /// The picture file that it was read from, if it is one.
    pub picture: Option<PathBuf>,
    /// Why it can't be predicted: a sentence.
    pub trouble: Option<String>,
}

impl PredictItem {
    /// A file, or a row of one.
    pub fn file(name: impl ToString) -> PredictItem {
        PredictItem {
            name: name.to_string(),
            key: "file",
            picture: None,
            trouble: None,
        }
    }

    /// A picture file.
    pub fn picture(path: &Path) -> PredictItem {
        PredictItem {
            picture: Some(path.to_owned()),
            ..PredictItem::file(path.display())
        }
    }

    /// A text that is its own name.
    pub fn text(text: impl ToString) -> PredictItem {
        PredictItem {
            key: "text",
            ..PredictItem::file(text)
        }
    }

    /// The same with trouble.
    pub fn but(self, trouble: impl ToString) -> PredictItem {
        PredictItem {
            trouble: Some(trouble.to_string()),
            ..self
        }
    }
}

/// The paths among `inputs`, for a format that takes no texts.
fn paths(inputs: &[PredictInput]) -> Result<Vec<&Path>> {
    let paths = inputs.iter().map(|input| match input {
        PredictInput::Path(path) => Ok(&**path),
        PredictInput::Text(_) | PredictInput::StandardInput => Err(Error::Config(
            "this run did not learn from texts; name files in place of --text or standard input"
                .to_string(),
        )),
    });
    paths.collect()
}

/// The file that `inputs` are to be, for a run that reads `what`.
fn only_file<'i>(inputs: &'i [PredictInput], what: &str) -> Result<&'i Path> {
    match paths(inputs)?[..] {
        [path] => Ok(path),
        _ => Err(Error::Config(format!(
            "this run reads {what}: name one CSV file"
        ))),
    }
}

/// What row `row` of the table at `path` is called, from 1.
fn row_name(path: &Path, row: usize) -> String {
    format!("{} row {row}", path.display())
}

/// A format by its registered name, as `data.format` has it.
#[derive(Clone, Copy)]
pub struct FormatName(&'static dyn Format);

impl FormatName {
    /// The format that goes by `name`.
    pub fn named(name: &str) -> Option<FormatName> {
        FORMATS.iter().copied().find(|format| format.name() == name)
    }
}

impl Deref for FormatName {
    type Target = dyn Format;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for FormatName {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for FormatName {}

impl fmt::Debug for FormatName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FormatName({:?})", self.name())
    }
}

impl Serialize for FormatName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for FormatName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        FormatName::named(&name).ok_or_else(|| {
            let known: Vec<String> = FORMATS.iter().map(|f| format!("`{}`", f.name())).collect();
            serde::de::Error::custom(format!(
                "unknown format `{name}`, expected one of {}",
                known.join(", ")
            ))
        })
    }
}

/// Asks every format whether `source` looks like it. Gives the most confident, and a note for each other that is hardly less
/// so.
///
/// # Errors
/// If no format knows it: the message lists what was looked for.
pub fn detect(source: &Source) -> Result<(FormatName, Vec<String>), DataError> {
    let asked = FORMATS.iter().map(|format| (format, format.detect(source)));
    let mut found: Vec<(&FormatName, Detection)> = asked
        .filter_map(|(format, detection)| Some((format, detection?)))
        .collect();
    // The first registered of those that are equally sure.
    found.sort_by_key(|(_, detection)| std::cmp::Reverse(detection.confidence));
    let Some(((format, best), others)) = found.split_first() else {
        let looked_for = FORMATS
            .iter()
            .map(|format| format!("{} ({})", format.about(), format.looks_for()));
        return Err(DataError::UnknownFormat {
            path: source.path().to_owned(),
            looked_for: looked_for.collect::<Vec<_>>().join(", "),
        });
    };
    let notes = others
        .iter()
        .filter(|(_, other)| best.confidence - other.confidence < MARGIN)
        .map(|(other, detection)| {
            format!(
                "{} is taken for {} because it has {}; it also has {}, so set data.format = \"{}\" if it is {}",
                source.word(),
                format.about(),
                best.reason,
                detection.reason,
                other.name(),
                other.about()
            )
        });
    Ok((**format, notes.collect()))
}

macro_rules! register {
    ($($module:ident::$format:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every format: what [`detect`] asks, what `data.format` accepts, and what the shared tests walk over.
        pub static FORMATS: &[FormatName] = &[$(FormatName(&$module::$format)),*];
    };
}

register! {
    cifar::Cifar,
    digits::Digits,
    folder::Folder,
    idx::Idx,
    manifest::Manifest,
    masks::Masks,
    npz::Npz,
    series::Series,
    table::Table,
    text::Text,
    text_table::TextTable,
}

#[cfg(test)]
mod tests;
