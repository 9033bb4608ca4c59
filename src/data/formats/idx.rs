//! IDX files, gzipped or not: MNIST, Fashion-MNIST, KMNIST and other sets of the same layout.
//!
//! Format (LeCun, Cortes and Burges, "The MNIST database of handwritten digits"): two zero bytes, the element type
//! (8: unsigned byte), the number of dimensions; each dimension as a big-endian u32; the elements, row-major.
//!
//! A header is not trusted: memory is allocated only after the declared size has been checked against the length of the
//! file, and never more than the data of the file fill.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, pictures};
use crate::data::error::Found;
use crate::data::files::{MAX_BYTES, check_memory, class_names};
use crate::data::{DataError, Dataset, Entry, ImageSet, Parts, Samples, Source};

/// Maximum compression ratio of deflate (RFC 1951: a 258-byte match in two bits), so a gzip file of n bytes cannot
/// unpack to more than this times n.
const MAX_GZIP_RATIO: u64 = 1032;
/// Labels are bytes.
const MAX_CLASSES: usize = 256;

/// The four IDX files of a set.
pub struct Idx;

impl Format for Idx {
    fn name(&self) -> &'static str {
        "idx"
    }

    fn about(&self) -> &'static str {
        "IDX files"
    }

    fn looks_for(&self) -> &'static str {
        "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-…"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let names = source.entries().iter().map(Entry::name);
        let name = names.into_iter().find(|name| name.contains("-ubyte"))?;
        Detection::new(95, format!("a file {name}"))
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> crate::Result<Dataset<Samples>> {
        cx.split(load_idx_dir(cx.source.path())?.into())
    }

    fn read_inputs(
        &self,
        inputs: &[PredictInput],
        cx: &InputContext<'_>,
    ) -> crate::Result<PredictInputs> {
        pictures::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let file = |dimensions: &[u8], bytes: &[u8]| {
            let mut file = vec![0, 0, 8, dimensions.len() as u8];
            file.extend(
                dimensions
                    .iter()
                    .flat_map(|&side| u32::from(side).to_be_bytes()),
            );
            [file, bytes.to_vec()].concat()
        };
        let sample = Sample::in_folder(dir)
            .with("train-images-idx3-ubyte", file(&[3, 2, 2], &[9; 12]))
            .with("train-labels-idx1-ubyte", file(&[3], &[0, 1, 1]))
            .with("t10k-images-idx3-ubyte", file(&[1, 2, 2], &[9; 4]))
            .with("t10k-labels-idx1-ubyte", file(&[1], &[1]))
            .with("classes.txt", "no\nyes\n");
        sample.cut("train-images-idx3-ubyte", 20)
    }
}

/// One of the four files of a set.
struct Role {
    what: &'static str,
    stem: &'static str,
    dimensions: u8,
}

const TRAIN_IMAGES: Role = Role {
    what: "training images",
    stem: "train-images",
    dimensions: 3,
};
const TRAIN_LABELS: Role = Role {
    what: "training labels",
    stem: "train-labels",
    dimensions: 1,
};
const TEST_IMAGES: Role = Role {
    what: "test images",
    stem: "t10k-images",
    dimensions: 3,
};
const TEST_LABELS: Role = Role {
    what: "test labels",
    stem: "t10k-labels",
    dimensions: 1,
};

impl Role {
    /// The names that the file may have, in order of preference.
    fn names(&self) -> Vec<String> {
        let Self {
            stem, dimensions, ..
        } = self;
        ["-idx", ".idx"]
            .iter()
            .flat_map(|mark| ["", ".gz"].map(|end| format!("{stem}{mark}{dimensions}-ubyte{end}")))
            .collect()
    }
}

/// Loads the data set with four IDX files in `dir`.
///
/// The files have the names of MNIST (`train-images-idx3-ubyte`, `train-images.idx3-ubyte`, either with `.gz`, and
/// so on); whether a file is gzipped is detected from its first bytes, not its name. The set is named after its folder.
/// Classes are named "0", "1", … up to the largest training label, unless a file `classes.txt` in the folder names
/// them, one per line.
///
/// # Errors
///
/// [`DataError`] says which file is missing, damaged, mislabelled or inconsistent with another.
pub fn load_idx_dir(dir: &Path) -> Result<Dataset, DataError> {
    if !dir.is_dir() {
        return Err(DataError::NoFolder {
            path: dir.to_owned(),
        });
    }
    let (train, train_labels) = load_pair(dir, &TRAIN_IMAGES, &TRAIN_LABELS)?;
    let (test, test_labels) = load_pair(dir, &TEST_IMAGES, &TEST_LABELS)?;
    if (train.height, train.width) != (test.height, test.width) {
        return Err(DataError::SizesDiffer {
            path: test.path,
            train: format!("{} x {}", train.height, train.width),
            test: format!("{} x {}", test.height, test.width),
        });
    }
    let (classes, defined_by) = match read_class_names(dir)? {
        Some(names) => (names, "classes.txt names"),
        None => {
            let largest = train_labels.bytes.iter().copied().max().unwrap_or(0);
            (
                (0..=largest).map(|class| class.to_string()).collect(),
                "the training labels have",
            )
        }
    };
    check_labels(&train_labels, classes.len(), defined_by)?;
    check_labels(&test_labels, classes.len(), defined_by)?;
    let parts = Parts {
        train: image_set(train, train_labels),
        validation: None,
        test: Some(image_set(test, test_labels)),
    };
    Ok(Dataset::of_parts(dir, parts, classes))
}

