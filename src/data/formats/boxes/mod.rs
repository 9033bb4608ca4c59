//! Shared by formats of images with boxes: checking boxes, and making samples of them.
//!
//! A sample has the fields `image` and `boxes`, `[most, 6]`: for each box its corners `x0, y0, x1, y1` in pixels of the model's image,
//! its class, and 1 if it is a crowd or difficult, which counts neither as found nor as missed. `most` is the number of boxes of the
//! image with most; other images have rows of class -1 after their boxes.

mod checked;
mod find;

pub(super) use find::PictureIndex;

use self::checked::{LeftOut, Room};
use super::picture_files::{shape_for, unreadable};
use super::pixels::PictureReader;
use super::{LabelledImages, LoadContext};
use crate::data::files::read_whole;
use crate::data::{
    DataError, DataSettings, Dataset, Field, FieldValues, Parts, SampleNames, Samples, Starts,
    WindowRows, field,
};
use crate::error::{Error, Result};
use crate::host_memory;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Maximum number of boxes of an image.
const MOST_BOXES: usize = 4096;

/// An image with its boxes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BoxedImage {
    /// Its file.
    pub path: PathBuf,
    /// The file that describes its boxes.
    pub source: Arc<Path>,
    /// The boxes.
    pub boxes: Vec<NamedBox>,
}

/// A box in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NamedBox {
    /// `[x0, y0, x1, y1]`.
    pub corners: [f64; 4],
    /// Whether the corners are shares of the image's sides, not pixels.
    pub is_relative: bool,
    /// Index of its class.
    pub class: usize,
    /// Whether it is a crowd, or difficult: it counts neither as found nor as missed.
    pub is_crowd: bool,
    /// Its number in its source, from 1.
    pub number: usize,
}

/// A source of images with boxes.
pub(super) struct BoxedImages {
    /// The images of each part.
    pub parts: Parts<Vec<BoxedImage>>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// What a box is called in its source, with its number: "object 3", "line 3".
    pub noun: &'static str,
    /// How the source was read: lines for the user.
    pub found: Vec<String>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

impl BoxedImages {
    /// Reads the images. Boxes without an area, and those that leave their image, are left out, with a note.
    ///
    /// # Errors
    /// If an image can't be read, a class is not one of the run, or there is no box for training.
    pub fn load(mut self, cx: &LoadContext<'_>) -> Result<Dataset<Samples>> {
        let path = cx.source.path();
        self.take_classes(&cx.fitted.classes, path)?;
        let Parts {
            train,
            validation,
            test,
        } = &self.parts;
        let all = || [Some(train), validation.as_ref(), test.as_ref()].into_iter();
        let first = all().flatten().find_map(|part| part.first());
        let first = first.ok_or_else(|| DataError::unusable(path, "has no images with boxes"))?;
        let shape = shape_for(cx.settings, &first.path)?;
        let count = all().flatten().map(Vec::len).sum();
        let mut reader = PictureReader::new(count, shape, cx.settings, false)?;
        let mut left_out = LeftOut::default();
        let room = Room::new(shape, cx.settings.fit);
        let mut read = |images: &Vec<BoxedImage>| {
            let mut part = PartReader {
                room,
                noun: self.noun,
                settings: cx.settings,
                left_out: &mut left_out,
                notes: &mut self.notes,
            };
            part.read(images, &mut reader, path)
        };
        let parts = Parts {
            train: read(train)?,
            validation: validation.as_ref().map(&mut read).transpose()?,
            test: test.as_ref().map(&mut read).transpose()?,
        };
        let mut notes = left_out.notes();
        notes.extend(reader.survey().notes(cx.settings.background));
        notes.extend(std::mem::take(&mut self.notes));
        let mut found = self.found;
        found.extend(reader.survey().found());
        found.extend(reader.in_words());
        cx.split(LabelledImages {
            parts,
            classes: self.classes,
            notes,
            found,
        })
    }

    /// Renumbers the classes to those of the run, if it has some.
    fn take_classes(&mut self, known: &[String], path: &Path) -> Result<(), DataError> {
        if known.is_empty() || known == self.classes {
            return Ok(());
        }
        let places: Vec<Option<usize>> = self
            .classes
            .iter()
            .map(|class| known.iter().position(|own| own == class))
            .collect();
        let parts = [
            Some(&mut self.parts.train),
            self.parts.validation.as_mut(),
            self.parts.test.as_mut(),
        ];
        for image in parts.into_iter().flatten().flatten() {
            for each in &mut image.boxes {
                each.class = places.get(each.class).copied().flatten().ok_or_else(|| {
                    let name = self.classes.get(each.class).cloned().unwrap_or_default();
                    DataError::unusable(
                        path,
                        format!(
                            "has a box of {name} ({}, {} {}), which is not a class of the run: the classes are {}",
                            image.source.display(),
                            self.noun,
                            each.number,
                            known.join(", ")
                        ),
                    )
                })?;
            }
        }
        self.classes = known.to_vec();
        Ok(())
    }
}

/// Reads the images of a part with their boxes.
struct PartReader<'a> {
    room: Room,
    noun: &'static str,
    settings: &'a DataSettings,
    left_out: &'a mut LeftOut,
    notes: &'a mut Vec<String>,
}

