//! Images with masks, for segmentation: `image/7.png` and `mask/7.png`, whose pixels give the class of each pixel of the image;
//! or such pairs in `train`, `val` and `test`.

mod tiled;
mod value;

pub use value::MaskValue;

use self::tiled::{check_tiles, cut_pair, tiling};
use self::value::each_value;
use super::paired::{Pair, Pairing};
use super::picture_files::{check_pixels, own_shape, unreadable};
use super::pixels::check_limit;
#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, pictures};
use crate::data::picture::{Survey, Traits, decode, decode_opaque, fitted, fitted_mask};
use crate::data::{
    ChannelStats, DataError, DataSettings, Dataset, Field, FieldValues, Fitted, Parts, PictureFit,
    PictureShape, SampleNames, Samples, Source, Tiles, Tiling, field,
};
use crate::error::{Error, Result};
use image::{DynamicImage, GenericImageView, GrayImage};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Images and their masks.
const PAIRING: Pairing = Pairing {
    images: &["image", "images", "imgs"],
    others: &["mask", "masks", "label", "labels"],
    image: "image",
    other: "mask",
};
/// Maximum number of classes: a pixel of a mask is one byte.
const MOST_CLASSES: usize = 256;
/// The class of pixels that have none.
const IGNORED: u8 = u8::MAX;
/// Maximum bytes of images in a part.
const MOST_BYTES: usize = 16 << 30;
/// Number of pairs that are decoded at a time, to limit memory.
const CHUNK: usize = 256;

/// Images as bytes, NHWC, with a class for every pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskSet {
    /// `len() * height * width * channels` bytes, channels fastest.
    pub images: Vec<u8>,
    /// `len() * height * width` class indices, in the order of the pixels.
    pub masks: Vec<u8>,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Bytes of a pixel of an image.
    pub channels: usize,
    /// Name of the file of each image.
    pub names: Vec<String>,
    /// The files that the images are tiles of, if they are.
    pub tiles: Option<Tiles>,
}

impl MaskSet {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.masks.len() / (self.height * self.width).max(1)
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.masks.is_empty()
    }
}

impl From<MaskSet> for Samples {
    fn from(set: MaskSet) -> Self {
        let count = set.len();
        let image = FieldValues::Pixels {
            bytes: set.images,
            shape: [set.height, set.width, set.channels],
        };
        let mask = FieldValues::ByteClasses {
            bytes: set.masks,
            shape: [set.height, set.width],
        };
        let fields = [(field::IMAGE, image), (field::MASK, mask)];
        let fields = fields.map(|(name, values)| Field { name, values });
        let names = SampleNames::Files(set.names);
        Samples::new(count, fields.into(), None)
            .named(names)
            .tiled(set.tiles)
    }
}

/// A folder of images and one of masks.
pub struct Masks;

impl Format for Masks {
    fn name(&self) -> &'static str {
        "masks"
    }

    fn about(&self) -> &'static str {
        "images with masks"
    }

    fn looks_for(&self) -> &'static str {
        "image/1.png and mask/1.png, also in train, val and test"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let reason = PAIRING.detect(source)?;
        Detection::new(97, reason)
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        load(cx.source, cx.settings, cx.fitted, cx.seed).map(Dataset::into_samples)
    }

    fn cuts_tiles(&self) -> bool {
        true
    }

    fn describe(&self, fitted: &Fitted) -> Vec<String> {
        let classes = fitted.mask_values.iter().zip(&fitted.classes);
        let differ = classes.filter(|(value, class)| value.to_string() != **class);
        differ
            .map(|(value, class)| format!("mask value {value}: {class}"))
            .collect()
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        match cx.settings.fit {
            PictureFit::Tile => tiled::read_inputs(inputs, cx),
            _ => pictures::read_inputs(inputs, cx),
        }
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let mut sample = Sample::in_folder(dir);
        for n in 0..6 {
            sample = sample
                .with(&format!("image/{n}.png"), Sample::png([4, 4], n))
                .with(&format!("mask/{n}.png"), Sample::png([4, 4], n % 2));
        }
        sample.cut("mask/0.png", 40)
    }
}

