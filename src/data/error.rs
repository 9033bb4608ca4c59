//! Errors of data sets on disk.

use std::path::PathBuf;

/// Why a data set could not be loaded. Every message is one sentence: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The folder does not exist, or is not a folder.
    #[error(
        "no data at {}: give a .csv, .npz or .txt file, a folder with IDX files, CIFAR-10 batches or one folder of images per class, or \
         `digits` for the built-in ones",
        path.display()
    )]
    NoFolder {
        /// The path.
        path: PathBuf,
    },

    /// No format recognises the source.
    #[error(
        "no known data format in {}: looked for {looked_for}; provide one of these, or set data.format",
        path.display()
    )]
    UnknownFormat {
        /// The source.
        path: PathBuf,
        /// All formats and what they look for.
        looked_for: String,
    },

    /// A validation part is requested, but there is none.
    #[error(
        "{} has no validation part to evaluate on; provide one in `val` beside the other parts, set data.validation_share, or set evaluate = \"test\"",
        path.display()
    )]
    NoValidation {
        /// The source.
        path: PathBuf,
    },

    /// Too few samples to split.
    #[error(
        "{samples} samples are too few for the requested parts; add samples, or provide the parts"
    )]
    TooFew {
        /// How many there are.
        samples: usize,
    },

    /// More folds than samples.
    #[error(
        "data.folds is {folds}, but there are only {samples} samples; use {samples} folds or fewer"
    )]
    TooManyFolds {
        /// How many samples there are.
        samples: usize,
        /// How many folds were requested.
        folds: usize,
    },

    /// A fold without a validation part.
    #[error(
        "fold {fold} of {samples} samples would have an empty validation part; leave out data.validation_share or use fewer folds"
    )]
    EmptyValidation {
        /// The fold, from 1.
        fold: usize,
        /// How many samples there are.
        samples: usize,
    },

    /// The thread that reads the data ended before the data did.
    #[error("the thread that reads the data stopped: resume the run, or start the command again")]
    Stopped,

    /// An unusable file or folder.
    #[error("{} {problem}", path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do, as the rest of a sentence that begins with the file.
        problem: String,
    },

    /// The folder has no file with any of the accepted names.
    #[error("no {what} in {}: looked for {looked_for}; put the file there under one of these names", folder.display())]
    MissingFile {
        /// The folder.
        folder: PathBuf,
        /// What the file holds, such as "training images".
        what: &'static str,
        /// All names that were tried.
        looked_for: String,
    },

    /// The operating system failed to open or read a file.
    #[error("cannot read {} ({source}): check that it is a file and that its permissions allow reading", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },

    /// A compressed file does not unpack.
    #[error("{} is damaged {packing} ({source}): download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it is compressed: "gzip", "xz" or "zip".
        packing: &'static str,
        /// The decoder's error.
        source: std::io::Error,
    },

    /// The first four bytes are not those of any IDX file.
    #[error(
        "{} is not an IDX file (it begins with {found:#010x}, where {expected:#010x} was expected, or another type of elements): check \
         what was downloaded",
        path.display()
    )]
    NotIdx {
        /// The file.
        path: PathBuf,
        /// The first four bytes, big-endian.
        found: u32,
        /// The first four bytes of a file of bytes in the file's role.
        expected: u32,
    },

    /// An IDX file with the wrong number of dimensions for its name, such as labels in place of images.
    #[error(
        "{} should hold {what}, with {expected} dimension(s), but has {found}: the files may have been swapped or \
         renamed, so check which is which",
        path.display()
    )]
    WrongDimensions {
        /// The file.
        path: PathBuf,
        /// The content that the file's name implies.
        what: &'static str,
        /// Number of dimensions that such a file has.
        expected: u8,
        /// Number of dimensions that this file has.
        found: u8,
    },

    /// The file ends before the data that its header declares.
    #[error(
        "{} is cut short: its header declares {declared} bytes in all, it holds {found}; download it again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Number of bytes of header and data together, unpacked.
        declared: u64,
        /// Number of bytes that the file has, unpacked; an upper bound if a compressed file is too small to unpack to `declared`.
        found: Found,
    },

    /// The file continues after the data that its header declares.
    #[error(
        "{} holds more than the {declared} bytes that its header declares: it is damaged or not an IDX file, so \
         download it again",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Number of bytes of header and data together, unpacked.
        declared: u64,
    },

    /// The header declares more than this loader accepts.
    #[error(
        "{} declares {shape} bytes of data, over the limit of {limit} bytes: it is damaged, or the set is too large and must be split",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The declared shape, such as "60000 x 28 x 28".
        shape: String,
        /// The limit in bytes.
        limit: u64,
    },

    /// A dimension of the header is zero.
    #[error("{} declares {shape}, so it is empty: use a file with at least one image", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The declared shape, such as "0 x 28 x 28".
        shape: String,
    },

    /// The numbers of images and labels differ.
    #[error(
        "{} holds {images} images but {} holds {labels} labels: take both files from the same set",
        images_path.display(),
        labels_path.display()
    )]
    CountsDiffer {
        /// The file of images.
        images_path: PathBuf,
        /// Number of images that it declares.
        images: u64,
        /// The file of labels.
        labels_path: PathBuf,
        /// Number of labels that it holds.
        labels: u64,
    },

    /// A label is not the index of a class.
    #[error(
        "label {label} at index {index} of {} is out of range: {defined_by} {classes} class(es), so labels go up to {}; \
         check that the files belong together",
        path.display(),
        first.saturating_add((*classes as i64) - 1)
    )]
    LabelOutOfRange {
        /// The file of labels.
        path: PathBuf,
        /// The index of the label, from 0.
        index: usize,
        /// The label.
        label: String,
        /// The label of the first class.
        first: i64,
        /// The source of the number of classes: "the training labels have" or "classes.txt names", for example.
        defined_by: &'static str,
        /// The number of classes; at least one.
        classes: usize,
    },

    /// Training and test images differ in size.
    #[error(
        "training images are {train} but the test images in {} are {test}: take both from the same set",
        path.display()
    )]
    SizesDiffer {
        /// The file of test images.
        path: PathBuf,
        /// Rows and columns of a training image, such as "28 x 28".
        train: String,
        /// Rows and columns of a test image.
        test: String,
    },

    /// `classes.txt` does not hold usable names.
    #[error("{} {problem}: write one class name a line, in the order of the labels", path.display())]
    ClassNames {
        /// The file.
        path: PathBuf,
        /// What is wrong, as the rest of a sentence that begins with the file.
        problem: String,
    },
}

impl DataError {
    /// `path` is unusable; `problem` is the rest of a sentence that begins with it.
    pub(crate) fn unusable(path: impl Into<PathBuf>, problem: impl Into<String>) -> DataError {
        DataError::Unusable {
            path: path.into(),
            problem: problem.into(),
        }
    }
}

impl From<DataError> for crate::Error {
    fn from(error: DataError) -> Self {
        crate::Error::Data(error.to_string())
    }
}

/// Size of a file, as far as it was determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This many bytes.
    Exactly(u64),
    /// At most this many bytes, because a compressed file of its size can't unpack to more.
    AtMost(u64),
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(bytes) => write!(f, "{bytes}"),
            Self::AtMost(bytes) => write!(f, "at most {bytes}"),
        }
    }
}
