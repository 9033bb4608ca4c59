//! Shared by image formats: reading images for predictions.

use super::picture_files::{LeftOut, images_in, read_pictures};
use super::{InputContext, PredictInput, PredictInputs, PredictItem, paths};
use crate::data::brightness::Brightness;
use crate::data::{ChannelStats, ImageSet, PictureShape, Survey};
use crate::error::{Error, Result};

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

/// Reads image files, and all images of folders, in the shape that the model takes.
pub(super) fn read_inputs(inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
    let shape = input_shape(cx)?;
    let (height, width, channels) = (shape.height, shape.width, shape.channels);
    let (mut items, mut images) = (Vec::new(), Vec::new());
    let (mut survey, mut left_out) = (Survey::default(), LeftOut::default());
    for path in paths(inputs)? {
        let name = || PredictItem::file(path.display());
        let files = match path.is_dir() {
            true => images_in(path, &mut left_out),
            false => Ok(vec![path.to_owned()]),
        };
        match files {
            Err(e) => items.push(name().but(e)),
            Ok(files) if files.is_empty() => {
                items.push(name().but(format!("{} holds no image files", path.display())));
            }
            Ok(files) => read_pictures(&files, shape, &mut survey, |path, picture| {
                let item = PredictItem::picture(path);
                items.push(match picture {
                    Ok(bytes) => {
                        images.extend(bytes);
                        item
                    }
                    Err(why) => item.but(format!(
                        "{} can't be read as an image: {why}",
                        path.display()
                    )),
                });
                Ok(())
            })?,
        }
    }
    if cx.invert {
        images.iter_mut().for_each(|byte| *byte = 255 - *byte);
    }
    let mut notes = left_out.notes();
    notes.extend(survey.notes(shape.background));
    notes.extend(brightness(&images, channels, cx));
    let set = ImageSet {
        labels: vec![0; images.len() / (height * width * channels)],
        images,
        height,
        width,
        channels,
    };
    Ok(PredictInputs {
        items,
        set: set.into(),
        notes,
    })
}

/// A note if the `pixels` are much lighter or darker than those of the training images, whose mean the run recorded.
pub(super) fn brightness(pixels: &[u8], channels: usize, cx: &InputContext<'_>) -> Option<String> {
    if pixels.is_empty() || cx.settings.mean.is_some() {
        return None;
    }
    let stats = ChannelStats::of_pixels(pixels, channels);
    let far = Brightness::far(&stats.mean, &cx.fitted.mean)?;
    let advice = match (far.looks_inverted(), cx.invert) {
        (true, false) => "try --invert",
        (true, true) => "leave out --invert",
        (false, _) => "the predictions may be wrong",
    };
    Some(format!("{}: {advice}", far.in_words("these images are")))
}