impl PartReader<'_> {
    fn read(
        &mut self,
        images: &[BoxedImage],
        reader: &mut PictureReader,
        root: &Path,
    ) -> Result<Samples> {
        let paths: Vec<PathBuf> = images.iter().map(|image| image.path.clone()).collect();
        let mut of_paths = images.iter();
        // The boxes of each image that can be read.
        let mut kept: Vec<(&BoxedImage, Vec<[f32; 6]>)> = Vec::with_capacity(images.len());
        let pixels = reader.read(&paths, |path, outcome| {
            let Some(image) = of_paths.next() else {
                return Ok(());
            };
            match outcome {
                Ok(size) => {
                    kept.push((image, self.boxes(image, size)?));
                    Ok(())
                }
                Err(why) if self.settings.skip_bad => {
                    self.notes
                        .push(format!("skipped {}: {why}", path.display()));
                    Ok(())
                }
                Err(why) => Err(unreadable(path, &why).into()),
            }
        })?;
        samples(pixels, &kept, root)
    }

    /// The boxes of an image with a file of this `size`, as rows of the field.
    fn boxes(&mut self, image: &BoxedImage, size: [usize; 2]) -> Result<Vec<[f32; 6]>, DataError> {
        let mut rows = Vec::with_capacity(image.boxes.len());
        for each in &image.boxes {
            match self.room.placed(each, size) {
                Ok(corners) => {
                    let [x0, y0, x1, y1] = corners.map(|x| x as f32);
                    let crowd = if each.is_crowd { 1.0 } else { 0.0 };
                    rows.push([x0, y0, x1, y1, each.class as f32, crowd]);
                }
                Err(why) => self.left_out.add(why, || {
                    let file = image.source.display();
                    format!("{file}, {} {}", self.noun, each.number)
                }),
            }
        }
        match rows.len() > MOST_BOXES {
            false => Ok(rows),
            true => Err(DataError::unusable(
                &image.path,
                format!("has {} boxes, of at most {MOST_BOXES}", rows.len()),
            )),
        }
    }
}

/// The samples of a part.
fn samples(
    pixels: FieldValues,
    kept: &[(&BoxedImage, Vec<[f32; 6]>)],
    root: &Path,
) -> Result<Samples> {
    let count = kept.len();
    let most = kept.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0);
    let most = most.max(1);
    let rows = count.saturating_mul(most);
    let bytes = (rows as u64).saturating_mul(4 * 6);
    if u32::try_from(rows).is_err() {
        return Err(Error::Memory(format!(
            "{count} images with room for {most} boxes each are too many; use fewer images"
        )));
    }
    host_memory::check(bytes).map_err(|needs| {
        Error::Memory(format!(
            "the boxes of {count} images need {needs}; use fewer images"
        ))
    })?;
    let mut values = Vec::with_capacity(6 * rows);
    for (_, boxes) in kept {
        values.extend(boxes.iter().flatten());
        let missing = most - boxes.len();
        values.extend((0..missing).flat_map(|_| field::NO_BOX));
    }
    let boxes = FieldValues::Windows {
        rows: Arc::new(WindowRows::Floats { values, columns: 6 }),
        offset: 0,
        length: most,
    };
    let fields = [(field::IMAGE, pixels), (field::BOXES, boxes)];
    let fields = fields.map(|(name, values)| Field { name, values });
    let starts = Starts {
        first: (0..count).map(|index| (index * most) as u32).collect(),
        anywhere: false,
        span: most,
        rows,
    };
    let names = kept.iter().map(|(image, _)| &*image.path);
    let names = SampleNames::files(names, root);
    Ok(Samples::new(count, fields.into(), Some(starts)).named(names))
}

/// The text of the file `path`.
///
/// # Errors
/// If it can't be read.
pub(super) fn text_of(path: &Path) -> Result<String, DataError> {
    let bytes = read_whole(path)?;
    let text = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => String::from_utf8_lossy(rest),
        None => String::from_utf8_lossy(&bytes),
    };
    Ok(text.into_owned())
}

#[cfg(test)]
pub(super) mod tests;
