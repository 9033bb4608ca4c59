//! Folders of image files, one folder per class, as in PyTorch's `ImageFolder`: `train/cat/1.png`, `test/dog/2.jpg`; or
//! `cat/1.png` without parts, which are then split off by the seed.

#[cfg(test)]
use super::tests::Sample;
use super::{
    Detection, Format, InputContext, LabelledImages, LoadContext, PredictInput, PredictInputs,
    pictures, pixels::PictureReader,
};
use crate::data::files::name_as_text;
use crate::data::picture::{PictureShape, decode, read_picture};
use crate::data::source::Tree;
use crate::data::{DataError, DataSettings, Dataset, Fitted, Parts, Samples, Source, field};
use crate::error::{Error, Result};
use crate::host_memory;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

const TRAIN: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 4] = ["val", "valid", "validation", "dev"];
const TEST: [&str; 2] = ["test", "testing"];
/// File extensions of images; the actual format is read from the first bytes.
const ENDINGS: [&str; 15] = [
    "png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "qoi", "tga", "pnm", "ppm", "pgm",
    "pbm", "jfif",
];
/// Size limit for the pixels of a part, in bytes.
const MAX_PIXELS: usize = 16 << 30;

/// Pixels that are decoded at a time, in bytes, if that is at least an image for each thread.
const CHUNK_BYTES: usize = 64 << 20;

/// A folder of image files for each class.
pub struct Folder;

impl Format for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn about(&self) -> &'static str {
        "a folder of images for each class"
    }

    fn looks_for(&self) -> &'static str {
        "cat/1.png, dog/2.jpg, also in train, val and test"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let root = source.folder_named(&TRAIN).unwrap_or(source.path());
        let classes = class_folders(source.tree(), root).ok()?;
        let (class, _) = classes.first()?;
        Detection::new(75, format!("a folder {class} with images"))
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        cx.split(load(cx.source, cx.settings, cx.fitted)?)
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        pictures::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let mut sample = Sample::in_folder(dir);
        for (n, class) in (0..8).zip(["cat", "dog"].into_iter().cycle()) {
            sample = sample.with(&format!("{class}/{n}.png"), Sample::png([4, 4], n));
        }
        sample.cut("cat/0.png", 40)
    }
}

/// Loads a folder of images. The default size is that of the first image, in colour.
///
/// # Errors
/// Names the file that can't be read, or the folder that is missing or empty.
fn load(
    source: &Source,
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<LabelledImages<Samples>> {
    let train = source.folder_named(&TRAIN);
    let root = train.unwrap_or(source.path());
    let folders = class_folders(source.tree(), root)?;
    // A run that is resumed or evaluated has fixed classes.
    let classes: Vec<String> = match fitted.classes.is_empty() {
        true => folders.iter().map(|(name, _)| name.clone()).collect(),
        false => fitted.classes.clone(),
    };
    let Some(first) = folders.first().and_then(|(_, files)| files.first()) else {
        return Err(DataError::unusable(
            root,
            "has no folder with images: put the images of each class into a folder with its name",
        )
        .into());
    };
    let shape = shape_for(settings, first)?;
    let other = |names: &[&str]| {
        let root = train.and_then(|_| source.folder_named(names))?;
        Some(class_folders(source.tree(), root).map(|folders| (root, folders)))
    };
    let [validation, test] = [other(&VALIDATION).transpose()?, other(&TEST).transpose()?];
    let parts = [&validation, &test].into_iter().flatten();
    let all = parts.map(|(_, folders)| folders).chain([&folders]);
    let count = all.flatten().map(|(_, files)| files.len()).sum();
    let mut reader = PictureReader::new(count, shape, settings, false)?;
    let mut skipped = Vec::new();
    let mut read = |folders, classes: &[String]| {
        let (set, left_out) = read_part(folders, classes, &mut reader, settings.skip_bad)?;
        skipped.extend(left_out);
        Ok::<Samples, Error>(set)
    };
    let mut parts = Parts {
        train: read(folders, &classes)?,
        validation: None,
        test: None,
    };
    for (part, place) in [(validation, &mut parts.validation), (test, &mut parts.test)] {
        let Some((root, folders)) = part else {
            continue;
        };
        let set = read(folders, &classes)?;
        if set.is_empty() {
            return Err(DataError::unusable(root, "has no images: add some, or remove it").into());
        }
        *place = Some(set);
    }
    if parts.train.is_empty() {
        return Err(DataError::unusable(root, "has no readable image").into());
    }
    let notes = skipped.iter().map(|file| format!("skipped {file}"));
    Ok(LabelledImages {
        parts,
        classes,
        notes: notes.collect(),
        found: reader.in_words().into_iter().collect(),
    })
}

/// The shape that `settings` specify; by default the size of the image `first`, in colour.
pub(super) fn shape_for(settings: &DataSettings, first: &Path) -> Result<PictureShape> {
    let channels = settings.channels.unwrap_or(3);
    if channels != 1 && channels != 3 {
        return Err(Error::Config(format!(
            "image files have 1 channel (grey) or 3 (colour), not {channels}; change data.channels or the model's input"
        )));
    }
    let [height, width] = match settings.size {
        Some(size) => size,
        None => {
            let picture = decode(first).map_err(|e| unreadable(first, &e))?;
            [picture.height() as usize, picture.width() as usize]
        }
    };
    Ok(PictureShape {
        height,
        width,
        channels,
        fit: settings.fit,
    })
}

pub(super) fn unreadable(path: &Path, why: &str) -> DataError {
    DataError::unusable(
        path,
        format!(
            "can't be read as an image ({why}): remove it, or set data.skip_bad = true to skip such files"
        ),
    )
}

/// The folders in `dir` that contain images, sorted, with their image files at any depth.
fn class_folders(tree: &Tree, dir: &Path) -> Result<Vec<(String, Vec<PathBuf>)>, DataError> {
    let mut folders: Vec<(String, Vec<PathBuf>)> = Vec::new();
    for (path, relative) in tree.files_below(dir)?.filter(|(path, _)| is_image(path)) {
        let mut parts = relative.components();
        let (Some(class), Some(_)) = (parts.next(), parts.next()) else {
            continue;
        };
        let class = name_as_text(class.as_os_str());
        match folders.last_mut() {
            Some((last, files)) if *last == class => files.push(path.to_owned()),
            _ => folders.push((class, vec![path.to_owned()])),
        }
    }
    Ok(folders)
}

/// Whether a file has the extension of an image.
pub(super) fn is_image(path: &Path) -> bool {
    let ending = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|e| ENDINGS.contains(&&*e))
}

