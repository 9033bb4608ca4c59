//! CIFAR-10 in its binary version: `data_batch_*.bin`, `test_batch.bin`, and `batches.meta.txt` with the names.
//!
//! Format (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", and the page of the data set): records of
//! 3073 bytes, a label and then 1024 bytes of red, 1024 of green, 1024 of blue, each row by row from the top. There is no
//! header: the number of records in a file follows from its length.

#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, pictures};
use crate::data::files::{check_memory, class_names, read_whole, sorted_entries};
use crate::data::{DataError, Dataset, ImageSet, Parts, Samples, Source};
use crate::error::Result;
use std::path::{Path, PathBuf};

const SIDE: usize = 32;
const CHANNELS: usize = 3;
const PLANE: usize = SIDE * SIDE;
/// Bytes of a record: a label and its image.
const RECORD: usize = 1 + CHANNELS * PLANE;
/// Classes of CIFAR-10.
const CLASSES: usize = 10;
const NAMES: &str = "batches.meta.txt";

/// CIFAR-10 in its binary version.
pub struct Cifar;

impl Format for Cifar {
    fn name(&self) -> &'static str {
        "cifar"
    }

    fn about(&self) -> &'static str {
        "CIFAR-10 batches"
    }

    fn looks_for(&self) -> &'static str {
        "data_batch_1.bin, …, test_batch.bin"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let batch = source
            .entries()
            .iter()
            .find(|entry| is_batch(&entry.path))?;
        Detection::new(90, format!("a file {}", batch.name()))
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        cx.split(load_cifar_dir(cx.source.path())?.into())
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        pictures::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let records = |labels: [u8; 2]| labels.map(|label| [label; RECORD]).concat();
        let sample = Sample::in_folder(dir)
            .with("data_batch_1.bin", records([0, 1]))
            .with("test_batch.bin", records([1, 2]));
        sample.cut("data_batch_1.bin", RECORD + 1)
    }
}

/// The files with training records in `dir`, in the order of their numbers.
fn training_files(dir: &Path) -> Vec<PathBuf> {
    let entries = sorted_entries(dir).unwrap_or_default();
    let mut files: Vec<PathBuf> = entries.into_iter().filter(|path| is_batch(path)).collect();
    // data_batch_10 comes after data_batch_9.
    files.sort_by_key(|path| path.as_os_str().len());
    files
}

fn is_batch(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    name.is_some_and(|n| n.starts_with("data_batch_") && n.ends_with(".bin"))
}

/// Loads the CIFAR-10 batches in `dir`, which may hold any number of records each.
///
/// # Errors
///
/// [`DataError`] says which file is missing, cut short or mislabelled.
pub fn load_cifar_dir(dir: &Path) -> Result<Dataset, DataError> {
    let files = training_files(dir);
    let test = dir.join("test_batch.bin");
    for (missing, what, looked_for) in [
        (
            files.is_empty(),
            "training records",
            "data_batch_1.bin, data_batch_2.bin, …",
        ),
        (!test.is_file(), "test records", "test_batch.bin"),
    ] {
        if missing {
            return Err(DataError::MissingFile {
                folder: dir.to_owned(),
                what,
                looked_for: looked_for.to_string(),
            });
        }
    }
    let names = dir.join(NAMES);
    let classes = match names.is_file() {
        true => class_names(&names)?,
        false => (0..CLASSES).map(|class| class.to_string()).collect(),
    };
    let mut train = empty();
    for file in &files {
        add_records(&mut train, file, classes.len())?;
    }
    let mut held_out = empty();
    add_records(&mut held_out, &test, classes.len())?;
    let parts = Parts {
        train,
        validation: None,
        test: Some(held_out),
    };
    Ok(Dataset::of_parts(dir, parts, classes))
}

fn empty() -> ImageSet {
    ImageSet {
        images: Vec::new(),
        labels: Vec::new(),
        height: SIDE,
        width: SIDE,
        channels: CHANNELS,
    }
}

/// Adds the records of `path`, with their planes converted to pixels of three channels.
fn add_records(set: &mut ImageSet, path: &Path, classes: usize) -> Result<(), DataError> {
    let bytes = read_whole(path)?;
    if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
        return Err(DataError::unusable(
            path,
            format!(
                "is {} bytes long, which is not a whole number of CIFAR-10 records of {RECORD}: it is cut short or \
                 something else, so download it again",
                bytes.len()
            ),
        ));
    }
    check_memory(path, bytes.len() as u64)?;
    set.images.reserve(bytes.len());
    for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
        let (label, planes) = (record[0], &record[1..]);
        if usize::from(label) >= classes {
            return Err(DataError::unusable(
                path,
                format!(
                    "labels its record {index} with {label}, but there are {classes} classes: it is damaged or not \
                     CIFAR-10"
                ),
            ));
        }
        set.labels.push(label.into());
        for pixel in 0..PLANE {
            let channels = (0..CHANNELS).map(|channel| planes[channel * PLANE + pixel]);
            set.images.extend(channels);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn record(label: u8, color: [u8; 3]) -> Vec<u8> {
        let planes = color.into_iter().flat_map(|c| [c; PLANE]);
        std::iter::once(label).chain(planes).collect()
    }

    fn folder(train: &[u8], test: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("data_batch_1.bin"), train).unwrap();
        fs::write(dir.path().join("test_batch.bin"), test).unwrap();
        fs::write(dir.path().join(NAMES), "cat\ndog\n\n").unwrap();
        dir
    }

    #[test]
    fn planes_become_pixels_and_the_length_says_how_many() {
        let two = [record(1, [9, 8, 7]), record(0, [1, 2, 3])].concat();
        let dir = folder(&two, &record(0, [4, 5, 6]));
        fs::write(dir.path().join("data_batch_10.bin"), record(0, [0; 3])).unwrap();
        fs::write(dir.path().join("data_batch_2.bin"), record(1, [0; 3])).unwrap();
        let set = load_cifar_dir(dir.path()).unwrap();
        assert_eq!(set.classes, ["cat", "dog"]);
        assert_eq!(set.train.labels, [1, 0, 1, 0]);
        assert_eq!(set.train.image(0)[..6], [9, 8, 7, 9, 8, 7]);
        assert_eq!(set.test.image(0)[..3], [4, 5, 6]);
    }

    #[test]
    fn the_real_batches_have_their_counts_and_statistics() {
        let Some(dir) = crate::data::real_set("cifar10/cifar-10-batches-bin-subset") else {
            return;
        };
        let set = load_cifar_dir(&dir).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (10_000, 2_000));
        assert_eq!((&*set.classes[0], &*set.classes[9]), ("airplane", "truck"));
        // The means of the full set, of which these images are a fifth.
        for (mean, full) in set.mean_std().mean.iter().zip([0.4914, 0.4822, 0.4465]) {
            assert!((mean - full).abs() < 0.01, "{mean}");
        }
    }

    #[test]
    fn a_file_cut_short_and_a_label_without_a_class_are_named() {
        let whole = record(0, [0; 3]);
        let cut = folder(&whole[..3000], &whole);
        let message = load_cifar_dir(cut.path()).unwrap_err().to_string();
        assert!(
            message.contains("data_batch_1.bin") && message.contains("3000 bytes"),
            "{message}"
        );
        let mislabelled = folder(&whole, &record(2, [0; 3]));
        let message = load_cifar_dir(mislabelled.path()).unwrap_err().to_string();
        assert!(
            message.contains("test_batch.bin") && message.contains("record 0 with 2"),
            "{message}"
        );
        let empty = folder(&whole, &[]);
        assert!(load_cifar_dir(empty.path()).is_err());
    }
}
