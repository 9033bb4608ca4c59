//! Fields: the named parts of a sample, such as `image`, `label`, `mask`, `tokens`, `window` or `target`.

use super::{ImageSet, PictureFiles, RowSet, Targets, WindowRows};
use std::sync::Arc;

/// An image: `f32 [height, width, channels]`, normalised by mean and standard deviation.
pub const IMAGE: &str = "image";
/// The same image of lower quality: `f32 [height, width, channels]`.
pub const DEGRADED: &str = "degraded";
/// The class of a sample: `u32 []`.
pub const LABEL: &str = "label";
/// The group of a sample, among those of the training part or those with a threshold of their own: `u32 []`.
pub const GROUP: &str = "group";
/// The class of every pixel: `f32 [height, width, 1]` of whole numbers.
pub const MASK: &str = "mask";
/// The encoded columns of a row of a table: `f32 [columns]`.
pub const ROW: &str = "row";
/// Consecutive rows of a series: `f32 [rows, columns]`.
pub const WINDOW: &str = "window";
/// The tokens of a text: `u32 [tokens]`.
pub const TOKENS: &str = "tokens";
/// The tokens of the translation of a text, after a token that begins it: `u32 [tokens]`. The last two tokens of the vocabulary
/// begin and end a translation.
pub const TARGET_TOKENS: &str = "target_tokens";
/// The token after each token: `u32 [tokens]`.
pub const NEXT: &str = "next";
/// The tag of each word of a sentence whose words are [`TOKENS`]: `u32 [tokens]`, without a meaning where these are padding.
pub const TAGS: &str = "tags";
/// The numbers to predict from a row of a table or an image: `f32 [1, numbers]`.
pub const VALUE: &str = "value";
/// The labels of a sample: 1 for one that it has, 0 for one that it has not, and [`NOT_KNOWN`]: `f32 [labels]`.
pub const LABELS: &str = "labels";
/// The value of a label of which it is not known whether a sample has it.
pub const NOT_KNOWN: f32 = -1.0;
/// The rows to predict after a window: `f32 [horizon, columns]`.
pub const TARGET: &str = "target";
/// The columns to predict within the window itself: `f32 [rows, columns]`.
pub const PAST: &str = "past";

/// The action that an agent took where it saw [`ROW`]: `u32 []`.
pub const ACTION: &str = "action";
/// The logarithm of the probability with which it took that action: `f32 [1, 1]`.
pub const LOG_PROBABILITY: &str = "log_probability";
/// How much better that action was than expected: `f32 [1, 1]`.
pub const ADVANTAGE: &str = "advantage";
/// The discounted sum of the rewards from then on: `f32 [1, 1]`.
pub const RETURN: &str = "return";
/// What the critic expected that sum to be before the update: `f32 [1, 1]`.
pub const OLD_VALUE: &str = "old_value";
/// The reward of the action: `f32 [1, 1]`.
pub const REWARD: &str = "reward";
/// What the agent saw after the action: `f32 [columns]`.
pub const NEXT_ROW: &str = "next_row";
/// 1 if the action led to a final state, else 0: `f32 [1, 1]`.
pub const TERMINATED: &str = "terminated";

/// The boxes of an image: `f32 [most, 6]`, rows of `x0, y0, x1, y1` in pixels, the class, and 1 for a crowd; [`NO_BOX`] after them.
pub const BOXES: &str = "boxes";
/// A row of [`BOXES`] that is no box.
pub const NO_BOX: [f32; 6] = [0.0, 0.0, 0.0, 0.0, -1.0, 0.0];

/// Whether the field `name` holds tokens that models take.
pub fn holds_tokens(name: &str) -> bool {
    [TOKENS, TARGET_TOKENS].contains(&name)
}

/// One field of every sample of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: FieldValues,
}

/// Storage of the values of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValues {
    /// Pixels as bytes, one sample after another; the device scales them to `(byte / 255 - mean) / std`.
    Pixels {
        /// `samples * shape` bytes, channels fastest.
        bytes: Vec<u8>,
        /// Height, width and channels.
        shape: [usize; 3],
    },
    /// The same pixels, in image files that are decoded when they are needed.
    Files(PictureFiles),
    /// Class indices as bytes, one for each pixel, one sample after another.
    ByteClasses {
        /// `samples * height * width` bytes.
        bytes: Vec<u8>,
        /// Height and width.
        shape: [usize; 2],
    },
    /// One class index for each sample.
    Labels(Vec<u32>),
    /// Windows of consecutive rows: of sample i the rows from `starts[i] + offset` on, where `starts` is that of the set.
    Windows {
        /// The rows of all samples. Fields that are windows of the same rows share them.
        rows: Arc<WindowRows>,
        /// Rows from the start of a sample to the first row of its window.
        offset: usize,
        /// Rows of a window.
        length: usize,
    },
}