struct Images {
    path: PathBuf,
    bytes: Vec<u8>,
    height: usize,
    width: usize,
}

struct Labels {
    path: PathBuf,
    bytes: Vec<u8>,
}

fn image_set(images: Images, labels: Labels) -> ImageSet {
    ImageSet {
        images: images.bytes,
        labels: labels.bytes.into_iter().map(u32::from).collect(),
        height: images.height,
        width: images.width,
        channels: 1,
    }
}

/// Reads images and labels of a part. Both headers are read and compared before any elements.
fn load_pair(dir: &Path, images: &Role, labels: &Role) -> Result<(Images, Labels), DataError> {
    let images = IdxFile::open(dir, images)?;
    let labels = IdxFile::open(dir, labels)?;
    if images.shape[0] != labels.shape[0] {
        return Err(DataError::CountsDiffer {
            images: images.shape[0].into(),
            images_path: images.path,
            labels: labels.shape[0].into(),
            labels_path: labels.path,
        });
    }
    let labels = Labels {
        path: labels.path.clone(),
        bytes: labels.read_elements()?,
    };
    let images = Images {
        path: images.path.clone(),
        height: images.shape[1] as usize,
        width: images.shape[2] as usize,
        bytes: images.read_elements()?,
    };
    Ok((images, labels))
}

/// An IDX file whose header has been read and is plausible.
struct IdxFile {
    path: PathBuf,
    /// The declared dimensions: as many as the role has, none of them zero.
    shape: Vec<u32>,
    /// Their product; at most [`MAX_BYTES`].
    declared: u64,
    /// Positioned at the first element.
    reader: Box<dyn Read>,
    gzipped: bool,
}

impl IdxFile {
    fn open(dir: &Path, role: &Role) -> Result<Self, DataError> {
        let path = find(dir, role)?;
        let unreadable = |source| DataError::Unreadable {
            path: path.clone(),
            source,
        };
        let mut file = File::open(&path).map_err(unreadable)?;
        let file_len = file.metadata().map_err(unreadable)?.len();
        let mut start = Vec::with_capacity(2);
        (&mut file)
            .take(2)
            .read_to_end(&mut start)
            .map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        let gzipped = start == [0x1f, 0x8b];
        let file = BufReader::with_capacity(1 << 16, file);
        let mut reader: Box<dyn Read> = if gzipped {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };

        let mut magic = [0; 4];
        read_header(&mut *reader, &mut magic, 0, &path, role, gzipped)?;
        let expected = [0, 0, 8, role.dimensions];
        if magic[..3] != expected[..3] {
            return Err(DataError::NotIdx {
                path,
                found: u32::from_be_bytes(magic),
                expected: u32::from_be_bytes(expected),
            });
        }
        if magic[3] != role.dimensions {
            return Err(DataError::WrongDimensions {
                path,
                what: role.what,
                expected: role.dimensions,
                found: magic[3],
            });
        }
        let mut shape = Vec::with_capacity(role.dimensions.into());
        for dimension in 0..u64::from(role.dimensions) {
            let mut word = [0; 4];
            read_header(
                &mut *reader,
                &mut word,
                4 + 4 * dimension,
                &path,
                role,
                gzipped,
            )?;
            shape.push(u32::from_be_bytes(word));
        }
        let shown = shape
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(" x ");
        if shape.contains(&0) {
            return Err(DataError::Empty { path, shape: shown });
        }
        // The product of three u32 is below 2^96.
        let declared: u128 = shape.iter().map(|&n| u128::from(n)).product();
        let Some(declared) = u64::try_from(declared).ok().filter(|&n| n <= MAX_BYTES) else {
            return Err(DataError::TooLarge {
                path,
                shape: shown,
                limit: MAX_BYTES,
            });
        };
        let opened = Self {
            path,
            shape,
            declared,
            reader,
            gzipped,
        };
        let most = if gzipped {
            file_len.saturating_mul(MAX_GZIP_RATIO)
        } else {
            file_len
        };
        if most < opened.whole() {
            let found = if gzipped {
                Found::AtMost(most)
            } else {
                Found::Exactly(most)
            };
            return Err(DataError::Truncated {
                declared: opened.whole(),
                found,
                path: opened.path,
            });
        }
        check_memory(&opened.path, declared)?;
        Ok(opened)
    }

