//! Synthetic handwritten digits, drawn by the program: a data set without a download.
//!
//! An image begins as a few pen strokes (one of several styles of its digit), whose points are jittered, warped
//! smoothly, slanted, rotated, scaled and shifted; the strokes are drawn with a pen of random width, then blurred,
//! dimmed and given noise. As for MNIST, a linear classifier stays under 93% and a small convolutional network
//! exceeds 98%.
//!
//! Image i of a seed is the same whatever the size of the set. Pixels are computed only by additions, multiplications,
//! divisions and square roots, which IEEE 754 defines to the last bit, so every platform draws the same bytes.

mod distort;
mod render;
mod strokes;

use rayon::prelude::*;

use self::distort::{Distortion, Point, keep_on_page};
use self::render::{Ink, Look};
use self::strokes::STYLES;
#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, pictures};
#[cfg(test)]
use crate::data::DataSettings;
use crate::data::{DIGITS, Dataset, ImageSet, Samples, Source};
use crate::error::Result;
use crate::random::{Purpose, Stream};
#[cfg(test)]
use std::path::Path;

/// Number of rows, and of columns, of an image.
const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;
/// Minimum distance in pixels between the ink and the edge of the image.
const CLEAR: f32 = 1.5;
const CLASSES: usize = STYLES.len();

/// The digits that the program draws.
pub struct Digits;

impl Format for Digits {
    fn name(&self) -> &'static str {
        "digits"
    }

    fn about(&self) -> &'static str {
        "built-in digits"
    }

    fn looks_for(&self) -> &'static str {
        "the word `digits`"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let reason = "the name of the digits that the program draws";
        let is_it = source.is_built_in() && source.word() == DIGITS;
        is_it.then(|| Detection::new(100, reason))?
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        let set = digits(cx.seed, cx.settings.train, cx.settings.test);
        cx.split(set.into())
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        pictures::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        Sample {
            source: "digits".into(),
            settings: DataSettings {
                train: 20,
                test: 10,
                ..DataSettings::default()
            },
            ..Sample::in_folder(dir)
        }
    }
}

/// Draws `train` and `test` grey images of 28 x 28 pixels, ink bright on dark, of the digits 0 to 9.
///
/// Every ten consecutive images contain every digit once, in random order, so classes are balanced. Training and test
/// images come from different random streams of `seed`. Image indices are u32: images past 2^32 repeat.
pub fn digits(seed: u64, train: usize, test: usize) -> Dataset {
    Dataset {
        name: "digits".to_owned(),
        train: draw_set(seed, train, Purpose::TrainDigits, Purpose::TrainDigitLabels),
        validation: None,
        test: draw_set(seed, test, Purpose::TestDigits, Purpose::TestDigitLabels),
        classes: (0..CLASSES).map(|class| class.to_string()).collect(),
        notes: Vec::new(),
        found: Vec::new(),
    }
}

fn draw_set(seed: u64, count: usize, images: Purpose, labels: Purpose) -> ImageSet {
    let mut pixels = vec![0; count * PIXELS];
    let mut classes = vec![0; count];
    pixels
        .par_chunks_mut(CLASSES * PIXELS)
        .zip(classes.par_chunks_mut(CLASSES))
        .enumerate()
        .for_each(|(block, (pixels, classes))| {
            let mut order: [u32; CLASSES] = std::array::from_fn(|class| class as u32);
            Stream::new(seed, labels.stream(block as u32)).shuffle(&mut order);
            classes.copy_from_slice(&order[..classes.len()]);
            for (place, (image, &class)) in
                pixels.chunks_exact_mut(PIXELS).zip(&*classes).enumerate()
            {
                let index = block * CLASSES + place;
                draw_image(
                    class as usize,
                    &mut Stream::new(seed, images.stream(index as u32)),
                    image,
                );
            }
        });
    ImageSet {
        images: pixels,
        labels: classes,
        height: SIDE,
        width: SIDE,
        channels: 1,
    }
}

/// Draws one digit. The order of the random draws determines every seeded set.
fn draw_image(class: usize, random: &mut Stream, image: &mut [u8]) {
    let styles = STYLES[class];
    let style = styles[random.below(styles.len() as u32) as usize];
    let distortion = Distortion::draw(random);
    let look = Look::draw(random, distortion.size);
    let mut ink = Ink::none();
    let mut chains: Vec<Vec<Point>> = style
        .iter()
        .map(|stroke| stroke.trace(&distortion.place(stroke.points(), random)))
        .collect();
    keep_on_page(&mut chains, look.pen + CLEAR);
    for chain in &chains {
        ink.draw(chain, look.pressure(random), look.pressure(random));
    }
    look.develop(&ink, random, image);
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
