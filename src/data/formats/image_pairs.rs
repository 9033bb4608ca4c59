//! Images with degraded ones, for restoration: `target/7.png` and `input/7.png`; or such pairs in `train`, `val` and `test`. A degraded
//! image may have fewer pixels; it is enlarged to the size of the good one.

use super::paired::{Pair, Pairing};
use super::picture_files::{check_pixels, own_shape, unreadable};
#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, pictures};
use crate::data::picture::{Survey, Traits, read_with_traits};
use crate::data::{
    ByteCount, ChannelStats, DataError, DataSettings, Dataset, Field, FieldValues, Parts,
    PictureShape, SampleNames, Samples, Source, field,
};
use crate::error::{Error, Result};
use rayon::prelude::*;
#[cfg(test)]
use std::path::Path;

/// Good images and degraded ones.
const PAIRING: Pairing = Pairing {
    images: &[
        "target",
        "targets",
        "clean",
        "sharp",
        "high",
        "hr",
        "ground_truth",
        "gt",
    ],
    others: &[
        "input", "inputs", "degraded", "noisy", "blurred", "low", "lr",
    ],
    image: "good image",
    other: "degraded image",
};
/// Number of pairs that are decoded at a time, to limit memory.
const CHUNK: usize = 256;

/// A folder of images and one of degraded images.
pub struct ImagePairs;

impl Format for ImagePairs {
    fn name(&self) -> &'static str {
        "image_pairs"
    }

    fn about(&self) -> &'static str {
        "images with degraded ones"
    }

    fn looks_for(&self) -> &'static str {
        "target/1.png and input/1.png, also in train, val and test"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        Detection::new(97, PAIRING.detect(source)?)
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        let (source, settings) = (cx.source, cx.settings);
        let path = source.path();
        let Parts {
            train,
            validation,
            test,
        } = PAIRING.parts(source, settings, cx.seed)?;
        // If a run is evaluated on samples without parts, all of them are in the test part.
        let all = [Some(&train), validation.as_ref(), test.as_ref()];
        let all: Vec<&Pair> = all.into_iter().flatten().flatten().collect();
        let first = all.first();
        let first = first.ok_or_else(|| DataError::unusable(path, "has no pairs of images"))?;
        let shape = own_shape(settings, &first.image)?;
        check_limit(all.len(), shape, settings)?;
        let (mut notes, mut survey) = (Vec::new(), Survey::default());
        let mut read = |pairs: &[Pair]| {
            let skipped = settings.skip_bad.then_some(&mut notes);
            read_pairs(pairs, shape, skipped, &mut survey)
        };
        let parts = Parts {
            train: read(&train)?,
            validation: validation.map(|pairs| read(&pairs)).transpose()?,
            test: test.map(|pairs| read(&pairs)).transpose()?,
        };
        let mut dataset = Dataset::of_parts(path, parts, Vec::new());
        let (name, train) = (&dataset.name, &dataset.train);
        let stats = || Some(ChannelStats::of_pixels(&train.images, shape.channels));
        cx.fitted
            .take_scale(settings, name, shape.channels, stats)?;
        notes.extend(survey.notes(settings.background));
        dataset.notes.extend(notes);
        dataset.found = survey.found();
        Ok(dataset.into_samples())
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        pictures::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let mut sample = Sample::in_folder(dir);
        for n in 0..6 {
            sample = sample
                .with(&format!("target/{n}.png"), Sample::png([4, 4], n))
                .with(&format!("input/{n}.png"), Sample::png([2, 2], n));
        }
        sample.cut("input/0.png", 40)
    }
}

/// Pairs as bytes, NHWC.
#[derive(Clone)]
struct PairSet {
    images: Vec<u8>,
    degraded: Vec<u8>,
    shape: [usize; 3],
    names: Vec<String>,
}

impl From<PairSet> for Samples {
    fn from(set: PairSet) -> Self {
        let (count, shape) = (set.names.len(), set.shape);
        let fields = [(field::IMAGE, set.images), (field::DEGRADED, set.degraded)];
        let fields = fields.map(|(name, bytes)| Field {
            name,
            values: FieldValues::Pixels { bytes, shape },
        });
        Samples::new(count, fields.into(), None).named(SampleNames::Files(set.names))
    }
}

/// Fails if `count` pairs are over a memory limit that is set.
fn check_limit(count: usize, shape: PictureShape, settings: &DataSettings) -> Result<()> {
    let PictureShape {
        height,
        width,
        channels,
        ..
    } = shape;
    let each = height.saturating_mul(width).saturating_mul(2 * channels);
    let bytes = each.saturating_mul(count) as u64;
    match settings.memory_limit {
        Some(limit) if bytes > limit.0 => Err(Error::Config(format!(
            "{count} pairs of images of {height} x {width} are {}, over data.memory_limit ({limit}), and pairs are always read into memory: \
             leave out that setting, or make data.size smaller",
            ByteCount(bytes)
        ))),
        _ => check_pixels(bytes),
    }
}