/// The image files in `dir` by extension, at any depth, sorted.
///
/// # Errors
/// If a folder can't be read.
pub fn image_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let tree = Tree::of(dir);
    let files = tree.files_below(dir)?.map(|(path, _)| path);
    Ok(files
        .filter(|path| is_image(path))
        .map(Path::to_owned)
        .collect())
}

/// Reads all images of a part in parallel. Also returns messages about skipped files.
fn read_part(
    folders: Vec<(String, Vec<PathBuf>)>,
    classes: &[String],
    reader: &mut PictureReader,
    skip_bad: bool,
) -> Result<(Samples, Vec<String>)> {
    let mut files: Vec<(PathBuf, u32)> = Vec::new();
    for (name, images) in folders {
        let Some(first) = images.first() else {
            continue;
        };
        let Some(class) = classes.iter().position(|class| *class == name) else {
            let folder = first.parent().unwrap_or(first);
            return Err(DataError::unusable(
                folder,
                format!(
                    "is not a class of the training part or of the run: the classes are {}",
                    classes.join(", ")
                ),
            )
            .into());
        };
        files.extend(images.into_iter().map(|path| (path, class as u32)));
    }
    let (mut labels, mut skipped) = (Vec::new(), Vec::new());
    let (paths, classes): (Vec<PathBuf>, Vec<u32>) = files.into_iter().unzip();
    let mut classes = classes.into_iter();
    let pixels = reader.read(&paths, |path, outcome| {
        let class = classes.next();
        match outcome {
            Ok(()) => labels.extend(class),
            Err(why) if skip_bad => skipped.push(format!("{}: {why}", path.display())),
            Err(why) => return Err(unreadable(path, &why).into()),
        }
        Ok(())
    })?;
    let count = labels.len();
    let fields = field::of_pictures(pixels, labels);
    Ok((Samples::new(count, fields, None), skipped))
}

/// Fails if the `bytes` of the pixels of all images exceed the free memory.
pub(super) fn check_pixels(bytes: u64) -> Result<()> {
    let shortage = |needs| format!("the images need {needs}; use fewer, or make data.size smaller");
    host_memory::check(bytes).map_err(|needs| Error::Memory(shortage(needs)))
}