    fn header_len(&self) -> u64 {
        4 + 4 * self.shape.len() as u64
    }

    /// Number of bytes of header and elements.
    fn whole(&self) -> u64 {
        self.header_len() + self.declared
    }

    /// Reads the declared elements and tries to read one more byte, whose absence shows that the file ends there.
    fn read_elements(self) -> Result<Vec<u8>, DataError> {
        let (path, header_len, whole) = (self.path.clone(), self.header_len(), self.whole());
        let mut bytes = Vec::new();
        if !self.gzipped {
            // The length of the file has been checked, so it has this many bytes.
            let wanted = usize::try_from(self.declared + 1).unwrap_or(usize::MAX);
            if bytes.try_reserve_exact(wanted).is_err() {
                let source = ErrorKind::OutOfMemory.into();
                return Err(DataError::Unreadable { path, source });
            }
        }
        let outcome = self.reader.take(self.declared + 1).read_to_end(&mut bytes);
        let read = bytes.len() as u64;
        if let Err(source) = outcome {
            return Err(read_error(
                source,
                path,
                self.gzipped,
                whole,
                header_len + read,
            ));
        }
        if read < self.declared {
            let found = Found::Exactly(header_len + read);
            return Err(DataError::Truncated {
                path,
                declared: whole,
                found,
            });
        }
        if read > self.declared {
            return Err(DataError::TooLong {
                path,
                declared: whole,
            });
        }
        bytes.shrink_to_fit();
        Ok(bytes)
    }
}

/// Fills `word` from the header; `before` bytes of it have been read already.
fn read_header(
    reader: &mut dyn Read,
    word: &mut [u8],
    before: u64,
    path: &Path,
    role: &Role,
    gzipped: bool,
) -> Result<(), DataError> {
    let header_len = 4 + 4 * u64::from(role.dimensions);
    let mut read = Vec::with_capacity(word.len());
    let outcome = reader.take(word.len() as u64).read_to_end(&mut read);
    let found = before + read.len() as u64;
    if let Err(source) = outcome {
        return Err(read_error(
            source,
            path.to_owned(),
            gzipped,
            header_len,
            found,
        ));
    }
    if read.len() < word.len() {
        let (path, found) = (path.to_owned(), Found::Exactly(found));
        return Err(DataError::Truncated {
            path,
            declared: header_len,
            found,
        });
    }
    word.copy_from_slice(&read);
    Ok(())
}

/// Classifies a read error: one of the operating system, a truncated gzip file, or a damaged gzip file.
fn read_error(
    source: std::io::Error,
    path: PathBuf,
    gzipped: bool,
    declared: u64,
    found: u64,
) -> DataError {
    match source.kind() {
        ErrorKind::UnexpectedEof if gzipped => DataError::Truncated {
            path,
            declared,
            found: Found::Exactly(found),
        },
        ErrorKind::InvalidInput | ErrorKind::InvalidData if gzipped => {
            DataError::DamagedGzip { path, source }
        }
        _ => DataError::Unreadable { path, source },
    }
}

/// The file of a role in the folder: the first of its names that exists.
fn find(dir: &Path, role: &Role) -> Result<PathBuf, DataError> {
    let names = role.names();
    let found = names
        .iter()
        .map(|name| dir.join(name))
        .find(|path| path.is_file());
    found.ok_or_else(|| DataError::MissingFile {
        folder: dir.to_owned(),
        what: role.what,
        looked_for: names.join(", "),
    })
}

/// The names in `classes.txt`, if the folder has one.
fn read_class_names(dir: &Path) -> Result<Option<Vec<String>>, DataError> {
    let path = dir.join("classes.txt");
    if !path.is_file() {
        return Ok(None);
    }
    let names = class_names(&path)?;
    if names.len() > MAX_CLASSES {
        return Err(DataError::ClassNames {
            path,
            problem: format!(
                "names {} classes, over the {MAX_CLASSES} that byte labels distinguish",
                names.len()
            ),
        });
    }
    Ok(Some(names))
}

fn check_labels(
    labels: &Labels,
    classes: usize,
    defined_by: &'static str,
) -> Result<(), DataError> {
    match labels
        .bytes
        .iter()
        .position(|&label| usize::from(label) >= classes)
    {
        None => Ok(()),
        Some(index) => Err(DataError::LabelOutOfRange {
            path: labels.path.clone(),
            index,
            label: labels.bytes[index],
            defined_by,
            classes,
        }),
    }
}

#[cfg(test)]
#[path = "idx/tests.rs"]
mod tests;
