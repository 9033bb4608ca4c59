//! What a user says about data: `[data]` of a run file. What is learned of them is [`Fitted`](super::Fitted).

use super::{FormatName, MaskValue, Part, PictureFit, TargetKind, TokenKind};
use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::path::Path;

/// Source of the digits that the program draws.
pub(super) const DIGITS: &str = "digits";
/// The most digits to draw for a set: their bytes are held in memory.
const MOST_DIGITS: usize = 1_000_000;

/// What to train and test on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// `digits` for the built-in ones, or a file or folder.
    pub source: String,
    /// What the source holds; detected if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FormatName>,
    /// Built-in digits: training images.
    pub train: usize,
    /// Built-in digits: test images.
    pub test: usize,
    /// The part that accuracy is measured on.
    pub evaluate: Part,
    /// Sources without a test part of their own: the share of the samples that becomes one, by the seed; a fifth if absent,
    /// of a text its last tenth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_share: Option<f64>,
    /// Sources without a validation part of their own: the share of the training samples that becomes one, by the seed; of a
    /// text, its end before the test part. None if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_share: Option<f64>,
    /// Classes whose samples are left out of the training and the validation part, but not of the test part: those that a run is
    /// to find without having seen them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub train_without: Vec<String>,
    /// Takes the place of parts: the samples are dealt to so many folds, and one of them is the test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// Whether samples without parts are all held out: to measure a run on data that it was not trained on.
    #[serde(skip)]
    pub unsplit: bool,
    /// Which of the folds that is, from 1.
    pub fold: usize,
    /// Image files: rows and columns to bring them to; what the model takes if absent.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "side_or_sides"
    )]
    pub size: Option<[usize; 2]>,
    /// Image files: 1 for grey, 3 for colour; what the model takes if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Image files: how they are brought to that size.
    pub fit: PictureFit,
    /// Image files: whether to leave out, and tell of, those that can't be read.
    pub skip_bad: bool,
    /// Manifests: the column that names the picture files; the one whose cells do, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Tables: the column to predict; one called target, label, class or y, else the last, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Tables: whether that is a class or a number; detected if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predict: Option<TargetKind>,
    /// Tables: whether the first row is a header; detected if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Tables: columns to leave out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Tables: columns of numbers that are categories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Tables of texts: the column of the text; one called text, sentence, review or content, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Texts: what they are cut into.
    pub tokens: TokenKind,
    /// Texts: the most tokens that a tokenizer of words or byte pairs learns.
    pub vocabulary: usize,
    /// Texts and series: tokens, or rows, of a sample; what the model takes of a text, else 128, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Texts and series: tokens, or rows, from one training sample to the next. If absent, 1 of a series, and samples of a
    /// text begin anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Series: rows to predict after a sample.
    pub horizon: usize,
    /// Series: rows after which it repeats itself, such as the 24 hours of a day; for the naive forecast that results are held to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season: Option<usize>,
    /// Series: to what the columns of every window are brought.
    #[serde(skip_serializing_if = "is_none")]
    pub window_norm: WindowNorm,
    /// Series: columns to predict; all that are read if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Series and masks: rows, or pictures, of the training, validation and test part, one after another; shares of the whole
    /// if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<[usize; 3]>,
    /// Subtracted from each channel of a pixel in [0, 1]; that of the training set if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// Divides each channel after that; that of the training set if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// Masks: the grey values or colours that are the classes, in that order; those in the training masks, sorted, if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mask_values: Vec<MaskValue>,
    /// Masks: the name of each of these; the value itself if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mask_classes: Vec<String>,
    /// Whether batches are sent from the host one by one; only if the set does not fit on the device, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
}

