//! Shared by image formats: reading images for predictions.

use super::picture_files::{LeftOut, images_in};
use super::pixels::PictureReader;
use super::{InputContext, PredictInput, PredictInputs, PredictItem, paths};
use crate::data::brightness::Brightness;
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
        background: cx.settings.background,
    })
}

/// Each image file among `inputs` and in their folders, or what is wrong with an input. Other files are counted in `left_out`.
///
/// # Errors
/// If an input is a text.
pub(super) fn listed(
    inputs: &[PredictInput],
    left_out: &mut LeftOut,
) -> Result<Vec<Result<PathBuf, PredictItem>>> {
    let mut found = Vec::new();
    for path in paths(inputs)? {
        let name = || PredictItem::file(path.display());
        let files = match path.is_dir() {
            true => images_in(path, left_out),
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
    Ok(found)
}

/// Reads image files, and all images of folders, in the shape that the model takes.
pub(super) fn read_inputs(inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
    let shape = input_shape(cx)?;
    let mut left_out = LeftOut::default();
    let found = listed(inputs, &mut left_out)?;
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
            Ok(_) => item,
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
    let items = items.collect();
    let set = Samples::new(count, field::of_pictures(pixels, vec![0; count]), None);
    let mut notes = left_out.notes();
    notes.extend(reader.survey().notes(shape.background));
    notes.extend(brightness(&set, cx));
    notes.extend(reader.in_words());
    Ok(PredictInputs {
        items,
        cells: None,
        set,
        notes,
    })
}

/// A note if the pixels of `samples` are much lighter or darker than those of the training images, whose mean the run recorded.
pub(super) fn brightness(samples: &Samples, cx: &InputContext<'_>) -> Option<String> {
    if samples.is_empty() || cx.settings.mean.is_some() {
        return None;
    }
    let stats = samples.channel_stats()?;
    let far = Brightness::far(&stats.mean, &cx.fitted.mean)?;
    let advice = match (far.looks_inverted(), cx.invert) {
        (true, false) => "try --invert",
        (true, true) => "leave out --invert",
        (false, _) => "the predictions may be wrong",
    };
    Some(format!("{}: {advice}", far.in_words("these images are")))
}
