//! NumPy archives (`.npz`) with images and labels: MedMNIST's `train_images` and `train_labels`, Keras' `x_train` and
//! `y_train`, or `images` and `labels` without parts. An archive is a zip file with one `.npy` file per array.

mod npy;

use self::npy::{Array, Elements};
#[cfg(test)]
use super::tests::Sample;
use super::{
    Detection, Format, InputContext, LabelledImages, LoadContext, PredictInput, PredictInputs,
    pictures,
};
use crate::data::{DataError, Dataset, ImageSet, Parts, Samples, Source, source::has_ending};
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;
use zip::ZipArchive;

/// A NumPy archive with images and labels.
pub struct Npz;

impl Format for Npz {
    fn name(&self) -> &'static str {
        "npz"
    }

    fn about(&self) -> &'static str {
        "a NumPy archive"
    }

    fn looks_for(&self) -> &'static str {
        "one .npz file"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        if has_ending(source.path(), "npz") {
            return Detection::new(100, "the ending .npz");
        }
        source.only_file("npz")?;
        Detection::new(85, "one file that ends in .npz")
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> crate::Result<Dataset<Samples>> {
        let path = cx.source.only_file("npz").unwrap_or(cx.source.path());
        cx.split(load(path)?)
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
        use std::io::{Cursor, Write as _};
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        for (name, shape, bytes) in [("images", "(8, 2, 2)", 32), ("labels", "(8,)", 8)] {
            let header =
                format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
            zip.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
            zip.write_all(header.as_bytes()).unwrap();
            let values: Vec<u8> = (0..bytes).map(|i| i % 2).collect();
            zip.write_all(&values).unwrap();
        }
        let archive = zip.finish().unwrap().into_inner();
        let half = archive.len() / 2;
        Sample::in_folder(dir)
            .with("set.npz", archive)
            .cut("set.npz", half)
    }
}

type Archive = ZipArchive<BufReader<File>>;

/// Maximum unpacked size of an array in bytes.
const MAX_ARRAY: u64 = 4 << 30;
/// Maximum compression ratio of deflate (RFC 1951).
const MAX_RATIO: u64 = 1032;
/// Maximum number of classes, so that a damaged label does not imply a billion of them.
const MAX_CLASSES: i64 = 65_536;

/// Names of images and labels of each part, in the order of [`Parts`].
const NAMES: [[[&str; 2]; 3]; 2] = [
    [
        ["train_images", "train_labels"],
        ["val_images", "val_labels"],
        ["test_images", "test_labels"],
    ],
    [
        ["x_train", "y_train"],
        ["x_val", "y_val"],
        ["x_test", "y_test"],
    ],
];
const WITHOUT_PARTS: [[&str; 2]; 3] = [["images", "labels"], ["x", "y"], ["X", "y"]];