/// Loads the images with masks in the folder `path`. The classes are the values of `settings.mask_values` or of `fitted`, or else
/// those in the training masks, sorted. These values, the names of the classes, and mean and standard deviation are stored in
/// `fitted`.
///
/// # Errors
/// Names the image or mask that is missing, can't be read, or does not fit the other.
pub fn load_masks(
    path: &Path,
    settings: &DataSettings,
    fitted: &mut Fitted,
    seed: u64,
) -> Result<Dataset<MaskSet>> {
    let source = Source::look(&path.display().to_string())?;
    load(&source, settings, fitted, seed)
}

fn load(
    source: &Source,
    settings: &DataSettings,
    fitted: &mut Fitted,
    seed: u64,
) -> Result<Dataset<MaskSet>> {
    let path = source.path();
    let Parts {
        train,
        validation,
        test,
    } = PAIRING.parts(source, settings, seed)?;
    // If a run is evaluated on samples without parts, all of them are in the test part.
    let first = [Some(&train), validation.as_ref(), test.as_ref()];
    let first = first.into_iter().flatten().find_map(|pairs| pairs.first());
    let first = first.ok_or_else(|| DataError::unusable(path, "has no images with masks"))?;
    let tiling = tiling(settings)?;
    let shape = own_shape(settings, &first.image)?;
    let all = [Some(&train), validation.as_ref(), test.as_ref()];
    let count = all.into_iter().flatten().map(Vec::len).sum();
    if tiling.is_none() {
        check_limit(count, shape, settings)?;
    }
    let mut notes = Vec::new();
    let values = match (&settings.mask_values[..], &fitted.mask_values[..]) {
        ([], []) => found_values(&train, settings, path, &mut notes)?,
        ([], known) => known.to_vec(),
        (said, _) => said.to_vec(),
    };
    let classes = class_names(&values, settings, fitted)?;
    let mut known: BTreeMap<MaskValue, u8> = values.iter().copied().zip(0..=u8::MAX).collect();
    known.extend(settings.mask_ignore.iter().map(|&value| (value, IGNORED)));
    let how = Reading {
        classes: &known,
        shape,
        tiling,
        settings,
    };
    let mut survey = Survey::default();
    let mut read = |pairs: &[Pair]| {
        let skipped = settings.skip_bad.then_some(&mut notes);
        read_pairs(pairs, how, skipped, &mut survey)
    };
    let parts = Parts {
        train: read(&train)?,
        validation: validation.map(|pairs| read(&pairs)).transpose()?,
        test: test.map(|pairs| read(&pairs)).transpose()?,
    };
    fitted.mask_values = values;
    fitted.classes.clone_from(&classes);
    let mut dataset = Dataset::of_parts(path, parts, classes);
    let (name, train) = (&dataset.name, &dataset.train);
    let stats = || Some(ChannelStats::of_pixels(&train.images, train.channels));
    fitted.take_scale(settings, name, train.channels, stats)?;
    notes.extend(survey.notes(settings.background));
    dataset.notes.extend(notes);
    dataset.found = survey.found();
    let cut = tiling.map(|tiling| format!("images are cut into {}", tiling.in_words()));
    dataset.found.extend(cut);
    Ok(dataset)
}

