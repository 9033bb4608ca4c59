//! Data sets: the built-in digits, files in common formats, and the order in which samples are visited.

mod batch;
mod brightness;
mod buckets;
mod byte_count;
mod channels;
mod class_choice;
mod decoders;
mod digest;
mod error;
pub mod field;
mod files;
mod fitted;
mod formats;
mod groups;
mod joined;
mod jpeg;
pub(crate) mod labelled;
mod letters;
mod listing;
mod load;
mod naive;
mod names;
mod on_disk;
mod order;
mod overlap;
mod packed;
mod permutation;
mod picture;
pub mod profile;
mod samples;
mod settings;
mod sheet;
mod source;
mod spilled;
mod split;
mod stream;
mod temperature;
mod texts;
mod thresholds;
mod tiff;
mod tiles;
mod tokenizer;

pub(crate) use batch::VALID_ROWS;
pub use batch::{Batch, Normalization, SetLayout};
pub(crate) use buckets::Buckets;
pub use byte_count::ByteCount;
pub use channels::ChannelStats;
pub use digest::{PartContent, compare_digests};
pub use error::DataError;
pub use field::{Field, FieldValues};
pub use fitted::Fitted;
pub use formats::{
    ClassPattern, Column, ColumnKind, DateForm, Detection, FORMATS, Fill, Format, FormatName,
    InputCells, InputContext, LoadContext, MaskSet, MaskValue, Masks, Moment, NpyArray, NumberForm,
    PredictInput, PredictInputs, PredictItem, ReadTexts, Scale, SeriesOutline, SheetName,
    StoryKind, TableRow, TableRows, TargetKind, detect, digits, estimated_rows, image_files,
    load_cifar_dir, load_idx_dir, load_masks, read_last_window, read_npy, read_rows,
    read_text_rows, read_texts, target_scales,
};
pub use groups::{GroupColumn, MOST_GROUPS, SampleGroups};
pub(crate) use letters::{GLYPH, write_letters};
pub use listing::{Listing, with_changed_files};
pub use load::load;
pub use naive::{NaiveForecast, naive_forecasts, rows_before};
pub use names::{SampleName, SampleNames, SeriesRows};
pub use on_disk::{PictureFiles, decoding_threads};
pub use order::{drawn, most_drawn, random_starts, sequential, shuffled};
pub use overlap::overlap;
pub(crate) use picture::read_colours;
pub use picture::{Background, PictureFit, PictureShape, Placement, Survey, read_picture};
pub use samples::{Pictures, RowSet, Samples, Starts, Targets, WindowRows};
pub use settings::{DIGITS, DataSettings, WindowNorm, is_built_in};
pub use sheet::{contact_sheet, save_sheet};
pub use source::{Entry, Source};
pub(crate) use stream::{BatchStream, HostBatch, Pass, pack, variables};
pub use temperature::FittedTemperature;
pub use thresholds::{GroupThreshold, GroupThresholds};
pub use tiles::{Mosaic, Tiles, Tiling, WholePicture};
pub use tokenizer::{Decoder, Encoder, MASK, PADDING, TokenKind, Tokenizer};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Images as bytes, NHWC, with one label each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSet {
    /// `len() * height * width * channels` bytes, channels fastest.
    pub images: Vec<u8>,
    /// One class index for each image.
    pub labels: Vec<u32>,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Bytes of a pixel.
    pub channels: usize,
}

impl ImageSet {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Appends the images of `other`, which must have the same shape.
    ///
    /// # Panics
    ///
    /// If they don't.
    pub fn extend(&mut self, other: &ImageSet) {
        let shape = |set: &ImageSet| [set.height, set.width, set.channels];
        assert_eq!(shape(self), shape(other), "images of two shapes");
        self.images.extend_from_slice(&other.images);
        self.labels.extend_from_slice(&other.labels);
    }

    /// The bytes of one image, `[height, width, channels]`.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> &[u8] {
        let bytes = self.height * self.width * self.channels;
        &self.images[index * bytes..][..bytes]
    }
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The training part.
    Train,
    /// The validation part: for early stopping and model selection.
    Validation,
    /// The test part: for the final result.
    #[default]
    Test,
}

impl Part {
    /// Name, as in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        }
    }
}

