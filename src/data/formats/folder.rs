//! Folders of image files, one folder per class, as in PyTorch's `ImageFolder`: `train/cat/1.png`, `test/dog/2.jpg`; or
//! `cat/1.png` without parts, which are then split off by the seed.

mod class_pattern;
mod layout;

pub use class_pattern::ClassPattern;

use self::layout::{Classed, Layout};
use super::picture_files::{shape_for, unreadable};
#[cfg(test)]
use super::tests::Sample;
use super::{
    Detection, Format, InputContext, LabelledImages, LoadContext, PredictInput, PredictInputs,
    pictures, pixels::PictureReader,
};
use crate::data::picture::has_image_ending;
use crate::data::{
    DataError, DataSettings, Dataset, Fitted, Parts, SampleNames, Samples, Source, field,
};
use crate::error::{Error, Result};
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

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
        let settings = DataSettings::default();
        let layout = Layout::of(source.tree(), source.path(), &settings, &Fitted::default());
        match layout {
            Ok(layout) if layout.train.classes.is_empty() => match layout.has_other_images {
                true => Detection::new(30, "images of other kinds"),
                false => None,
            },
            Ok(layout) => {
                let (class, _) = layout.train.classes.first_key_value()?;
                match layout.pattern {
                    Some(pattern) => Detection::new(75, format!("images called {pattern}")),
                    None => Detection::new(75, format!("a folder {class} with images")),
                }
            }
            // What is wrong is reported when it is loaded.
            Err(_) => match source.is_folder() && has_images(source) {
                true => Detection::new(30, "images"),
                false => None,
            },
        }
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        let found = load(cx.source, cx.settings, cx.fitted)?;
        cx.split(found)
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

/// Whether there are images in `source`.
fn has_images(source: &Source) -> bool {
    let files = source.tree().files_below(source.path());
    files.is_ok_and(|mut files| files.any(|(path, _)| has_image_ending(path)))
}

/// Loads a folder of images. The default size is that of the first image, in colour.
///
/// # Errors
/// Names the file that can't be read, or the folder that is missing or empty.
fn load(
    source: &Source,
    settings: &DataSettings,
    fitted: &mut Fitted,
) -> Result<LabelledImages<Samples>> {
    let layout = Layout::of(source.tree(), source.path(), settings, fitted)?;
    // A run that is resumed or evaluated has fixed classes.
    let classes: Vec<String> = match fitted.classes.is_empty() {
        true => layout.train.classes.keys().cloned().collect(),
        false => fitted.classes.clone(),
    };
    let Some(first) = layout
        .train
        .classes
        .values()
        .find_map(|files| files.first())
    else {
        let problem = match layout.has_other_images {
            true => format!("has no image that is read; {}", layout.notes.join("; ")),
            false => {
                "has no folder with images: put the images of each class into a folder with its name".to_string()
            }
        };
        return Err(DataError::unusable(source.path(), problem).into());
    };
    let shape = shape_for(settings, first)?;
    let parts = [
        Some(&layout.train),
        layout.validation.as_ref(),
        layout.test.as_ref(),
    ];
    let count = parts.into_iter().flatten().map(Classed::count).sum();
    let mut reader = PictureReader::new(count, shape, settings, false)?;
    let mut skipped = Vec::new();
    let mut read = |part: Classed| {
        let (set, left_out) = read_part(part, &classes, &mut reader, settings.skip_bad)?;
        skipped.extend(left_out);
        Ok::<Samples, Error>(set)
    };
    let root = layout.train.root.clone();
    let parts = Parts {
        train: read(layout.train)?,
        validation: layout.validation.map(&mut read).transpose()?,
        test: layout.test.map(&mut read).transpose()?,
    };
    if parts.train.is_empty() {
        return Err(DataError::unusable(root, "has no readable image").into());
    }
    let sets = [parts.validation.as_ref(), parts.test.as_ref()];
    if sets.iter().flatten().any(|set| set.is_empty()) {
        return Err(DataError::unusable(
            source.path(),
            "has a validation or test part without a readable image: add images, or remove the part",
        )
        .into());
    }
    fitted.class_pattern = layout.pattern;
    let mut found = reader.survey().found();
    found.extend(layout.found);
    found.extend(reader.in_words());
    let mut notes = layout.notes;
    notes.extend(reader.survey().notes(settings.background));
    notes.extend(skipped.iter().map(|file| format!("skipped {file}")));
    Ok(LabelledImages {
        parts,
        classes,
        notes,
        found,
    })
}

/// Reads all images of a part in parallel. Also returns messages about skipped files.
fn read_part(
    part: Classed,
    classes: &[String],
    reader: &mut PictureReader,
    skip_bad: bool,
) -> Result<(Samples, Vec<String>)> {
    let mut files: Vec<(PathBuf, u32)> = Vec::new();
    for (name, images) in part.classes {
        let Some(class) = classes.iter().position(|class| *class == name) else {
            return Err(DataError::unusable(
                &part.root,
                format!(
                    "has images of {name}, which is not a class of the training part or of the run: the classes are {}",
                    classes.join(", ")
                ),
            )
            .into());
        };
        files.extend(images.into_iter().map(|path| (path, class as u32)));
    }
    let (mut labels, mut skipped, mut read) = (Vec::new(), Vec::new(), Vec::new());
    let (paths, classes): (Vec<PathBuf>, Vec<u32>) = files.into_iter().unzip();
    let mut classes = classes.into_iter();
    let pixels = reader.read(&paths, |path, outcome| {
        let class = classes.next();
        match outcome {
            Ok(_) => {
                labels.extend(class);
                read.push(path.to_owned());
            }
            Err(why) if skip_bad => skipped.push(format!("{}: {why}", path.display())),
            Err(why) => return Err(unreadable(path, &why).into()),
        }
        Ok(())
    })?;
    let count = labels.len();
    let fields = field::of_pictures(pixels, labels);
    let names = SampleNames::files(read.iter().map(|path| &**path), &part.root);
    Ok((Samples::new(count, fields, None).named(names), skipped))
}

#[cfg(test)]
mod tests;