/// Loads the archive `path`.
///
/// # Errors
///
/// [`DataError`] says which array is missing, damaged, or does not fit the others.
fn load(path: &Path) -> Result<LabelledImages, DataError> {
    let file = File::open(path).map_err(|source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let archive = ZipArchive::new(BufReader::new(file));
    let mut archive =
        archive.map_err(|e| DataError::unusable(path, format!("is not a NumPy archive ({e})")))?;
    let has =
        |archive: &Archive, name: &str| archive.index_for_name(&format!("{name}.npy")).is_some();
    let parts = NAMES.iter().find(|parts| has(&archive, parts[0][0]));
    let parts = if let Some([train, validation, test]) = parts {
        let mut read = |names: &[&str; 2]| match has(&archive, names[0]) {
            true => read_set(path, &mut archive, names).map(Some),
            false => Ok(None),
        };
        let (train, validation, test) = (read(train)?, read(validation)?, read(test)?);
        Parts {
            train: train.ok_or_else(|| missing(path))?,
            validation,
            test,
        }
    } else {
        let names = WITHOUT_PARTS.iter().find(|names| has(&archive, names[0]));
        let names = names.ok_or_else(|| missing(path))?;
        Parts {
            train: read_set(path, &mut archive, names)?,
            validation: None,
            test: None,
        }
    };
    let sets = || {
        [
            Some(&parts.train),
            parts.validation.as_ref(),
            parts.test.as_ref(),
        ]
        .into_iter()
        .flatten()
    };
    let shape = |set: &ImageSet| [set.height, set.width, set.channels];
    if let Some(other) = sets().find(|set| shape(set) != shape(&parts.train)) {
        return Err(DataError::unusable(
            path,
            format!(
                "has training images of {:?} but others of {:?}",
                shape(&parts.train),
                shape(other)
            ),
        ));
    }
    let largest = parts.train.labels.iter().copied().max().unwrap_or(0);
    if let Some(label) = sets()
        .flat_map(|set| &set.labels)
        .find(|&&label| label > largest)
    {
        return Err(DataError::unusable(
            path,
            format!("has the label {label}, but the training labels go up to {largest}"),
        ));
    }
    let classes = (0..=largest).map(|class| class.to_string()).collect();
    Ok(LabelledImages {
        parts,
        classes,
        notes: Vec::new(),
        found: Vec::new(),
    })
}

fn missing(path: &Path) -> DataError {
    DataError::unusable(
        path,
        "holds no array x_train, train_images, images or x: name the arrays x_train, y_train, x_test and y_test",
    )
}

fn read_set(path: &Path, archive: &mut Archive, names: &[&str; 2]) -> Result<ImageSet, DataError> {
    let images = read_array(path, archive, names[0], &|_| Ok(()))?;
    let count = images.shape.first().copied().unwrap_or(0);
    let as_many = |shape: &[usize]| match shape.first() {
        Some(&labels) if labels != count => Err(format!(
            "has {labels} labels for {count} images in {}",
            names[0]
        )),
        _ => Ok(()),
    };
    let labels = read_array(path, archive, names[1], &as_many)?;
    let wrong = |what: String| DataError::unusable(path, what);
    let Elements::Bytes(bytes) = images.elements else {
        return Err(wrong(format!(
            "holds {}, which are not bytes; save images as uint8 from 0 to 255",
            names[0]
        )));
    };
    let sides = images.shape.get(1..).unwrap_or_default();
    let (height, width, channels, planes) = match *sides {
        [height, width] => (height, width, 1, false),
        [height, width, channels] if (1..=4).contains(&channels) => {
            (height, width, channels, false)
        }
        [channels, height, width] if (1..=4).contains(&channels) => (height, width, channels, true),
        _ => {
            return Err(wrong(format!(
                "holds {} of shape {:?}; images are [count, height, width] or [count, height, width, channels] with at \
                 most 4 channels",
                names[0], images.shape
            )));
        }
    };
    if bytes.is_empty() {
        return Err(wrong(format!("holds no {}", names[0])));
    }
    let labels = label_numbers(labels)
        .map_err(|problem| wrong(format!("holds {} that {problem}", names[1])))?;
    let images = if planes {
        pixels_of_planes(&bytes, height * width, channels)
    } else {
        bytes
    };
    Ok(ImageSet {
        images,
        labels,
        height,
        width,
        channels,
    })
}

/// Converts images of channel planes to images in which the channels of each pixel are adjacent.
fn pixels_of_planes(bytes: &[u8], plane: usize, channels: usize) -> Vec<u8> {
    let images = bytes.chunks_exact(plane * channels);
    let pixel = |image: &[u8], i: usize| image[i % channels * plane + i / channels];
    images
        .flat_map(|image| (0..plane * channels).map(move |i| pixel(image, i)))
        .collect()
}

/// Labels `[count]` or `[count, 1]` as numbers of classes.
fn label_numbers(labels: Array) -> Result<Vec<u32>, String> {
    if !matches!(labels.shape[..], [_] | [_, 1]) {
        return Err(format!(
            "have shape {:?}; there must be one number per image",
            labels.shape
        ));
    }
    let class = |number: i64| match (0..MAX_CLASSES).contains(&number) {
        true => Ok(number as u32),
        false => Err(format!(
            "contain {number}; classes are numbered from 0 to {}",
            MAX_CLASSES - 1
        )),
    };
    match labels.elements {
        Elements::Bytes(bytes) => Ok(bytes.into_iter().map(u32::from).collect()),
        Elements::Integers(integers) => integers.into_iter().map(class).collect(),
        Elements::Floats(floats) => match floats.iter().find(|x| x.fract() != 0.0) {
            Some(x) => Err(format!("contain {x}, which is not a class")),
            None => floats.into_iter().map(|x| class(x as i64)).collect(),
        },
    }
}

/// Reads the array `name`, whose shape `expect` checks before the elements are read.
fn read_array(
    path: &Path,
    archive: &mut Archive,
    name: &str,
    expect: &dyn Fn(&[usize]) -> Result<(), String>,
) -> Result<Array, DataError> {
    let wrong = |problem: String| DataError::unusable(path, problem);
    let entry = archive.by_name(&format!("{name}.npy"));
    let mut entry = entry.map_err(|e| wrong(format!("holds no readable array {name} ({e})")))?;
    let size = entry.size();
    if size > MAX_ARRAY || size > entry.compressed_size().saturating_mul(MAX_RATIO) {
        return Err(wrong(format!(
            "declares {size} bytes for {name}: it is damaged, or over the limit of {MAX_ARRAY}"
        )));
    }
    let array = Array::read(&mut entry, size, expect)
        .map_err(|problem| wrong(format!("holds an array {name} that {problem}")))?;
    // Reading to the end verifies the checksum of the archive.
    match io::copy(&mut entry.by_ref().take(1), &mut io::sink()) {
        Ok(_) => Ok(array),
        Err(e) => Err(wrong(format!("holds a damaged array {name} ({e})"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn npy(shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        [
            b"\x93NUMPY\x01\x00",
            &(header.len() as u16).to_le_bytes()[..],
            header.as_bytes(),
            data,
        ]
        .concat()
    }

    fn loaded(arrays: &[(&str, Vec<u8>)]) -> Result<LabelledImages, DataError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set.npz");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in arrays {
            zip.start_file(format!("{name}.npy"), SimpleFileOptions::default())
                .unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        load(&path)
    }

    #[test]
    fn parts_and_channels_are_found() {
        let set = loaded(&[
            (
                "x_train",
                npy("(2, 3, 1, 2)", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
            ),
            ("y_train", npy("(2, 1)", &[0, 1])),
            ("x_test", npy("(1, 1, 2, 3)", &[1, 2, 3, 4, 5, 6])),
            ("y_test", npy("(1,)", &[1])),
        ]);
        // The first array reads as 3 rows of one pixel with two channels.
        assert!(set.unwrap_err().to_string().contains("[3, 1, 2]"));
        let set = loaded(&[
            (
                "images",
                npy(
                    "(4, 3, 5, 6)",
                    &(0..4 * 90).map(|i| (i % 90) as u8).collect::<Vec<_>>(),
                ),
            ),
            ("labels", npy("(4,)", &[0, 1, 1, 0])),
        ]);
        let set = set.unwrap().parts;
        assert!(set.train.len() == 4 && set.test.is_none());
        assert_eq!(
            [set.train.height, set.train.width, set.train.channels],
            [5, 6, 3]
        );
        assert_eq!(set.train.image(0)[..6], [0, 30, 60, 1, 31, 61]);
    }

    #[test]
    fn the_real_pneumonia_mnist_has_its_parts() {
        let Some(dir) = crate::data::real_set("pneumoniamnist") else {
            return;
        };
        let set = load(&dir.join("pneumoniamnist.npz")).unwrap().parts;
        let counts = [
            set.train.len(),
            set.validation.as_ref().unwrap().len(),
            set.test.as_ref().unwrap().len(),
        ];
        assert_eq!(counts, [4708, 524, 624]);
        assert_eq!(
            set.test
                .as_ref()
                .unwrap()
                .labels
                .iter()
                .filter(|&&label| label == 1)
                .count(),
            390
        );
        assert!(
            (crate::data::ChannelStats::of(crate::data::Pictures::from(&set.train)).mean[0]
                - 0.5719)
                .abs()
                < 1e-4
        );
    }

    /// A pixel is changed in an archive that stores its arrays as they are.
    #[test]
    fn a_changed_byte_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set.npz");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in [
            ("images", npy("(2, 1, 2)", &[71, 72, 73, 74])),
            ("labels", npy("(2,)", &[0, 1])),
        ] {
            zip.start_file(format!("{name}.npy"), stored).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap();
        load(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let pixels = bytes
            .windows(4)
            .position(|w| w == [71, 72, 73, 74])
            .unwrap();
        bytes[pixels] ^= 64;
        std::fs::write(&path, bytes).unwrap();
        let message = load(&path).unwrap_err().to_string();
        assert!(message.contains("a damaged array images"), "{message}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let images = ("images", npy("(2, 1, 1)", &[1, 2]));
        for (arrays, complaint) in [
            (vec![images.clone()], "no readable array labels"),
            (
                vec![images.clone(), ("labels", npy("(3,)", &[0; 3]))],
                "3 labels for 2 images in images",
            ),
            (
                vec![images.clone(), ("labels", npy("(2, 2)", &[0; 4]))],
                "shape [2, 2]",
            ),
            (
                vec![images.clone(), ("labels", npy("(9,)", &[0; 2]))],
                "cut short",
            ),
            (vec![("pictures", npy("(1,)", &[0]))], "x_train"),
            (
                vec![
                    ("images", npy("(2,)", &[0; 2])),
                    ("labels", npy("(2,)", &[0; 2])),
                ],
                "of shape [2]",
            ),
        ] {
            let message = loaded(&arrays).unwrap_err().to_string();
            assert!(
                message.contains("set.npz") && message.contains(complaint),
                "{message}"
            );
        }
    }
}
