//! Data formats. Each is one file, with one line of registration at the end of this file; see `docs/adding-a-format.md`.

mod array;
mod boxes;
mod paired;
mod part_folders;
mod picture_files;
mod pictures;
mod pixels;
mod texts;

pub use cifar::load_cifar_dir;
pub use digits::digits;
pub use folder::ClassPattern;
pub use idx::load_idx_dir;
pub use masks::{MaskSet, MaskValue, Masks, load_masks};
pub use npz::{NpyArray, read_npy};
pub use picture_files::image_files;
pub use series::{Fill, SeriesOutline, read_last_window, target_scales};
pub use stories::StoryKind;
pub use table::{
    Column, ColumnKind, DateForm, Moment, NumberForm, Scale, SheetName, TableRow, TableRows,
    TargetKind, estimated_rows, read_rows,
};
pub use text_table::read_text_rows;
pub use texts::{ReadTexts, read_texts};

use super::permutation;
use super::profile::TableProfile;
use super::split::split_off;
use super::{DataError, DataSettings, Dataset, Fitted, ImageSet, Parts, Samples, Source};
use crate::error::{Error, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A data format.
pub trait Format: Sync {
    /// Name, the value of `data.format`.
    fn name(&self) -> &'static str;

    /// Description of a source of this format, such as "a NumPy archive", for use after "is" or a colon.
    fn about(&self) -> &'static str;

    /// The files or columns that [`detect`](Format::detect) looks for, for the message that no format was detected.
    fn looks_for(&self) -> &'static str;

    /// Whether `source` looks like this format. Only names and heads of files are read.
    fn detect(&self, source: &Source) -> Option<Detection>;

    /// Reads the parts of the source. Values fitted to the training part are stored in [`LoadContext::fitted`]; values already there
    /// are used instead.
    ///
    /// # Errors
    /// Names the file, and the line, column or record in it, that is wrong.
    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>>;

    /// Whether its images can be cut into tiles (`data.fit = "tile"`).
    fn cuts_tiles(&self) -> bool {
        false
    }

    /// Additional lines for `wgrad data show`.
    fn describe(&self, _fitted: &Fitted) -> Vec<String> {
        Vec::new()
    }

    /// The profile of the training file of `source`, which was loaded into `fitted`, for `wgrad data show`; `None` if it is no table.
    ///
    /// # Errors
    /// If the file can't be read.
    fn profile(
        &self,
        _source: &Source,
        _settings: &DataSettings,
        _fitted: &Fitted,
    ) -> Result<Option<TableProfile>> {
        Ok(None)
    }

    /// Reads inputs for the predictions of a run that was trained on this format.
    ///
    /// # Errors
    /// If nothing can be predicted. A single input that can't be read becomes a [`PredictItem`] with trouble.
    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs>;

    /// Writes a small source of this format into `dir`, for the shared tests.
    #[cfg(test)]
    fn sample(&self, dir: &Path) -> tests::Sample;
}

/// A detection of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Confidence up to 100. 100: the source is explicit; from 80: files that only this format has; from 60: the layout of files and
    /// folders fits; below: a file extension, or the content of a few cells. If two formats are less than [`MARGIN`] apart, a note
    /// mentions both.
    pub confidence: u8,
    /// The evidence, for use after "it has".
    pub reason: String,
}

impl Detection {
    /// A detection with a reason that continues "it has".
    pub fn new(confidence: u8, reason: impl Into<String>) -> Option<Detection> {
        Some(Detection {
            confidence,
            reason: reason.into(),
        })
    }
}

/// A note is given for formats whose confidence differs by less than this.
pub const MARGIN: u8 = 20;

/// Arguments of [`Format::load`].
pub struct LoadContext<'a> {
    /// The source.
    pub source: &'a Source,
    /// The user's settings.
    pub settings: &'a DataSettings,
    /// Values fitted to the training part.
    pub fitted: &'a mut Fitted,
    /// Seed of splits and drawn samples.
    pub seed: u64,
}

/// Labelled images from a source.
#[derive(Debug)]
struct LabelledImages<S = ImageSet> {
    parts: Parts<S>,
    classes: Vec<String>,
    /// Notes for the user.
    notes: Vec<String>,
    /// How the source was read: lines for the user.
    found: Vec<String>,
}

impl LoadContext<'_> {
    /// The data set, with missing parts split off.
    fn split<S: Into<Samples>>(&self, found: LabelledImages<S>) -> Result<Dataset<Samples>> {
        let parts = Parts {
            train: found.parts.train.into(),
            validation: found.parts.validation.map(S::into),
            test: found.parts.test.map(S::into),
        };
        let parts = split_off(parts, self.settings, self.seed)?;
        let mut dataset = Dataset::of_parts(self.source.path(), parts, found.classes);
        dataset.notes.extend(found.notes);
        dataset.found = found.found;
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
            found: set.found,
        }
    }
}

/// An input for predictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PredictInput {
    /// A file, or a folder of them.
    Path(PathBuf),
    /// A text.
    Text(String),
    /// The lines of standard input, each of which is a text.
    StandardInput,
}

/// Context of [`Format::read_inputs`].
#[derive(Clone, Copy, Debug)]
pub struct InputContext<'a> {
    /// The data settings of the run.
    pub settings: &'a DataSettings,
    /// The fitted values of the run.
    pub fitted: &'a Fitted,
    /// Name of its model, for messages.
    pub model: &'a str,
    /// `[height, width, channels]`, if the model takes images.
    pub image: Option<[usize; 3]>,
    /// For images, whether brightness is inverted.
    pub invert: bool,
}