/// Reads images like [`read_picture`], in parallel, and passes each to `take`, in order.
///
/// # Errors
/// If there are too many for memory, or the error of `take`.
pub fn read_pictures(
    files: &[PathBuf],
    shape: PictureShape,
    mut take: impl FnMut(&Path, Result<Vec<u8>, String>) -> Result<()>,
) -> Result<()> {
    let length = shape
        .height
        .saturating_mul(shape.width)
        .saturating_mul(shape.channels);
    if files.len().saturating_mul(length) > MAX_PIXELS {
        return Err(Error::Memory(format!(
            "{} images of {} x {} are over {} GiB of pixels; use fewer, or make data.size smaller",
            files.len(),
            shape.height,
            shape.width,
            MAX_PIXELS >> 30
        )));
    }
    check_pixels(files.len().saturating_mul(length) as u64)?;
    // Images are decoded in chunks to limit memory.
    let chunk = (CHUNK_BYTES / length.max(1)).clamp(rayon::current_num_threads(), 1024);
    for chunk in files.chunks(chunk) {
        let read = |path: &PathBuf| read_picture(path, shape);
        let pictures: Vec<_> = chunk.par_iter().map(read).collect();
        for (path, picture) in chunk.iter().zip(pictures) {
            take(path, picture)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSet;
    use image::{Rgb, RgbImage};
    use std::fs;

    fn write(path: &Path, size: [u32; 2], color: [u8; 3]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(size[0], size[1], Rgb(color))
            .save(path)
            .unwrap();
    }

    fn settings() -> DataSettings {
        DataSettings {
            size: Some([4, 4]),
            ..DataSettings::default()
        }
    }

    /// The images of `dir` in memory.
    fn loaded(dir: &Path, settings: &DataSettings) -> Result<LabelledImages> {
        let source = Source::look(&dir.display().to_string())?;
        let LabelledImages {
            parts,
            classes,
            notes,
            found,
        } = load(&source, settings, &Fitted::default())?;
        Ok(LabelledImages {
            parts: Parts {
                train: images(&parts.train),
                validation: parts.validation.as_ref().map(images),
                test: parts.test.as_ref().map(images),
            },
            classes,
            notes,
            found,
        })
    }

    fn images(samples: &Samples) -> ImageSet {
        let pictures = samples.pictures().unwrap();
        let [height, width, channels] = pictures.shape;
        ImageSet {
            images: pictures.bytes.to_vec(),
            labels: samples.labels().unwrap().to_vec(),
            height,
            width,
            channels,
        }
    }

    fn message(result: Result<LabelledImages>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn parts_classes_sizes_and_formats_are_found() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("train/b/1.png"), [8, 4], [0, 0, 255]);
        write(&dir.path().join("train/a/deep/2.bmp"), [4, 4], [255, 0, 0]);
        write(&dir.path().join("val/a/3.png"), [4, 4], [255, 0, 0]);
        write(&dir.path().join("test/b/4.tiff"), [5, 9], [0, 0, 255]);
        let source = Source::look(&dir.path().display().to_string()).unwrap();
        assert!(Folder.detect(&source).is_some());
        let found = loaded(dir.path(), &settings()).unwrap();
        let (set, skipped) = (found.parts, found.notes);
        assert_eq!(found.classes, ["a", "b"]);
        assert_eq!(
            (set.train.labels.clone(), set.train.channels),
            (vec![0, 1], 3)
        );
        assert_eq!(set.train.image(1)[..3], [0, 0, 255]);
        assert_eq!(set.validation.unwrap().labels, [0]);
        assert_eq!((set.test.unwrap().labels, skipped.len()), (vec![1], 0));
    }

    #[test]
    fn a_bad_file_is_named_or_left_out_on_request() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("train/a/1.png"), [4, 4], [0; 3]);
        write(&dir.path().join("test/a/1.png"), [4, 4], [0; 3]);
        let bad = dir.path().join("train/a/2.png");
        let whole = fs::read(dir.path().join("train/a/1.png")).unwrap();
        // A truncated file, a file that is no image, and a header that claims 2^31 columns.
        let mut bomb = whole.clone();
        bomb[16..20].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
        for content in [&whole[..40], b"hello", &bomb] {
            fs::write(&bad, content).unwrap();
            let refusal = message(loaded(dir.path(), &settings()));
            assert!(
                refusal.contains("2.png") && refusal.contains("skip_bad"),
                "{refusal}"
            );
            let lenient = DataSettings {
                skip_bad: true,
                ..settings()
            };
            let found = loaded(dir.path(), &lenient).unwrap();
            let (set, skipped) = (found.parts, found.notes);
            assert_eq!((set.train.len(), skipped.len()), (1, 1));
            assert!(skipped[0].contains("2.png"));
        }
    }

    #[test]
    fn a_class_of_the_test_part_alone_and_an_empty_part_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("train/a/1.png"), [4, 4], [0; 3]);
        write(&dir.path().join("test/z/1.png"), [4, 4], [0; 3]);
        let refusal = message(loaded(dir.path(), &settings()));
        assert!(
            refusal.contains("test/z") && refusal.contains("training part"),
            "{refusal}"
        );
        fs::remove_dir_all(dir.path().join("test/z")).unwrap();
        let refusal = message(loaded(dir.path(), &settings()));
        assert!(refusal.contains("has no images"), "{refusal}");
    }
}