/// A training set and a test set over the same classes. Image readers return one of [`ImageSet`]s, which is converted to one of
/// [`Samples`].
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset<S = ImageSet> {
    /// Name of the set in reports.
    pub name: String,
    /// The training part.
    pub train: S,
    /// The validation part, if there is one.
    pub validation: Option<S>,
    /// The test part, or the part that is evaluated.
    pub test: S,
    /// The name of each class; every label is an index into it. Empty if targets are numbers.
    pub classes: Vec<String>,
    /// Notes for the user, such as files that were skipped.
    pub notes: Vec<String>,
    /// How a source was read, if that was not obvious: lines for the user.
    pub found: Vec<String>,
}

/// The parts of a source.
#[derive(Debug)]
pub(crate) struct Parts<S = ImageSet> {
    pub train: S,
    pub validation: Option<S>,
    pub test: Option<S>,
}

impl<S: Clone> Dataset<S> {
    /// The data set in `path`. If there is no test part, the validation part takes its place.
    pub(crate) fn of_parts(path: &Path, parts: Parts<S>, classes: Vec<String>) -> Dataset<S> {
        let mut notes = Vec::new();
        let (validation, test) = match (parts.validation, parts.test) {
            (validation, Some(test)) => (validation, test),
            (Some(validation), None) => {
                notes
                    .push("there is no test part: the validation part takes its place".to_string());
                (None, validation)
            }
            (None, None) => {
                notes.push("there is no test part: the training part takes its place".to_string());
                (None, parts.train.clone())
            }
        };
        Dataset {
            name: files::set_name(path),
            train: parts.train,
            validation,
            test,
            classes,
            notes,
            found: Vec::new(),
        }
    }
}

impl<S: Clone + Into<Samples>> Dataset<S> {
    /// A data set in memory. Every label must be below the number of `classes`.
    ///
    /// # Errors
    /// If a set is empty, shapes differ, or a label is out of range.
    pub fn new(
        name: impl Into<String>,
        train: S,
        test: S,
        classes: Vec<String>,
    ) -> Result<Dataset<S>, DataError> {
        let name = name.into();
        let [a, b]: [Samples; 2] = [train.clone().into(), test.clone().into()];
        a.check(&name, classes.len())?;
        b.check(&name, classes.len())?;
        if a.shape() != b.shape() {
            let problem = format!(
                "has training samples of {:?} but test samples of {:?}",
                a.shape(),
                b.shape()
            );
            return Err(DataError::unusable(&*name, problem));
        }
        Ok(Dataset {
            name,
            train,
            validation: None,
            test,
            classes,
            notes: Vec::new(),
            found: Vec::new(),
        })
    }
}

impl Dataset {
    /// Mean and standard deviation of the training pixels, for normalising both sets.
    pub fn mean_std(&self) -> ChannelStats {
        ChannelStats::of(Pictures::from(&self.train))
    }
}

impl<S: Into<Samples>> Dataset<S> {
    /// The same set as samples of named fields.
    pub fn into_samples(self) -> Dataset<Samples> {
        Dataset {
            name: self.name,
            train: self.train.into(),
            validation: self.validation.map(S::into),
            test: self.test.into(),
            classes: self.classes,
            notes: self.notes,
            found: self.found,
        }
    }
}

impl From<Dataset> for Dataset<Samples> {
    fn from(set: Dataset) -> Self {
        set.into_samples()
    }
}

/// The folder of a real data set: in the folder that WGRAD_DATA names, or else beside the repository. Prints if it is absent.
#[cfg(test)]
pub(crate) fn real_set(name: &str) -> Option<std::path::PathBuf> {
    let data = std::env::var_os("WGRAD_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        std::path::PathBuf::from,
    );
    let dir = data.join(name);
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: {name} is not in {}", data.display());
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_images() -> ImageSet {
        ImageSet {
            images: vec![0, 10, 255, 20, 0, 30, 255, 40],
            labels: vec![1, 0],
            height: 1,
            width: 2,
            channels: 2,
        }
    }

    #[test]
    fn an_image_is_its_own_bytes() {
        let set = two_images();
        assert_eq!(set.len(), 2);
        assert!(!set.is_empty());
        assert_eq!(set.image(0), [0, 10, 255, 20]);
        assert_eq!(set.image(1), [0, 30, 255, 40]);
    }
}
