//! Images that are cut into tiles, with or without their masks.

use super::super::picture_files::LeftOut;
use super::super::pictures::{brightness, input_shape, listed};
use super::super::{InputContext, PredictInput, PredictInputs, PredictItem};
use super::MOST_BYTES;
use crate::data::picture::{Survey, decode_opaque, fitted, fitted_mask};
use crate::data::{
    ByteCount, DataSettings, FieldValues, PictureFit, PictureShape, Samples, Tiles, Tiling, field,
};
use crate::error::{Error, Result};
use crate::host_memory;
use image::{DynamicImage, GrayImage};

/// The tiling that `settings` ask for, if any.
///
/// # Errors
/// If the size of a tile is missing, or the overlap is not smaller.
pub(super) fn tiling(settings: &DataSettings) -> Result<Option<Tiling>> {
    match (settings.fit, settings.size) {
        (PictureFit::Tile, Some(size)) => Tiling::new(size, settings.overlap).map(Some),
        (PictureFit::Tile, None) => Err(Error::Config(
            "data.fit = \"tile\" needs data.size, the size of a tile, or a model whose input has a size"
                .to_string(),
        )),
        _ => Ok(None),
    }
}

/// The tiles of `image` and its `mask`, one after another. Beyond an image that is smaller than a tile, pixels are grey and have no
/// class.
pub(super) fn cut_pair(
    image: &DynamicImage,
    mask: GrayImage,
    tiling: Tiling,
    shape: PictureShape,
) -> (Vec<u8>, Vec<u8>) {
    let mask = DynamicImage::from(mask);
    let (mut images, mut masks) = (Vec::new(), Vec::new());
    for corner in tiling.corners(rows_and_columns(image)) {
        images.extend(fitted(part(image, corner, shape), shape));
        masks.extend(fitted_mask(part(&mask, corner, shape).into_luma8(), shape));
    }
    (images, masks)
}

/// The part of `picture` that a tile at `corner` shows.
fn part(picture: &DynamicImage, [row, column]: [usize; 2], shape: PictureShape) -> DynamicImage {
    let [x, y, width, height] = [column, row, shape.width, shape.height].map(|n| n as u32);
    picture.crop_imm(x, y, width, height)
}

fn rows_and_columns(picture: &DynamicImage) -> [usize; 2] {
    [picture.height(), picture.width()].map(|side| side as usize)
}

/// Bytes of a tile of this shape.
fn tile_bytes(shape: PictureShape) -> u64 {
    (shape.height * shape.width * shape.channels) as u64
}

/// Fails if `count` tiles of this shape with their masks are over a limit for a part, or do not fit the free memory if they are still
/// to be cut.
///
/// # Errors
/// Says how many bytes they are.
pub(super) fn check_tiles(
    count: usize,
    shape: PictureShape,
    settings: &DataSettings,
    are_cut: bool,
) -> Result<()> {
    let pixels = (shape.height * shape.width) as u64;
    let bytes = (tile_bytes(shape) + pixels).saturating_mul(count as u64);
    let tiles = format!(
        "{count} tiles of {} x {} with masks",
        shape.height, shape.width
    );
    let advice = "use fewer images, or make data.overlap smaller";
    let size = ByteCount(bytes);
    if let Some(limit) = settings.memory_limit.filter(|&limit| size > limit) {
        return Err(Error::Config(format!(
            "{tiles} are {size}, over data.memory_limit ({limit}), and images with masks are always read into memory: leave out that \
             setting, or {advice}"
        )));
    }
    if bytes > MOST_BYTES as u64 {
        return Err(Error::Memory(format!(
            "{tiles} are over {} GiB of pixels; {advice}",
            MOST_BYTES >> 30
        )));
    }
    match are_cut {
        true => Ok(()),
        false => host_memory::check(bytes)
            .map_err(|needs| Error::Memory(format!("{tiles} need {needs}; {advice}"))),
    }
}

/// Cuts image files, and all images of folders, into tiles of the size that the model takes.
pub(super) fn read_inputs(inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
    let shape = input_shape(cx)?;
    let tiling = Tiling::new([shape.height, shape.width], cx.settings.overlap)?;
    let mut left_out = LeftOut::default();
    let (mut tiles, mut survey) = (Tiles::new(tiling), Survey::default());
    let mut bytes = Vec::new();
    let mut items = Vec::new();
    for file in listed(inputs, &mut left_out)? {
        let path = match file {
            Ok(path) => path,
            Err(item) => {
                items.push(item);
                continue;
            }
        };
        let item = PredictItem::picture(&path);
        items.push(match decode_opaque(&path, shape.background) {
            Ok((picture, traits)) => {
                let size = rows_and_columns(&picture);
                check_predicted(tiles.len(), tiling.count(size), shape, cx)?;
                survey.add(&traits);
                tiles.add(size);
                for corner in tiling.corners(size) {
                    bytes.extend(fitted(part(&picture, corner, shape), shape));
                }
                item
            }
            Err(why) => item.but(format!(
                "{} can't be read as an image: {why}",
                path.display()
            )),
        });
    }
    if cx.invert {
        bytes.iter_mut().for_each(|byte| *byte = 255 - *byte);
    }
    let pixels = FieldValues::Pixels {
        bytes,
        shape: [shape.height, shape.width, shape.channels],
    };
    let count = tiles.len();
    let set = Samples::new(count, field::of_pictures(pixels, vec![0; count]), None).tiled(tiles);
    let mut notes = left_out.notes();
    notes.extend(survey.notes(shape.background));
    notes.extend(brightness(&set, cx));
    Ok(PredictInputs {
        items,
        cells: None,
        set,
        notes,
    })
}

/// Fails if the free memory does not hold the pixels of `count` more tiles, and the logits of these and of those that are `known`.
fn check_predicted(
    known: usize,
    count: usize,
    shape: PictureShape,
    cx: &InputContext<'_>,
) -> Result<()> {
    let logits = 4 * (shape.height * shape.width * cx.fitted.classes.len().max(1)) as u64;
    let all = known.saturating_add(count);
    let bytes = logits
        .saturating_mul(all as u64)
        .saturating_add(tile_bytes(shape).saturating_mul(count as u64));
    host_memory::check(bytes).map_err(|needs| {
        Error::Memory(format!(
            "the images are {all} tiles of {} x {}, whose predictions need {needs}; predict fewer images at a time, or make \
             data.overlap smaller",
            shape.height, shape.width
        ))
    })
}
