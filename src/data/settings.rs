//! Data settings: `[data]` of a run file. Values fitted to the data are in [`Fitted`](super::Fitted).

use super::{
    Background, ByteCount, ClassPattern, Fill, FormatName, MaskValue, Part, PictureFit, SheetName,
    StoryKind, TargetKind, Tiling, TokenKind,
};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::Path;

/// Source of the built-in digits.
pub const DIGITS: &str = "digits";
/// The built-in stories with questions.
pub(crate) const STORIES: &str = "stories";
/// Maximum number of pieces of a numeric column.
const MOST_PIECES: usize = 1024;
/// Maximum number of digits per set, since their bytes are held in memory.
const MOST_DIGITS: usize = 1_000_000;

/// Data to train and test on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// `digits` for the built-in ones, or a file or folder.
    pub source: String,
    /// Format of the source; detected if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FormatName>,
    /// Built-in digits: training images.
    pub train: usize,
    /// Built-in digits: test images.
    pub test: usize,
    /// The part that epochs are evaluated on.
    pub evaluate: Part,
    /// Sources without a test part: the share of the samples to split off, chosen by the seed; if absent a fifth or, for a text,
    /// the last tenth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_share: Option<f64>,
    /// Sources without a validation part: the share of the training samples to split off, chosen by the seed; for a text, its end
    /// before the test part. No validation part if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_share: Option<f64>,
    /// Classes whose samples are removed from the training and validation parts, but not from the test part: those that a run
    /// should detect without having seen them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub train_without: Vec<String>,
    /// Classes whose samples alone are used, in all parts; all if empty. The list of classes stays whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Classes that come first in the list of classes, whether or not the data have samples of them: those of the run that a run goes on
    /// from, which sets this.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_classes: Vec<String>,
    /// How many of the training samples keep their classes, equally many of each class, chosen by the seed: from 1 on their number, below
    /// 1 their share. Tasks that learn from samples without classes use the others, too; all other tasks train on these alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labelled: Option<f64>,
    /// Whether samples without classes are kept. Tasks that learn from them set this.
    #[serde(skip_serializing_if = "is_false")]
    pub unlabelled: bool,
    /// Seed by which samples become test and validation parts or folds, and keep their classes; that of the run if absent. Runs whose
    /// predictions are averaged need the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// Replaces the parts: the samples are divided into this many folds, one of which is the test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<usize>,
    /// Whether all samples of a source without parts are held out, to evaluate a run on data that it was not trained on.
    #[serde(skip)]
    pub unsplit: bool,
    /// The fold that is held out, from 1.
    pub fold: usize,
    /// Image files: rows and columns to scale them to; those of the model's input if absent.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "side_or_sides"
    )]
    #[schemars(with = "Option<Size>")]
    pub size: Option<[usize; 2]>,
    /// Image files: 1 for grey, 3 for colour; that of the model's input if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Image files: how they are scaled to that size.
    pub fit: PictureFit,
    /// Images that are cut into tiles (`fit = "tile"`): pixels that neighbouring tiles share; a quarter of a tile if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<usize>,
    /// Image files: the colour on which transparent images are put.
    pub background: Background,
    /// Image files: whether to skip files that can't be read, with a note.
    pub skip_bad: bool,
    /// Folders of images: where the names of files hold the class, such as `{class}_*` for `cat_1.jpg`: `{class}` is the class, `#`
    /// a number, `*` any text. If absent, folders are classes or, if all images are in one folder, a pattern is detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_pattern: Option<ClassPattern>,
    /// Manifests: the column with the image files; detected if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Tables: the column to predict; if absent, one called target, label, class or y, or else the last. Tagged words: the number of
    /// the column of the tags, counted from 1; the last if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Tables: whether the target is a class or a number, or a row has any of several labels; detected if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predict: Option<TargetKind>,
    /// Tables: whether the first row is a header; detected if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// Tables in workbooks (`.xlsx`, `.xls`, `.xlsb`, `.ods`): the sheet to read, by its name, or by its number from 1; the first one
    /// with cells if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<SheetName>,
    /// Tables: columns to ignore.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Tables: columns to read although they look like an index of the rows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// Tables: numeric columns to treat as categories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Tables: columns that divide the rows into groups, for tasks that learn to treat groups alike; whether a model sees them is up to
    /// `drop`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Tables: maximum number of pieces into which each numeric column is cut, so that a network can treat small and large numbers
    /// differently; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub pieces: usize,
    /// Tables of texts: the column of the text; if absent, one called text, sentence, review or content, or the one of two that holds
    /// texts. Tagged words: the number of the column of the words, counted from 1; the first if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Texts with translations: the language of the texts, which is the ending of their files; if absent, the first of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_language: Option<String>,
    /// Texts with translations: the language of the translations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_language: Option<String>,
    /// Texts: kind of tokens; if absent, characters for a text, words for a table of texts, and byte pairs for texts with
    /// translations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenKind>,
    /// Texts: maximum vocabulary of a tokenizer of words or byte pairs.
    pub vocabulary: usize,
    /// Texts: the folder of a run whose tokenizer is used, so that its weights fit; if absent, one is trained on the training part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Texts: whether the last token of the vocabulary is a mask, as a masked language model needs it. Its task sets this.
    #[serde(skip_serializing_if = "is_false")]
    pub mask_token: bool,
    /// Texts and series: tokens or rows per sample; if absent, what the model takes for a text, or else 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Texts with classes, lines and translations: numbers of tokens below the context. Training batches of texts that are no longer
    /// are padded to the smallest that fits instead of the context, which takes less time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<usize>,
    /// Texts and series: tokens or rows from one training sample to the next. If absent, 1 for a series, and random positions for
    /// a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Series: the column of the dates, by which rows are sorted; the first column if absent and if it holds dates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Series: what becomes of missing cells.
    #[serde(skip_serializing_if = "Fill::is_default")]
    pub fill: Fill,
    /// Series: number of rows to predict after a sample.
    pub horizon: usize,
    /// Series: period in rows, such as 24 for the hours of a day; for the seasonal naive forecast that results are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub season: Option<usize>,
    /// Series: normalisation of each window.
    #[serde(skip_serializing_if = "is_none")]
    pub window_norm: WindowNorm,
    /// Tables and manifests: several columns to predict instead of `target`, all numbers, or labels of 0 and 1. Series: columns to
    /// predict; all columns that are read if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Series and masks: number of rows, or images, of the training, validation and test parts, in sequence; split by shares if
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<[usize; 3]>,
    /// Mean to subtract from each channel of a pixel in [0, 1]; that of the training set if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// Standard deviation to divide each channel by; that of the training set if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// Masks: the grey values or colours of the classes, in order; if empty, those in the training masks, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mask_values: Vec<MaskValue>,
    /// Masks: the grey values or colours of pixels without a class, which count neither in the loss nor in a score.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mask_ignore: Vec<MaskValue>,
    /// Masks: the names of the classes; the values themselves if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mask_classes: Vec<String>,
    /// Built-in stories: what is asked.
    #[serde(skip_serializing_if = "StoryKind::is_one_fact")]
    pub stories: StoryKind,
    /// Images: the number of a permutation, in which the pixels of every image are put, also of those that are predicted; 0 for none.
    #[serde(skip_serializing_if = "is_no_permutation")]
    pub permutation: u32,
    /// Whether to stream batches from the host; if absent, only if the set does not fit on the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// Image files: if the pixels of all images need more memory than this, they are decoded as they are needed, and only as many are
    /// kept in memory as fit. A number of bytes, or a text such as `1 GB`; a third of the free memory if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<ByteCount>,
}