/// Reads both images of every pair, in parallel. Notes on those that can't be decoded go to `skipped`; if there is none, they are errors.
fn read_pairs(
    pairs: &[Pair],
    shape: PictureShape,
    mut skipped: Option<&mut Vec<String>>,
    survey: &mut Survey,
) -> Result<PairSet> {
    let mut set = PairSet {
        images: Vec::new(),
        degraded: Vec::new(),
        shape: [shape.height, shape.width, shape.channels],
        names: Vec::with_capacity(pairs.len()),
    };
    for chunk in pairs.chunks(CHUNK) {
        let read = |pair: &Pair| {
            [&pair.image, &pair.other].map(|path| {
                let read = read_with_traits(path, shape);
                read.map_err(|why| (path.clone(), why))
            })
        };
        let read: Vec<_> = chunk.par_iter().map(read).collect();
        for (pair, [image, degraded]) in chunk.iter().zip(read) {
            match (image, degraded) {
                (Ok((image, traits)), Ok((degraded, other))) => {
                    check_sizes(pair, &traits, &other)?;
                    survey.add(&traits);
                    set.images.extend(image);
                    set.degraded.extend(degraded);
                    set.names.push(pair.name());
                }
                (Err((path, why)), _) | (_, Err((path, why))) => match skipped.as_deref_mut() {
                    Some(notes) => notes.push(format!("skipped {}: {why}", path.display())),
                    None => return Err(unreadable(&path, &why).into()),
                },
            }
        }
    }
    Ok(set)
}

/// Checks that a degraded image shows what the good one shows: that it has the same shape, and at most as many pixels.
fn check_sizes(pair: &Pair, image: &Traits, degraded: &Traits) -> Result<(), DataError> {
    let ([height, width], [rows, columns]) = (image.size(), degraded.size());
    // Within the pixel to which a size is rounded.
    let fits = (height * columns).abs_diff(width * rows) < height.max(width).max(1);
    match fits && rows <= height {
        true => Ok(()),
        false => Err(DataError::unusable(
            &pair.other,
            format!(
                "is {rows} x {columns} pixels, but its good image {} is {height} x {width}: give both the same size, or the degraded image \
                 the same shape with fewer pixels",
                pair.image.display()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Fitted, load};

    fn loaded(dir: &Path, settings: DataSettings) -> Result<Dataset<Samples>> {
        let settings = DataSettings {
            source: dir.display().to_string(),
            ..settings
        };
        load(&settings, &mut Fitted::default(), 1)
    }

    fn pixels(set: &Samples, name: &str) -> Vec<u8> {
        match &set.field(name).unwrap().values {
            FieldValues::Pixels { bytes, .. } => bytes.clone(),
            _ => panic!("{name} are pixels"),
        }
    }

    fn write(dir: &Path, file: &str, size: [u32; 2], level: u8) {
        let path = dir.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let [height, width] = size;
        let grey = image::GrayImage::from_pixel(width, height, image::Luma([level]));
        grey.save(path).unwrap();
    }

    #[test]
    fn degraded_images_are_enlarged_to_the_size_of_the_good_ones() {
        let dir = tempfile::tempdir().unwrap();
        for (n, part) in [(0, "train"), (1, "train"), (2, "test")] {
            write(dir.path(), &format!("{part}/hr/{n}.png"), [6, 4], 100 + n);
            write(dir.path(), &format!("{part}/lr/{n}.png"), [3, 2], 50 + n);
        }
        let set = loaded(dir.path(), DataSettings::default()).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (2, 1));
        assert_eq!(set.train.shape(), [6, 4, 1]);
        let each = |level: u8| vec![level; 24];
        assert_eq!(
            pixels(&set.train, field::IMAGE),
            [each(100), each(101)].concat()
        );
        assert_eq!(
            pixels(&set.train, field::DEGRADED),
            [each(50), each(51)].concat()
        );
        assert_eq!(pixels(&set.test, field::DEGRADED), each(52));
    }

    #[test]
    fn pairs_that_do_not_fit_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |settings| loaded(dir.path(), settings).unwrap_err().to_string();
        for n in 0..8 {
            write(dir.path(), &format!("clean/{n}.png"), [6, 4], 1);
            write(dir.path(), &format!("noisy/{n}.png"), [6, 4], 1);
        }
        write(dir.path(), "clean/a.png", [6, 4], 1);
        write(dir.path(), "noisy/a.png", [6, 5], 1);
        let message = refused(DataSettings::default());
        assert!(message.contains("a.png is 6 x 5 pixels"), "{message}");
        write(dir.path(), "noisy/a.png", [12, 8], 1);
        assert!(refused(DataSettings::default()).contains("fewer pixels"));
        write(dir.path(), "noisy/a.png", [6, 4], 1);
        write(dir.path(), "clean/b.png", [6, 4], 1);
        let message = refused(DataSettings::default());
        assert!(message.contains("b.png has no degraded image"), "{message}");
        write(dir.path(), "noisy/b.png", [6, 4], 1);
        write(dir.path(), "noisy/c.png", [6, 4], 1);
        let message = refused(DataSettings::default());
        assert!(
            message.contains("is a degraded image without a good image"),
            "{message}"
        );
        write(dir.path(), "clean/c.png", [6, 4], 1);
        let message = refused(DataSettings {
            memory_limit: Some(ByteCount(50)),
            ..DataSettings::default()
        });
        assert!(message.contains("over data.memory_limit"), "{message}");
    }
}
