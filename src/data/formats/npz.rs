//! NumPy arrays: archives (`.npz`), which are zip files with one `.npy` file per array, and `.npy` files beside one another.
//!
//! Images and labels are those of MedMNIST (`train_images`, `train_labels`), Keras (`x_train`, `y_train`) and others; arrays
//! of two axes are tables, whose rows are samples.

mod choose;
mod npy;
mod rows;
mod stored;

use self::choose::{Pair, choose};
use self::stored::{Stored, arrays};
use super::array::{Array, Classes, ImageLayout, Labels, Named, PixelScale, Role, shape_in_words};
#[cfg(test)]
use super::tests::Sample;
use super::{
    Detection, Format, InputContext, LabelledImages, LoadContext, PredictInput, PredictInputs,
    pictures,
};
use crate::data::packed;
use crate::data::{
    DataError, Dataset, Fitted, ImageSet, Parts, Samples, Source, source::has_ending,
};
use std::io::{BufReader, Read};
use std::path::Path;

/// The array in a file `.npy`.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// Elements, row-major. Integers above 2^53 are rounded.
    pub numbers: Vec<f64>,
    /// Whether the file has floats.
    pub has_floats: bool,
}

impl NpyArray {
    /// Reads the content of a file `.npy`.
    ///
    /// # Errors
    /// If it is no array, or holds texts; the text is the rest of a sentence about the file.
    pub fn parse(bytes: &[u8]) -> Result<NpyArray, String> {
        NpyArray::from_reader(&mut &*bytes, bytes.len() as u64)
    }

    fn from_reader(reader: &mut dyn Read, length: u64) -> Result<NpyArray, String> {
        let array = npy::read(reader, length, &|_| Ok(()))?;
        if array.kind.is_text() {
            return Err("holds texts; save an array of numbers".to_string());
        }
        Ok(NpyArray {
            numbers: array.numbers().collect(),
            has_floats: array.kind.is_float(),
            shape: array.shape,
        })
    }
}

/// Reads the array in a file `.npy`.
///
/// # Errors
/// If the file can't be read, is no array, or holds texts.
pub fn read_npy(path: &Path) -> crate::Result<NpyArray> {
    let file = std::fs::File::open(path).map_err(crate::Error::io("open", path))?;
    let metadata = file.metadata().map_err(crate::Error::io("read", path))?;
    let array = NpyArray::from_reader(&mut BufReader::new(file), metadata.len());
    array.map_err(|why| crate::Error::Data(format!("{} {why}", path.display())))
}

/// NumPy arrays with images or rows, and labels.
pub struct Npz;

