//! One fixed permutation of the pixels of every image: the setting `data.permutation`. A network without convolutions learns from
//! permuted images as well as from others, so each permutation of a data set is another task of the same difficulty (Goodfellow et al.
//! 2013, "An empirical investigation of catastrophic forgetting in gradient-based neural networks").

use super::field::{self, FieldValues};
use super::{Dataset, Samples};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// Puts the pixels of the images of all parts in the order of the permutation `number`; 0 leaves them as they are.
///
/// # Errors
/// If samples have no images, or something that belongs to the places of pixels.
pub(super) fn permute_parts(dataset: &mut Dataset<Samples>, number: u32) -> Result<()> {
    let parts = [&mut dataset.train, &mut dataset.test];
    let mut parts = parts.into_iter().chain(&mut dataset.validation);
    parts.try_for_each(|part| permute(part, number))
}

/// The same for the images of `samples`.
///
/// # Errors
/// As [`permute_parts`].
pub(super) fn permute(samples: &mut Samples, number: u32) -> Result<()> {
    if number == 0 || samples.is_empty() {
        return Ok(());
    }
    let wrong = |why: &str| Err(Error::Config(format!("data.permutation {why}")));
    let placed = [field::MASK, field::DEGRADED, field::BOXES];
    if placed.iter().any(|name| samples.field(name).is_some()) {
        return wrong(
            "is for images that are judged as a whole, not for those with masks, boxes or other images; leave it out",
        );
    }
    let mut fields = samples.fields_mut().iter_mut();
    match fields
        .find(|field| field.name == field::IMAGE)
        .map(|field| &mut field.values)
    {
        Some(FieldValues::Pixels { bytes, shape }) => {
            permute_pixels(bytes, *shape, number);
            Ok(())
        }
        Some(_) => wrong(
            "needs the pixels of all images in memory, and these are decoded as they are needed; make data.memory_limit larger",
        ),
        None => wrong("permutes the pixels of images, and these data have none; leave it out"),
    }
}

/// Permutes the pixels of images of `[height, width, channels]`. The channels of a pixel stay together.
fn permute_pixels(bytes: &mut [u8], [height, width, channels]: [usize; 3], number: u32) {
    let order = order(height * width, number);
    let mut before = vec![0; height * width * channels];
    for image in bytes.chunks_exact_mut(before.len().max(1)) {
        before.copy_from_slice(image);
        for (pixel, &source) in image.chunks_exact_mut(channels).zip(&order) {
            pixel.copy_from_slice(&before[source as usize * channels..][..channels]);
        }
    }
}

/// From which pixel each of `pixels` comes in the permutation `number`.
fn order(pixels: usize, number: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..pixels as u32).collect();
    Stream::new(number.into(), Purpose::Permutation.stream(0)).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImageSet, RowSet, Targets, WindowRows};

    fn pictures(channels: usize) -> Samples {
        let each = 6 * channels;
        ImageSet {
            images: (0..2 * each as u8).collect(),
            labels: vec![0, 1],
            height: 2,
            width: 3,
            channels,
        }
        .into()
    }

    fn pixels(samples: &Samples) -> Vec<u8> {
        samples.pictures().unwrap().bytes.to_vec()
    }

    #[test]
    fn every_image_is_permuted_in_the_same_way() {
        for channels in [1, 3] {
            let (before, each) = (pixels(&pictures(channels)), 6 * channels);
            let permuted = |number| {
                let mut samples = pictures(channels);
                permute(&mut samples, number).unwrap();
                pixels(&samples)
            };
            assert_eq!(permuted(0), before);
            let after = permuted(1);
            assert_eq!(after, permuted(1));
            assert!((2..6).any(|number| permuted(number) != after));
            let mut sorted = after.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, before);
            assert_ne!(after, before);
            // The second image holds the bytes of the first, plus those of one image.
            let second = after[..each].iter().map(|byte| byte + each as u8);
            assert_eq!(after[each..], second.collect::<Vec<u8>>());
            let together = |pixel: &[u8]| pixel.windows(2).all(|pair| pair[1] == pair[0] + 1);
            assert!(after.chunks(channels).all(together));
        }
    }

    #[test]
    fn samples_without_images_are_refused() {
        let rows = RowSet {
            rows: WindowRows::Floats {
                values: vec![0.0; 4],
                columns: 2,
            },
            starts: vec![0, 1],
            random_starts: false,
            length: 1,
            targets: Targets::Classes(vec![0, 1]),
        };
        let message = permute(&mut rows.into(), 1).unwrap_err().to_string();
        assert!(message.contains("these data have none"), "{message}");
    }
}