/// Inputs for predictions, in the given order.
#[derive(Debug)]
pub struct PredictInputs {
    /// Each input, with its name or the reason why it can't be predicted.
    pub items: Vec<PredictItem>,
    /// Tables: the cells of each item.
    pub cells: Option<InputCells>,
    /// A sample for each item without trouble, or its tiles.
    pub set: Samples,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// The cells of the rows of a table.
#[derive(Debug)]
pub struct InputCells {
    /// Names of the columns.
    pub names: Vec<String>,
    /// The rows.
    pub rows: TableRows,
}

/// An image, a row, a text or a window to predict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictItem {
    /// Name: a file, a row of a file, or the text itself.
    pub name: String,
    /// The key of its name in a JSON line.
    pub key: &'static str,
    /// The image file from which it was read, if any.
    pub picture: Option<PathBuf>,
    /// Why it can't be predicted: a sentence.
    pub trouble: Option<String>,
}

impl PredictItem {
    /// A file, or a row of a file.
    pub fn file(name: impl ToString) -> PredictItem {
        PredictItem {
            name: name.to_string(),
            key: "file",
            picture: None,
            trouble: None,
        }
    }

    /// An image file.
    pub fn picture(path: &Path) -> PredictItem {
        PredictItem {
            picture: Some(path.to_owned()),
            ..PredictItem::file(path.display())
        }
    }

    /// A text, which is also its name.
    pub fn text(text: impl ToString) -> PredictItem {
        PredictItem {
            key: "text",
            ..PredictItem::file(text)
        }
    }

    /// The same item with `trouble`.
    pub fn but(self, trouble: impl ToString) -> PredictItem {
        PredictItem {
            trouble: Some(trouble.to_string()),
            ..self
        }
    }
}

/// The paths of `inputs`, for a format that does not take texts.
fn paths(inputs: &[PredictInput]) -> Result<Vec<&Path>> {
    let paths = inputs.iter().map(|input| match input {
        PredictInput::Path(path) => Ok(&**path),
        PredictInput::Text(_) | PredictInput::StandardInput => Err(Error::Config(
            "this run was not trained on texts; name files instead of --text or standard input"
                .to_string(),
        )),
    });
    paths.collect()
}

/// The single file of `inputs`, for a run that reads `what`.
fn only_file<'i>(inputs: &'i [PredictInput], what: &str) -> Result<&'i Path> {
    match paths(inputs)?[..] {
        [path] => Ok(path),
        _ => Err(Error::Config(format!(
            "this run reads {what}: name one CSV file"
        ))),
    }
}

/// Name of row `row`, from 1, of the table at `path`.
fn row_name(path: &Path, row: usize) -> String {
    format!("{} row {row}", path.display())
}

/// A format by its registered name, which `data.format` takes.
#[derive(Clone, Copy)]
pub struct FormatName(&'static dyn Format);

impl FormatName {
    /// The format called `name`.
    pub fn named(name: &str) -> Option<FormatName> {
        FORMATS.iter().copied().find(|format| format.name() == name)
    }

    /// Reads inputs as [`Format::read_inputs`] does, with the pixels of images in the order of `data.permutation`.
    ///
    /// # Errors
    /// As that, or if a run on permuted images is given something else.
    pub fn read_inputs(
        self,
        inputs: &[PredictInput],
        cx: &InputContext<'_>,
    ) -> Result<PredictInputs> {
        let mut read = self.0.read_inputs(inputs, cx)?;
        permutation::permute(&mut read.set, cx.settings.permutation)?;
        Ok(read)
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

impl JsonSchema for FormatName {
    fn schema_name() -> Cow<'static, str> {
        "format".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let format =
            |format: &FormatName| json!({ "const": format.name(), "description": format.about() });
        let formats: Vec<_> = FORMATS.iter().map(format).collect();
        json_schema!({ "type": "string", "oneOf": formats })
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

/// Detects the format of `source`. Returns the most confident format, and a note for each other that is almost as confident.
///
/// # Errors
/// If no format recognises it; the message lists what the formats look for.
pub fn detect(source: &Source) -> Result<(FormatName, Vec<String>), DataError> {
    let detections = FORMATS.iter().map(|format| (format, format.detect(source)));
    let mut found: Vec<(&FormatName, Detection)> = detections
        .filter_map(|(format, detection)| Some((format, detection?)))
        .collect();
    // Of equally confident formats, the first registered wins.
    found.sort_by_key(|(_, detection)| std::cmp::Reverse(detection.confidence));
    let Some(((format, best), others)) = found.split_first() else {
        // A folder that can't be read may hide what a format looks for.
        if !source.is_file() {
            let _ = source.tree().files_below(source.path())?;
        }
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
                "{} is read as {}, because it has {}; it also has {}: to read it as {}, set data.format = \"{}\"",
                source.word(),
                format.about(),
                best.reason,
                detection.reason,
                other.about(),
                other.name()
            )
        });
    Ok((**format, notes.collect()))
}

macro_rules! register {
    ($($module:ident::$format:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every format: those that [`detect`] tries, `data.format` accepts and the shared tests cover.
        pub static FORMATS: &[FormatName] = &[$(FormatName(&$module::$format)),*];
    };
}

register! {
    box_table::BoxTable,
    cifar::Cifar,
    coco::Coco,
    conll::Conll,
    digits::Digits,
    folder::Folder,
    idx::Idx,
    image_pairs::ImagePairs,
    manifest::Manifest,
    masks::Masks,
    npz::Npz,
    parallel::Parallel,
    series::Series,
    stories::Stories,
    table::Table,
    text::Text,
    text_folder::TextFolder,
    text_lines::TextLines,
    text_table::TextTable,
    voc::Voc,
    yolo::Yolo,
}

#[cfg(test)]
mod tests;