/// The values in the masks of `pairs`, sorted.
fn found_values(
    pairs: &[Pair],
    settings: &DataSettings,
    path: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<MaskValue>> {
    let mut values = BTreeSet::new();
    for chunk in pairs.chunks(CHUNK) {
        let distinct = |pair: &Pair| match decode(&pair.other) {
            Ok(mask) => Ok(distinct_values(&mask)),
            // The pair is skipped, with a note, when it is read.
            Err(_) if settings.skip_bad => Ok(BTreeSet::new()),
            Err(e) => Err(unreadable(&pair.other, &e)),
        };
        let found: Vec<Result<BTreeSet<MaskValue>, DataError>> =
            chunk.par_iter().map(distinct).collect();
        for (found, pair) in found.into_iter().zip(chunk) {
            values.extend(found?);
            values.retain(|value| !settings.mask_ignore.contains(value));
            if values.len() > MOST_CLASSES {
                return Err(DataError::unusable(
                    &pair.other,
                    format!(
                        "is the mask at which there are over {MOST_CLASSES} different values: the masks seem to be photographs, or JPEG files, \
                         which change values; save masks as PNG, or list the values of the classes in data.mask_values"
                    ),
                )
                .into());
            }
        }
    }
    let is_jpeg = |pair: &&Pair| {
        let ending = pair.other.extension().unwrap_or_default();
        ["jpg", "jpeg", "jfif"]
            .iter()
            .any(|jpeg| ending.eq_ignore_ascii_case(jpeg))
    };
    if let Some(pair) = pairs.iter().find(is_jpeg) {
        notes.push(format!(
            "{} is JPEG, which changes values: {} were found in the masks of {}, and each is taken for a class; save masks as PNG",
            pair.other.display(),
            values.len(),
            path.display()
        ));
    }
    Ok(values.into_iter().collect())
}

fn distinct_values(mask: &DynamicImage) -> BTreeSet<MaskValue> {
    let mut values = BTreeSet::new();
    let mut last = None;
    each_value(mask, |value| {
        // Adjacent pixels mostly have the same value.
        if last != Some(value) {
            values.insert(value);
            last = Some(value);
        }
    });
    values
}

/// Names of the classes: those of the settings, those that the run recorded, or the values.
fn class_names(
    values: &[MaskValue],
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<Vec<String>> {
    let distinct: BTreeSet<&MaskValue> = values.iter().collect();
    if values.len() > MOST_CLASSES || distinct.len() != values.len() {
        return Err(Error::Config(format!(
            "data.mask_values must be at most {MOST_CLASSES} different values"
        )));
    }
    if values.is_empty() {
        return Err(Error::Config("the masks have no values".to_string()));
    }
    let ignored = &settings.mask_ignore;
    if let Some(both) = ignored.iter().find(|value| distinct.contains(value)) {
        return Err(Error::Config(format!(
            "{both} is in data.mask_values and in data.mask_ignore; leave it out of one of them"
        )));
    }
    let pads = [PictureFit::Pad, PictureFit::Tile].contains(&settings.fit);
    let has_ignored = !ignored.is_empty() || pads;
    if has_ignored && values.len() == MOST_CLASSES {
        return Err(Error::Config(format!(
            "masks with pixels that are ignored, or padded, have at most {} classes",
            MOST_CLASSES - 1
        )));
    }
    if !settings.mask_classes.is_empty() {
        if settings.mask_classes.len() != values.len() {
            let shown: Vec<String> = values.iter().take(10).map(MaskValue::to_string).collect();
            return Err(Error::Config(format!(
                "data.mask_classes names {} classes, but the masks have {} values ({}): name each of them, in that order",
                settings.mask_classes.len(),
                values.len(),
                shown.join(", ")
            )));
        }
        return Ok(settings.mask_classes.clone());
    }
    Ok(match fitted.classes.len() == values.len() {
        true => fitted.classes.clone(),
        false => values.iter().map(MaskValue::to_string).collect(),
    })
}

/// How images and masks are read.
#[derive(Clone, Copy)]
struct Reading<'a> {
    /// The class of each value of a mask.
    classes: &'a BTreeMap<MaskValue, u8>,
    /// The shape of a sample.
    shape: PictureShape,
    /// How images are cut into samples, if they are.
    tiling: Option<Tiling>,
    settings: &'a DataSettings,
}

/// Reads images and masks, in parallel. Notes on those that can't be decoded go to `skipped`; if there is none, they are errors.
fn read_pairs(
    pairs: &[Pair],
    how: Reading<'_>,
    mut skipped: Option<&mut Vec<String>>,
    survey: &mut Survey,
) -> Result<MaskSet> {
    let shape = how.shape;
    let pixels = shape.height.saturating_mul(shape.width);
    let length = pixels.saturating_mul(shape.channels);
    if pairs.len().saturating_mul(length) > MOST_BYTES {
        return Err(Error::Memory(format!(
            "{} images of {} x {} are over {} GiB of pixels; use fewer, or make data.size smaller",
            pairs.len(),
            shape.height,
            shape.width,
            MOST_BYTES >> 30
        )));
    }
    check_pixels(pairs.len().saturating_mul(length + pixels) as u64)?;
    let mut set = MaskSet {
        images: Vec::with_capacity(pairs.len() * length),
        masks: Vec::with_capacity(pairs.len() * shape.height * shape.width),
        height: shape.height,
        width: shape.width,
        channels: shape.channels,
        names: Vec::with_capacity(pairs.len()),
        tiles: how.tiling.map(Tiles::new),
    };
    // Images that are cut into tiles may be large.
    let chunk = match how.tiling {
        Some(_) => rayon::current_num_threads(),
        None => CHUNK,
    };
    for chunk in pairs.chunks(chunk) {
        let read: Vec<_> = chunk.par_iter().map(|pair| read_pair(pair, how)).collect();
        for (pair, files) in read.into_iter().zip(chunk) {
            match pair {
                Ok(ReadPair {
                    images,
                    masks,
                    traits,
                }) => {
                    let size = traits.size();
                    let count = set.tiles.as_mut().map_or(1, |tiles| tiles.add(size));
                    let names = std::iter::repeat_n(files.name(), count);
                    set.names.extend(names);
                    survey.add(&traits);
                    set.images.extend(images);
                    set.masks.extend(masks);
                }
                Err(BadPair::Undecoded { path, why }) => match skipped.as_deref_mut() {
                    Some(notes) => notes.push(format!("skipped {}: {why}", path.display())),
                    None => return Err(unreadable(&path, &why).into()),
                },
                Err(BadPair::Unfit(e)) => return Err(e),
            }
        }
        if let Some(tiles) = &set.tiles {
            check_tiles(tiles.len(), shape, how.settings, true)?;
        }
    }
    Ok(set)
}

/// Why a pair can't be read.
enum BadPair {
    /// One of its files is not an image.
    Undecoded { path: PathBuf, why: String },
    /// Image and mask do not fit each other, the mask does not fit the classes, or the tiles do not fit the memory.
    Unfit(Error),
}

impl From<DataError> for BadPair {
    fn from(error: DataError) -> BadPair {
        BadPair::Unfit(error.into())
    }
}

/// An image with its mask.
struct ReadPair {
    /// The bytes of the image, or of its tiles.
    images: Vec<u8>,
    /// The classes of its pixels.
    masks: Vec<u8>,
    /// What the file of the image is like.
    traits: Traits,
}

/// Reads an image and its mask.
fn read_pair(pair: &Pair, how: Reading<'_>) -> Result<ReadPair, BadPair> {
    let Reading {
        classes,
        shape,
        tiling,
        settings,
    } = how;
    let undecoded = |path: &PathBuf| {
        let path = path.clone();
        |why| BadPair::Undecoded { path, why }
    };
    let image = decode_opaque(&pair.image, shape.background);
    let (image, traits) = image.map_err(undecoded(&pair.image))?;
    let mask = decode(&pair.other).map_err(undecoded(&pair.other))?;
    if image.dimensions() != mask.dimensions() {
        return Err(BadPair::from(DataError::unusable(
            &pair.other,
            format!(
                "is {} x {} pixels, but its image {} is {} x {}{}: make them the same size",
                mask.height(),
                mask.width(),
                pair.image.display(),
                image.height(),
                image.width(),
                match traits.is_turned {
                    true => " when it is turned by its EXIF orientation",
                    false => "",
                }
            ),
        )));
    }
    let mut indices = Vec::with_capacity(mask.width() as usize * mask.height() as usize);
    let mut unknown = None;
    each_value(&mask, |value| match classes.get(&value) {
        Some(&class) => indices.push(class),
        None => {
            unknown.get_or_insert((value, indices.len()));
            indices.push(0);
        }
    });
    if let Some((value, at)) = unknown {
        let known: Vec<String> = classes.keys().take(10).map(MaskValue::to_string).collect();
        let (row, column) = (at / mask.width() as usize, at % mask.width() as usize);
        return Err(BadPair::from(DataError::unusable(
            &pair.other,
            format!(
                "has the value {value} in row {row}, column {column}, which is not a class: the classes are {}",
                known.join(", ")
            ),
        )));
    }
    let indices = GrayImage::from_raw(mask.width(), mask.height(), indices).ok_or_else(|| {
        BadPair::from(DataError::unusable(
            &pair.other,
            "has too few pixels for its size",
        ))
    })?;
    let (images, masks) = match tiling {
        Some(tiling) => {
            let count = tiling.count(traits.size());
            check_tiles(count, shape, settings, false).map_err(BadPair::Unfit)?;
            cut_pair(&image, indices, tiling, shape)
        }
        None => (fitted(image, shape), fitted_mask(indices, shape)),
    };
    Ok(ReadPair {
        images,
        masks,
        traits,
    })
}

#[cfg(test)]
#[path = "masks/tests.rs"]
mod tests;