impl Default for DataSettings {
    fn default() -> Self {
        DataSettings {
            source: DIGITS.to_string(),
            format: None,
            train: 12_000,
            test: 2_000,
            evaluate: Part::Test,
            test_share: None,
            validation_share: None,
            train_without: Vec::new(),
            folds: None,
            fold: 1,
            unsplit: false,
            size: None,
            channels: None,
            fit: PictureFit::Crop,
            skip_bad: false,
            image: None,
            target: None,
            predict: None,
            header: None,
            drop: Vec::new(),
            categories: Vec::new(),
            text: None,
            tokens: TokenKind::Characters,
            vocabulary: 8192,
            context: None,
            stride: None,
            horizon: 1,
            season: None,
            window_norm: WindowNorm::None,
            targets: Vec::new(),
            parts: None,
            mean: None,
            std: None,
            mask_values: Vec::new(),
            mask_classes: Vec::new(),
            stream: None,
        }
    }
}

impl DataSettings {
    /// Whether the data are the digits that the program draws.
    pub fn is_built_in(&self) -> bool {
        self.source == DIGITS
    }

    /// Checks what can be checked without the data.
    ///
    /// # Errors
    /// Names the first setting that can't be.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        let counts = [self.train, self.test];
        if self.is_built_in() && counts.iter().any(|n| !(1..=MOST_DIGITS).contains(n)) {
            return wrong(format!(
                "data.train and data.test must be from 1 to {MOST_DIGITS}"
            ));
        }
        let shares = [
            ("test_share", self.test_share()),
            ("validation_share", self.validation_share.unwrap_or(0.1)),
        ];
        for (name, share) in shares {
            if !(share > 0.0 && share < 1.0) {
                return wrong(format!("data.{name} must be above 0 and below 1"));
            }
        }
        if self
            .folds
            .is_some_and(|folds| folds < 2 || !(1..=folds).contains(&self.fold))
        {
            return wrong(
                "data.folds must be at least 2, and data.fold from 1 to that".to_string(),
            );
        }
        if self.folds.is_none() && self.fold != 1 {
            return wrong(format!(
                "data.fold is {}, but data.folds does not say of how many; set it too",
                self.fold
            ));
        }
        let (stride, season) = (self.stride.unwrap_or(1), self.season.unwrap_or(1));
        let counts = [self.context(), self.horizon, stride, season];
        if counts.iter().any(|n| !(1..=1 << 20).contains(n)) || self.vocabulary > 1 << 20 {
            return wrong("data.context, data.horizon, data.stride, data.season and data.vocabulary must be from 1 to 1048576".to_string());
        }
        let sides = self.size.into_iter().flatten();
        if sides.into_iter().any(|side| !(1..=4096).contains(&side)) {
            return wrong("data.size must be from 1 to 4096".to_string());
        }
        Ok(())
    }

    /// The share of the samples that becomes a test part.
    pub(super) fn test_share(&self) -> f64 {
        self.test_share.unwrap_or(0.2)
    }

    /// Tokens, or rows, of a sample.
    pub fn context(&self) -> usize {
        self.context.unwrap_or(128)
    }

    /// Takes a source that is a path as relative to `folder`.
    pub(crate) fn relative_to(&mut self, folder: &Path) {
        if !self.is_built_in() {
            self.source = folder.join(&self.source).display().to_string();
        }
    }

    /// Makes the path of the source absolute.
    pub(crate) fn make_absolute(&mut self) {
        if !self.is_built_in()
            && let Ok(path) = Path::new(&self.source).canonicalize()
        {
            self.source = path.display().to_string();
        }
    }
}

/// To what the columns of a window are brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowNorm {
    /// They stay what they are.
    #[default]
    None,
    /// The last row is subtracted (NLinear, Zeng et al. 2022).
    Last,
    /// Mean 0 and variance 1 within the window: reversible instance normalization (RevIN, Kim et al. 2022), without weights.
    Instance,
}

fn is_none(norm: &WindowNorm) -> bool {
    *norm == WindowNorm::None
}

/// Reads `32` as `[32, 32]`.
fn side_or_sides<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<[usize; 2]>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected one number of pixels, or [height, width]"
    )]
    enum Size {
        Side(usize),
        Sides([usize; 2]),
    }
    Ok(Some(match Size::deserialize(deserializer)? {
        Size::Side(side) => [side, side],
        Size::Sides(sides) => sides,
    }))
}
