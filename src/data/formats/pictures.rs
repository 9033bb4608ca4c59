//! Shared by image formats: reading images for predictions.

use super::pixels::PictureReader;
use super::{InputContext, PredictInput, PredictInputs, PredictItem, image_files, paths};
use crate::data::{PictureShape, Samples, field};
use crate::error::{Error, Result};
use std::path::PathBuf;

/// The shape of images that the model takes.
///
/// # Errors
/// If the model takes no images, or its number of channels is not that of an image file.
pub(super) fn input_shape(cx: &InputContext<'_>) -> Result<PictureShape> {
    let Some([height, width, channels]) = cx.image else {
        let message = format!("model {} does not take images", cx.model);
        return Err(Error::Config(message));
    };
    if channels != 1 && channels != 3 {
        return Err(Error::Config(format!(
            "the model takes images with {channels} channels, but image files have 1 or 3"
        )));
    }
    Ok(PictureShape {
        height,
        width,
        channels,
        fit: cx.settings.fit,
    })
}

/// Reads image files, and all images of folders, in the shape that the model takes.
pub(super) fn read_inputs(inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
    let shape = input_shape(cx)?;
    // Each image file, or what is wrong with an input.
    let mut found: Vec<Result<PathBuf, PredictItem>> = Vec::new();
    for path in paths(inputs)? {
        let name = || PredictItem::file(path.display());
        let files = match path.is_dir() {
            true => image_files(path),
            false => Ok(vec![path.to_owned()]),
        };
        match files {
            Err(e) => found.push(Err(name().but(e))),
            Ok(files) if files.is_empty() => {
                let what = format!("{} holds no image files", path.display());
                found.push(Err(name().but(what)));
            }
            Ok(files) => found.extend(files.into_iter().map(Ok)),
        }
    }
    let files: Vec<PathBuf> = found
        .iter()
        .filter_map(|file| file.as_ref().ok())
        .cloned()
        .collect();
    let mut reader = PictureReader::new(files.len(), shape, cx.settings, cx.invert)?;
    let mut read = Vec::with_capacity(files.len());
    let pixels = reader.read(&files, |path, outcome| {
        let item = PredictItem::picture(path);
        read.push(match outcome {
            Ok(()) => item,
            Err(why) => item.but(format!(
                "{} can't be read as an image: {why}",
                path.display()
            )),
        });
        Ok(())
    })?;
    let count = read.iter().filter(|item| item.trouble.is_none()).count();
    let mut read = read.into_iter();
    let items = found.into_iter().filter_map(|file| match file {
        Ok(_) => read.next(),
        Err(item) => Some(item),
    });
    Ok(PredictInputs {
        items: items.collect(),
        set: Samples::new(count, field::of_pictures(pixels, vec![0; count]), None),
        notes: reader.in_words().into_iter().collect(),
    })
}