/// Whether `source` names data that the program makes.
pub fn is_built_in(source: &str) -> bool {
    [DIGITS, STORIES].contains(&source)
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
            only: Vec::new(),
            known_classes: Vec::new(),
            labelled: None,
            seed: None,
            unlabelled: false,
            folds: None,
            fold: 1,
            unsplit: false,
            size: None,
            channels: None,
            fit: PictureFit::Crop,
            overlap: None,
            background: Background::default(),
            skip_bad: false,
            class_pattern: None,
            image: None,
            target: None,
            predict: None,
            header: None,
            sheet: None,
            drop: Vec::new(),
            keep: Vec::new(),
            categories: Vec::new(),
            groups: Vec::new(),
            pieces: 0,
            text: None,
            source_language: None,
            target_language: None,
            tokens: None,
            vocabulary: 8192,
            tokenizer: None,
            mask_token: false,
            context: None,
            buckets: Vec::new(),
            stride: None,
            date: None,
            fill: Fill::default(),
            horizon: 1,
            season: None,
            window_norm: WindowNorm::None,
            targets: Vec::new(),
            parts: None,
            mean: None,
            std: None,
            mask_values: Vec::new(),
            mask_ignore: Vec::new(),
            mask_classes: Vec::new(),
            stories: StoryKind::default(),
            permutation: 0,
            stream: None,
            memory_limit: None,
        }
    }
}

impl DataSettings {
    /// Whether the program makes the data.
    pub fn is_built_in(&self) -> bool {
        is_built_in(&self.source)
    }

