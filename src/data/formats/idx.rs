//! IDX files, compressed or not: MNIST, Fashion-MNIST, KMNIST, EMNIST and other sets of the same layout.
//!
//! Format (LeCun, Cortes and Burges, "The MNIST database of handwritten digits"): two zero bytes, the element type
//! (8: unsigned byte, 9: signed byte, 11: short, 12: int, 13: float, 14: double), the number of dimensions; each
//! dimension as a big-endian u32; the elements, row-major.

mod file;
mod find;
mod mapping;

use self::file::IdxFile;
use self::find::{Pair, what};
use super::array::{Array, Classes, ImageLayout, Labels, PixelScale, Role};
#[cfg(test)]
use super::tests::Sample;
use super::{
    Detection, Format, InputContext, LabelledImages, LoadContext, PredictInput, PredictInputs,
    pictures,
};
use crate::data::{DataError, Dataset, Fitted, ImageSet, Part, Parts, Samples, Source};
use std::path::{Path, PathBuf};

/// The IDX files of a set.
pub struct Idx;

impl Format for Idx {
    fn name(&self) -> &'static str {
        "idx"
    }

    fn about(&self) -> &'static str {
        "IDX files"
    }

    fn looks_for(&self) -> &'static str {
        "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-…, or other files of that content"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let (confidence, reason) = find::evidence(source)?;
        Detection::new(confidence, reason)
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> crate::Result<Dataset<Samples>> {
        let images = load(cx.source, cx.fitted)?;
        cx.split(images)
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

/// Loads the data set of IDX files in `dir`.
///
/// The files have the names of MNIST (`train-images-idx3-ubyte`, `train-images.idx3-ubyte`, and so on) or others: images
/// and labels differ by their dimensions, and parts by `train` and `test` in their names. Whether a file is compressed is
/// detected from its first bytes. The set is named after its folder. Classes are named by their labels, unless
/// a file `classes.txt` in the folder names them, one per line, or the mapping of EMNIST.
///
/// # Errors
///
/// [`DataError`] says which file is missing, damaged, mislabelled or inconsistent with another.
pub fn load_idx_dir(dir: &Path) -> Result<Dataset, DataError> {
    let source = Source::look(&dir.display().to_string())?;
    let read = load(&source, &mut Fitted::default())?;
    let mut dataset = Dataset::of_parts(dir, read.parts, read.classes);
    dataset.notes.extend(read.notes);
    dataset.found = read.found;
    Ok(dataset)
}

/// Images and labels of one part, and their files.
struct PartArrays {
    part: Part,
    paths: [PathBuf; 2],
    images: Array,
    labels: Labels,
}

/// Loads the set of `source`, a folder or a file of a set.
fn load(source: &Source, fitted: &mut Fitted) -> Result<LabelledImages, DataError> {
    let files = find::choose(source)?;
    let (mut parts, mut found) = (Vec::new(), Vec::new());
    for pair in &files.pairs {
        parts.push(read_pair(pair, &files.set, &mut found)?);
    }
    let layout = layout_of(&parts)?;
    found.extend(layout.and_then(|layout| {
        let how = layout.in_words(&parts.first()?.images.shape)?;
        Some(format!("images {how}"))
    }));
    let (Some(layout), folder) = (layout, folder_of(source)) else {
        return Err(DataError::unusable(source.path(), "holds no IDX files"));
    };
    let (labels, classes) = classify(&parts, folder, &files.set, fitted)?;
    found.extend(classes.found.map(|how| format!("labels {how}")));
    let images: Vec<&Array> = parts.iter().map(|part| &part.images).collect();
    let scales = PixelScale::of_parts(&images).map_err(|(part, problem)| {
        DataError::unusable(
            &parts[part].paths[0],
            format!("holds images that {problem}"),
        )
    })?;
    let how = scales.first().and_then(|scale| scale.in_words());
    found.extend(how.map(|how| format!("images {how}")));
    // EMNIST (Cohen et al. 2017) stores images column by column.
    let is_transposed = files.set.starts_with("emnist");
    if is_transposed {
        found.push("images are transposed back, as the files of EMNIST need it".to_string());
    }
    let mut sets = [None, None, None];
    for ((part, scale), labels) in parts.into_iter().zip(scales).zip(labels) {
        let place = part.part as usize;
        let images = scale.pixels(part.images, layout);
        let set = ImageSet {
            images,
            labels,
            height: layout.height,
            width: layout.width,
            channels: layout.channels,
        };
        sets[place] = Some(match is_transposed {
            true => transposed(set),
            false => set,
        });
    }
    let [train, validation, test] = sets;
    let train =
        train.ok_or_else(|| DataError::unusable(source.path(), "holds no training images"))?;
    Ok(LabelledImages {
        parts: Parts {
            train,
            validation,
            test,
        },
        classes: classes.names,
        notes: files.notes,
        found,
    })
}

/// The folder of the files of `source`.
fn folder_of(source: &Source) -> &Path {
    match source.is_file() {
        true => source.path().parent().unwrap_or(source.path()),
        false => source.path(),
    }
}

/// Reads images and labels of a part. Both headers are read and compared before any elements.
fn read_pair(pair: &Pair, set: &str, found: &mut Vec<String>) -> Result<PartArrays, DataError> {
    let open = |path: &PathBuf, role| IdxFile::open(path.clone(), role, what(pair.part, role));
    let images = open(&pair.images, Role::Inputs)?;
    let labels = open(&pair.labels, Role::Labels)?;
    if images.shape[0] != labels.shape[0] {
        return Err(DataError::CountsDiffer {
            images: images.shape[0] as u64,
            images_path: images.path,
            labels: labels.shape[0] as u64,
            labels_path: labels.path,
        });
    }
    let mut labels = labels.read()?;
    // QMNIST (Yadav and Bottou 2019) has eight numbers for each image, of which the first is the class.
    if set.contains("qmnist") && labels.shape.len() == 2 {
        let columns = labels.shape[1];
        labels = labels.column(0);
        found.push(format!(
            "labels are the first of the {columns} columns in {}",
            file_name(&pair.labels)
        ));
    }
    let wrong = |problem| DataError::unusable(&pair.labels, format!("holds labels that {problem}"));
    let (labels, how) = Labels::of(&labels).map_err(wrong)?;
    found.extend(how.map(|how| format!("labels in {} {how}", file_name(&pair.labels))));
    Ok(PartArrays {
        part: pair.part,
        paths: [pair.images.clone(), pair.labels.clone()],
        images: images.read()?,
        labels,
    })
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The layout of the images, which must be the same in all parts.
fn layout_of(parts: &[PartArrays]) -> Result<Option<ImageLayout>, DataError> {
    let mut first: Option<ImageLayout> = None;
    for part in parts {
        let path = &part.paths[0];
        let shape = part.images.shape_in_words();
        let layout = ImageLayout::of(&part.images.shape).ok_or_else(|| {
            let problem = format!("holds images of shape {shape}, which have more than 4 channels");
            DataError::unusable(path, problem)
        })?;
        let size = |layout: ImageLayout| format!("{} x {}", layout.height, layout.width);
        match first {
            Some(first) if first != layout => {
                return Err(DataError::SizesDiffer {
                    path: path.clone(),
                    train: size(first),
                    test: size(layout),
                });
            }
            _ => first = Some(layout),
        }
    }
    Ok(first)
}

/// The classes of the labels, and the class of every sample of each part.
fn classify(
    parts: &[PartArrays],
    folder: &Path,
    set: &str,
    fitted: &mut Fitted,
) -> Result<(Vec<Vec<u32>>, Classes), DataError> {
    let Some((train, others)) = parts.split_first() else {
        return Err(DataError::unusable(folder, "holds no IDX files"));
    };
    let (names, defined_by) = match mapping::class_names(folder, set)? {
        _ if !fitted.classes.is_empty() => (None, "the run has"),
        None => (None, "the training labels have"),
        Some(names) => (Some(names), "the file of class names has"),
    };
    let others: Vec<&Labels> = others.iter().map(|part| &part.labels).collect();
    let classes = Classes::of(&train.labels, &others, names, fitted);
    let classes = classes.map_err(|problem| {
        DataError::unusable(&train.paths[1], format!("holds labels that {problem}"))
    })?;
    let indices = parts.iter().map(|part| {
        let indices = classes.indices(&part.labels);
        indices.map_err(|index| DataError::LabelOutOfRange {
            path: part.paths[1].clone(),
            index,
            label: part.labels.cell(index).into_owned(),
            first: classes.first,
            defined_by,
            classes: classes.names.len(),
        })
    });
    Ok((indices.collect::<Result<_, _>>()?, classes))
}

/// The same images with rows and columns exchanged.
fn transposed(set: ImageSet) -> ImageSet {
    let ImageSet {
        images,
        labels,
        height,
        width,
        channels,
    } = set;
    let mut turned = Vec::with_capacity(images.len());
    for image in images.chunks_exact((height * width * channels).max(1)) {
        for (row, column) in (0..width).flat_map(|row| (0..height).map(move |column| (row, column)))
        {
            let at = (column * width + row) * channels;
            turned.extend_from_slice(&image[at..at + channels]);
        }
    }
    ImageSet {
        images: turned,
        labels,
        height: width,
        width: height,
        channels,
    }
}

#[cfg(test)]
mod tests;