impl Field {
    /// Shape of one sample's value.
    pub fn shape(&self) -> Vec<usize> {
        match &self.values {
            FieldValues::Pixels { shape, .. } => shape.to_vec(),
            FieldValues::Files(files) => files.shape().to_vec(),
            FieldValues::ByteClasses { shape, .. } => vec![shape[0], shape[1], 1],
            FieldValues::Labels(_) => Vec::new(),
            FieldValues::Windows { rows, length, .. } => match **rows {
                WindowRows::Tokens { .. } => vec![*length],
                WindowRows::Floats { columns, .. }
                    if [ROW, NEXT_ROW, LABELS].contains(&self.name) =>
                {
                    vec![columns]
                }
                WindowRows::Floats { columns, .. } => vec![*length, columns],
            },
        }
    }

    /// Bytes of the largest tensor that holds it on the device.
    pub(crate) fn device_bytes(&self) -> u64 {
        let bytes = match &self.values {
            FieldValues::Pixels { bytes, .. } | FieldValues::ByteClasses { bytes, .. } => {
                bytes.len()
            }
            FieldValues::Files(files) => files.bytes(),
            FieldValues::Labels(labels) => 4 * labels.len(),
            FieldValues::Windows { rows, .. } => match &**rows {
                WindowRows::Floats { values, .. } => 4 * values.len(),
                WindowRows::Tokens { tokens, .. } => 4 * tokens.len(),
            },
        };
        bytes as u64
    }

    /// The field of the samples at `kept`. Rows are shared, not copied.
    pub(super) fn kept(&self, kept: &[usize]) -> Field {
        Field {
            name: self.name,
            values: self.values.kept(kept),
        }
    }
}

impl FieldValues {
    /// The values of the samples at `kept`. Rows are shared, not copied.
    pub(super) fn kept(&self, kept: &[usize]) -> FieldValues {
        let chunks = |bytes: &[u8], each: usize| -> Vec<u8> {
            let mut chosen = Vec::with_capacity(kept.len() * each);
            kept.iter()
                .for_each(|&index| chosen.extend_from_slice(&bytes[index * each..][..each]));
            chosen
        };
        match self {
            FieldValues::Pixels { bytes, shape } => FieldValues::Pixels {
                bytes: chunks(bytes, shape.iter().product()),
                shape: *shape,
            },
            FieldValues::Files(files) => FieldValues::Files(files.kept(kept)),
            FieldValues::ByteClasses { bytes, shape } => FieldValues::ByteClasses {
                bytes: chunks(bytes, shape.iter().product()),
                shape: *shape,
            },
            FieldValues::Labels(labels) => {
                FieldValues::Labels(kept.iter().map(|&index| labels[index]).collect())
            }
            windows @ FieldValues::Windows { .. } => windows.clone(),
        }
    }
}

/// The fields of a set of images with a class each.
pub(super) fn of_images(set: ImageSet) -> Vec<Field> {
    let shape = [set.height, set.width, set.channels];
    let bytes = set.images;
    of_pictures(FieldValues::Pixels { bytes, shape }, set.labels)
}

/// The fields of `pixels` with a class each.
pub(super) fn of_pictures(pixels: FieldValues, labels: Vec<u32>) -> Vec<Field> {
    let fields = [(IMAGE, pixels), (LABEL, FieldValues::Labels(labels))];
    fields.map(|(name, values)| Field { name, values }).into()
}

/// The fields of windows of rows.
pub(super) fn of_rows(set: RowSet) -> Vec<Field> {
    let length = set.length;
    let rows = Arc::new(set.rows);
    let windows = |name, rows: &Arc<WindowRows>, offset, length| Field {
        name,
        values: FieldValues::Windows {
            rows: rows.clone(),
            offset,
            length,
        },
    };
    let input = match (&*rows, length) {
        (WindowRows::Tokens { .. }, _) => TOKENS,
        (WindowRows::Floats { .. }, 1) if !set.targets.are_ahead(length) => ROW,
        (WindowRows::Floats { .. }, _) => WINDOW,
    };
    let mut fields = vec![windows(input, &rows, 0, length)];
    match set.targets {
        Targets::None => {}
        Targets::Classes(labels) => fields.push(Field {
            name: LABEL,
            values: FieldValues::Labels(labels),
        }),
        Targets::Labels { values, labels } => {
            let values = Arc::new(WindowRows::Floats {
                values,
                columns: labels,
            });
            fields.push(windows(LABELS, &values, 0, 1));
        }
        Targets::NextToken => fields.push(windows(NEXT, &rows, 1, length)),
        Targets::Values {
            values,
            columns,
            offset,
            length: ahead,
        } => {
            let values = Arc::new(WindowRows::Floats { values, columns });
            if input == WINDOW {
                fields.push(windows(TARGET, &values, offset, ahead));
                fields.push(windows(PAST, &values, 0, length));
            } else {
                fields.push(windows(VALUE, &values, offset, ahead));
            }
        }
    }
    fields
}

impl Targets {
    /// Whether they are the rows after a sample of `length` rows, as the targets of a series are.
    fn are_ahead(&self, length: usize) -> bool {
        matches!(self, Targets::Values { offset, .. } if *offset >= length)
    }
}
