//! Attributions as pictures: red where they raise the logit, blue where they lower it, over the image in grey.

use crate::error::Result;
use crate::tasks::thumbnail;

/// Pictures are enlarged to at least this many pixels.
const LEAST: usize = 224;
/// Most pixels of the longer side of a picture.
const MOST: u32 = 1024;
/// How much of the image is seen under the colours.
const UNDER: f32 = 0.35;
/// The share of places with the largest attributions that have the full colour, so that single ones do not hide all others.
const BRIGHTEST: f64 = 0.01;

/// The picture of the attributions `values`, `[height, width, channels]` of `shape`, over an image of pixels from 0 to 1,
/// `[height, width, channels]` of `own`, as a PNG file.
///
/// # Errors
/// If it can't be encoded.
pub fn overlay(
    own: [usize; 3],
    image: &[f32],
    shape: [usize; 3],
    values: &[f32],
) -> Result<Option<Vec<u8>>> {
    let sums: Vec<f32> = values
        .chunks_exact(shape[2])
        .map(|pixel| pixel.iter().sum())
        .collect();
    let sums = nearest([shape[0], shape[1]], &sums, [own[0], own[1]]);
    let full = brightest(&sums);
    let grey = image
        .chunks_exact(own[2])
        .map(|pixel| pixel.iter().sum::<f32>() / own[2] as f32);
    let colours: Vec<[u8; 3]> = grey
        .zip(&sums)
        .map(|(grey, sum)| {
            let share = (sum / full).clamp(-1.0, 1.0);
            let shown = |own: f32| {
                let under = UNDER * grey + (1.0 - UNDER) * share.abs() * own;
                (255.0 * (under + (1.0 - share.abs()) * (1.0 - UNDER) * 0.5 * grey)).round() as u8
            };
            match share > 0.0 {
                true => [shown(1.0), shown(0.15), shown(0.1)],
                false => [shown(0.1), shown(0.3), shown(1.0)],
            }
        })
        .collect();
    let times = LEAST.div_ceil(own[0].max(own[1]).max(1)).max(1);
    let [height, width] = [own[0] * times, own[1] * times];
    let at = |place: usize| colours[place / width / times * own[1] + place % width / times];
    let bytes = (0..height * width).flat_map(at).collect();
    thumbnail(&[height, width, 3], bytes, MOST)
}

/// The value that the full colour stands for.
fn brightest(values: &[f32]) -> f32 {
    let mut sizes: Vec<f32> = values
        .iter()
        .map(|x| x.abs())
        .filter(|x| x.is_finite())
        .collect();
    sizes.sort_by(f32::total_cmp);
    let place = ((1.0 - BRIGHTEST) * sizes.len() as f64) as usize;
    let full = sizes.get(place.min(sizes.len().saturating_sub(1)));
    full.copied().unwrap_or(1.0).max(f32::MIN_POSITIVE)
}

/// A map of one number for each place in another size, by the nearest place.
pub(super) fn nearest(from: [usize; 2], map: &[f32], to: [usize; 2]) -> Vec<f32> {
    let place = |at: usize| {
        let (row, column) = (at / to[1], at % to[1]);
        map[row * from[0] / to[0] * from[1] + column * from[1] / to[1]]
    };
    (0..to[0] * to[1]).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_enlarged_by_the_nearest_place() {
        let map = nearest([2, 2], &[1.0, 2.0, 3.0, 4.0], [4, 2]);
        assert_eq!(map, [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
    }

    #[test]
    fn what_raises_the_logit_is_red_and_what_lowers_it_blue() {
        let file = overlay([1, 2, 1], &[0.0, 0.0], [1, 2, 1], &[1.0, -1.0])
            .unwrap()
            .unwrap();
        let read = image::load_from_memory(&file).unwrap().into_rgb8();
        assert_eq!((read.width(), read.height()), (224, 112));
        let (left, right) = (read.get_pixel(10, 10).0, read.get_pixel(200, 10).0);
        assert!(left[0] > 100 && left[2] < 50, "{left:?}");
        assert!(right[2] > 100 && right[0] < 50, "{right:?}");
    }
}