impl Format for Npz {
    fn name(&self) -> &'static str {
        "npz"
    }

    fn about(&self) -> &'static str {
        "NumPy arrays"
    }

    fn looks_for(&self) -> &'static str {
        "one .npz file, or .npy files"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let path = source.path();
        if source.is_file() {
            let ending = ["npz", "npy"]
                .into_iter()
                .find(|ending| packed::has_ending(path, ending));
            return Detection::new(100, format!("the ending .{}", ending?));
        }
        let files = stored::files(source);
        match &files[..] {
            [] => None,
            [only] if has_ending(only, "npz") => Detection::new(85, "one file that ends in .npz"),
            [first, ..] => {
                let name = first.file_name().unwrap_or_default().to_string_lossy();
                let holds = |role| {
                    let mut roles = files.iter().map(|file| Named::of(&packed::stem(file)).role);
                    roles.any(|other| other == Some(role))
                };
                // Other data may have an array beside them.
                let confidence = match holds(Role::Inputs) && holds(Role::Labels) {
                    true => 85,
                    false => 55,
                };
                Detection::new(confidence, format!("files of arrays, such as {name}"))
            }
        }
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> crate::Result<Dataset<Samples>> {
        let arrays = arrays(cx.source)?;
        let path = match &stored::files(cx.source)[..] {
            [only] => only.clone(),
            _ => cx.source.path().to_owned(),
        };
        let (pairs, others) = choose(&arrays, &path)?;
        let notes = match others.is_empty() {
            true => None,
            false => Some(format!("arrays that are not read: {}", others.join(", "))),
        };
        let axes = pairs[0].inputs.shape()?.len();
        let mut dataset = if matches!(axes, 1 | 2) {
            rows::load(&pairs, cx)?
        } else {
            let images = load(&path, &pairs, cx.fitted)?;
            cx.split(images)?
        };
        dataset.notes.extend(notes);
        Ok(dataset)
    }

    fn describe(&self, fitted: &Fitted) -> Vec<String> {
        rows::describe(fitted)
    }

    fn read_inputs(
        &self,
        inputs: &[PredictInput],
        cx: &InputContext<'_>,
    ) -> crate::Result<PredictInputs> {
        match cx.fitted.target {
            Some(_) => rows::read_inputs(inputs, cx),
            None => pictures::read_inputs(inputs, cx),
        }
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

/// Reads the images of `pairs`, arrays of the source `path`.
///
/// # Errors
/// Says which array is missing, damaged, or does not fit the others.
fn load(path: &Path, pairs: &[Pair], fitted: &mut Fitted) -> Result<LabelledImages, DataError> {
    let mut found = Vec::new();
    let mut parts: Vec<(Array, Labels)> = Vec::new();
    for pair in pairs {
        parts.push(read_pair(pair, &mut found)?);
    }
    let name = |part: usize| &*pairs[part].inputs.name;
    let wrong =
        |part: usize, problem: String| DataError::unusable(&pairs[part].inputs.path, problem);
    let layouts = parts.iter().enumerate().map(|(part, (images, _))| {
        ImageLayout::of(&images.shape).ok_or_else(|| {
            let problem = format!(
                "holds {} of shape {}; images are [count, height, width] or [count, height, width, channels] with at most 4 channels",
                name(part),
                images.shape_in_words()
            );
            wrong(part, problem)
        })
    });
    let layouts: Vec<ImageLayout> = layouts.collect::<Result<_, _>>()?;
    let layout = layouts[0];
    if let Some(part) = layouts.iter().position(|other| *other != layout) {
        let sides = |shape: &[usize]| shape_in_words(shape.get(1..).unwrap_or_default());
        let problem = format!(
            "has training images of {} but {} of {}",
            sides(&parts[0].0.shape),
            name(part),
            sides(&parts[part].0.shape)
        );
        return Err(wrong(part, problem));
    }
    let (train, others) = (&parts[0].1, parts[1..].iter().map(|(_, labels)| labels));
    let classes = Classes::of(train, &others.collect::<Vec<_>>(), None, fitted);
    let classes = classes.map_err(|problem| wrong(0, format!("holds labels that {problem}")))?;
    let images: Vec<&Array> = parts.iter().map(|(images, _)| images).collect();
    let scales = PixelScale::of_parts(&images)
        .map_err(|(part, problem)| wrong(part, format!("holds {} that {problem}", name(part))))?;
    let how = [layout.in_words(&images[0].shape), scales[0].in_words()];
    found.extend(how.into_iter().flatten().map(|how| format!("images {how}")));
    found.extend(classes.found.iter().map(|how| format!("labels {how}")));
    let mut sets = [None, None, None];
    for ((at, (images, labels)), scale) in parts.into_iter().enumerate().zip(scales) {
        let indices = classes.indices(&labels).map_err(|index| {
            let problem = format!(
                "has the label {} at index {index} of {}, which the training labels do not have",
                labels.cell(index),
                pairs[at].part.name()
            );
            wrong(at, problem)
        })?;
        sets[pairs[at].part as usize] = Some(ImageSet {
            images: scale.pixels(images, layout),
            labels: indices,
            height: layout.height,
            width: layout.width,
            channels: layout.channels,
        });
    }
    let [train, validation, test] = sets;
    let train = train.ok_or_else(|| DataError::unusable(path, "holds no training images"))?;
    Ok(LabelledImages {
        parts: Parts {
            train,
            validation,
            test,
        },
        classes: classes.names,
        notes: Vec::new(),
        found,
    })
}

/// Reads inputs and labels of a pair, of which there must be equally many by their headers.
fn read_pair(pair: &Pair, found: &mut Vec<String>) -> Result<(Array, Labels), DataError> {
    let inputs = &pair.inputs;
    let labels = pair.labels.as_ref().ok_or_else(|| no_labels(pair))?;
    let images = inputs.read(&|_| Ok(()))?;
    if images.bytes.is_empty() {
        return Err(DataError::unusable(
            &inputs.path,
            format!("holds no {}", inputs.name),
        ));
    }
    let array = labels.read(&same_count(&images, inputs))?;
    let wrong = |problem| {
        DataError::unusable(
            &labels.path,
            format!("holds {} that {problem}", labels.name),
        )
    };
    let (read, how) = Labels::of(&array).map_err(wrong)?;
    found.extend(how.map(|how| format!("{} {how}", labels.name)));
    Ok((images, read))
}

fn no_labels(pair: &Pair) -> DataError {
    let problem = format!(
        "holds {} but no labels of the {} part: name them y_{}, or labels",
        pair.inputs.name,
        pair.part.name(),
        pair.part.name()
    );
    DataError::unusable(&pair.inputs.path, problem)
}

/// Checks that labels are as many as the `inputs` of `stored`.
fn same_count<'a>(
    inputs: &Array,
    stored: &'a Stored,
) -> impl Fn(&[usize]) -> Result<(), String> + 'a {
    let count = inputs.shape.first().copied().unwrap_or(0);
    move |shape| match shape.first() {
        Some(&labels) if labels != count => Err(format!(
            "has {labels} labels for {count} rows or images in {}",
            stored.name
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
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

    /// The images of an archive.
    fn read(path: &Path) -> Result<LabelledImages, DataError> {
        let source = Source::look(&path.display().to_string())?;
        let (pairs, _) = choose(&arrays(&source)?, path)?;
        load(path, &pairs, &mut Fitted::default())
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
        read(&path)
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
        assert!(set.unwrap_err().to_string().contains("of 3 x 1 x 2"));
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
        let set = read(&dir.join("pneumoniamnist.npz")).unwrap().parts;
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
        read(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let pixels = bytes
            .windows(4)
            .position(|w| w == [71, 72, 73, 74])
            .unwrap();
        bytes[pixels] ^= 64;
        std::fs::write(&path, bytes).unwrap();
        let message = read(&path).unwrap_err().to_string();
        assert!(
            message.contains("an array images that is damaged"),
            "{message}"
        );
    }

    /// A folder with these files, loaded as a run does it.
    fn folder(files: &[(&str, Vec<u8>)]) -> crate::Result<Dataset<Samples>> {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let settings = crate::data::DataSettings {
            source: dir.path().display().to_string(),
            ..Default::default()
        };
        crate::data::load(&settings, &mut Fitted::default(), 1)
    }

    fn archive(array: Vec<u8>) -> Vec<u8> {
        let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("arr_0.npy", SimpleFileOptions::default())
            .unwrap();
        zip.write_all(&array).unwrap();
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn names_and_files_say_what_arrays_are() {
        let images = |count: usize| npy(&format!("({count}, 1, 2)"), &vec![7; count * 2]);
        let labels = |count: usize| npy(&format!("({count},)"), &[1, 2].repeat(count / 2));
        // One file for each array, of Kuzushiji-49 and of numpy.save.
        for (names, ending) in [
            (
                [
                    "k49-train-imgs",
                    "k49-train-labels",
                    "k49-test-imgs",
                    "k49-test-labels",
                ],
                "npz",
            ),
            (["X_train", "y_train", "X_test", "y_test"], "npy"),
        ] {
            let files: Vec<(String, Vec<u8>)> = (names.iter().zip([6, 6, 2, 2]).enumerate())
                .map(|(at, (name, count))| {
                    let array = if at % 2 == 0 {
                        images(count)
                    } else {
                        labels(count)
                    };
                    let bytes = if ending == "npz" {
                        archive(array)
                    } else {
                        array
                    };
                    (format!("{name}.{ending}"), bytes)
                })
                .collect();
            let files: Vec<(&str, Vec<u8>)> =
                files.iter().map(|(n, b)| (&**n, b.clone())).collect();
            let set = folder(&files).unwrap();
            assert_eq!((set.train.len(), set.test.len()), (6, 2), "{ending}");
            assert_eq!(set.classes, ["1", "2"]);
            assert!(
                set.found
                    .contains(&"labels are counted from 1 to 2".to_string()),
                "{:?}",
                set.found
            );
        }
        // Names without a meaning: by order, by axes.
        let set = loaded(&[
            ("arr_0", images(6)),
            ("arr_1", images(2)),
            ("arr_2", labels(6)),
            ("arr_3", labels(2)),
        ]);
        assert_eq!(set.unwrap().parts.test.unwrap().len(), 2);
        let set = loaded(&[
            ("arr_0", images(6)),
            ("arr_1", labels(6)),
            ("arr_2", images(2)),
            ("arr_3", labels(2)),
        ]);
        assert_eq!(set.unwrap().parts.test.unwrap().len(), 2);
        let set = loaded(&[("digits", labels(6)), ("scans", images(6))]);
        assert_eq!(set.unwrap().parts.train.len(), 6);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let images = ("images", npy("(2, 1, 1)", &[1, 2]));
        for (arrays, complaint) in [
            (
                vec![images.clone(), ("ids", npy("(2,)", &[0; 2]))],
                "no labels of the train part",
            ),
            (
                vec![images.clone(), ("labels", npy("(3,)", &[0; 3]))],
                "3 labels for 2 rows or images in images",
            ),
            (
                vec![images.clone(), ("labels", npy("(2, 2)", &[0; 4]))],
                "shape 2 x 2",
            ),
            (
                vec![images.clone(), ("labels", npy("(9,)", &[0; 2]))],
                "cut short",
            ),
            (
                vec![
                    ("pictures", npy("(1,)", &[0])),
                    ("a", npy("(1,)", &[0])),
                    ("b", npy("(1,)", &[0])),
                ],
                "x_train",
            ),
            (
                vec![
                    ("images", npy("(2,)", &[0; 2])),
                    ("labels", npy("(2,)", &[0; 2])),
                ],
                "of shape 2;",
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