    /// Names the column to predict and, for a series, the column of its dates, where they are given.
    pub fn name_columns(&mut self, target: Option<&str>, date: Option<&str>) {
        let series = FormatName::named("series");
        if let Some(date) = date {
            self.date = Some(date.to_string());
            self.format = series;
        }
        if let Some(target) = target {
            match self.format.is_some() && self.format == series {
                true => self.targets = vec![target.to_string()],
                false => self.target = Some(target.to_string()),
            }
        }
    }

    /// Checks all settings that don't depend on the data.
    ///
    /// # Errors
    /// Names the first invalid setting.
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
        if let Some(labelled) = self.labelled
            && !(labelled > 0.0 && (labelled < 1.0 || labelled.fract() == 0.0))
        {
            return wrong(format!(
                "data.labelled is {labelled}, but must be a number of samples, from 1 on, or a share above 0 and below 1"
            ));
        }
        if self
            .folds
            .is_some_and(|folds| folds < 2 || !(1..=folds).contains(&self.fold))
        {
            return wrong(
                "data.folds must be at least 2, and data.fold from 1 to data.folds".to_string(),
            );
        }
        if self.folds.is_none() && self.fold != 1 {
            return wrong(format!(
                "data.fold is {}, but data.folds is not set; set it, too",
                self.fold
            ));
        }
        let (stride, season) = (self.stride.unwrap_or(1), self.season.unwrap_or(1));
        if self
            .buckets
            .iter()
            .any(|bucket| !(2..self.context()).contains(bucket))
        {
            return wrong(format!(
                "data.buckets must be numbers of tokens from 2 to below the context, {}",
                self.context()
            ));
        }
        let counts = [self.context(), self.horizon, stride, season];
        if counts.iter().any(|n| !(1..=1 << 20).contains(n)) || self.vocabulary > 1 << 20 {
            return wrong("data.context, data.horizon, data.stride, data.season and data.vocabulary must be from 1 to 1048576".to_string());
        }
        if self.pieces > MOST_PIECES {
            return wrong(format!("data.pieces must be at most {MOST_PIECES}"));
        }
        if self.sheet == Some(SheetName::Number(0)) {
            return wrong("data.sheet counts the sheets from 1".to_string());
        }
        let sides = self.size.into_iter().flatten();
        if sides.into_iter().any(|side| !(1..=4096).contains(&side)) {
            return wrong("data.size must be from 1 to 4096".to_string());
        }
        match (self.fit, self.size) {
            (PictureFit::Tile, Some(size)) => Tiling::new(size, self.overlap).map(|_| ())?,
            (PictureFit::Tile, None) => {}
            _ if self.overlap.is_some() => {
                return wrong(
                    "data.overlap is for images that are cut into tiles; set data.fit = \"tile\", or leave it out"
                        .to_string(),
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// The share of the samples to split off as test part.
    pub(super) fn test_share(&self) -> f64 {
        self.test_share.unwrap_or(0.2)
    }

    /// Tokens, or rows, of a sample.
    pub fn context(&self) -> usize {
        self.context.unwrap_or(128)
    }

    /// Resolves relative paths of the source and of a tokenizer against `folder`.
    pub(crate) fn relative_to(&mut self, folder: &Path) {
        if let Some(tokenizer) = &mut self.tokenizer {
            *tokenizer = folder.join(&*tokenizer).display().to_string();
        }
        if !self.is_built_in() {
            self.source = folder.join(&self.source).display().to_string();
        }
    }

    /// Makes the paths of the source and of a tokenizer absolute.
    pub(crate) fn make_absolute(&mut self) {
        if let Some(tokenizer) = &mut self.tokenizer
            && let Ok(path) = Path::new(&*tokenizer).canonicalize()
        {
            *tokenizer = path.display().to_string();
        }
        if !self.is_built_in()
            && let Ok(path) = Path::new(&self.source).canonicalize()
        {
            self.source = path.display().to_string();
        }
    }
}

/// Normalisation of each window of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowNorm {
    /// None.
    #[default]
    None,
    /// The last row is subtracted (NLinear, Zeng et al. 2022).
    Last,
    /// Mean 0 and variance 1 within the window: reversible instance normalization (RevIN, Kim et al. 2022), without weights.
    Instance,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn is_no_permutation(number: &u32) -> bool {
    *number == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_none(norm: &WindowNorm) -> bool {
    *norm == WindowNorm::None
}

/// One number of pixels, or `[height, width]`.
#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected one number of pixels, or [height, width]"
)]
enum Size {
    /// The same for both.
    Side(usize),
    /// `[height, width]`.
    Sides([usize; 2]),
}

/// Reads `32` as `[32, 32]`.
fn side_or_sides<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<[usize; 2]>, D::Error> {
    Ok(Some(match Size::deserialize(deserializer)? {
        Size::Side(side) => [side, side],
        Size::Sides(sides) => sides,
    }))
}
