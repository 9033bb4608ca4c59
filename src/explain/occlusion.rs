//! Occlusion: how much the logit falls where a square of the image is black (Zeiler and Fergus, "Visualizing and Understanding
//! Convolutional Networks", 2014). Squares overlap by half, and each pixel has the mean of those that hide it.

use super::ExplainSettings;
use crate::error::Result;
use crate::train::ImageClassifier;

/// The mean fall of the logit for each pixel, the same in all channels.
pub(super) fn occlusion(
    classifier: &mut ImageClassifier<'_>,
    settings: &ExplainSettings,
    image: &[f32],
    class: u32,
) -> Result<Vec<f32>> {
    let ([height, width, channels], classes) = (classifier.shape(), classifier.classes());
    let side = settings.side.unwrap_or(height.min(width) / 7);
    let side = side.clamp(1, height.min(width));
    let stride = (side / 2).max(1);
    let places = |length: usize| -> Vec<usize> {
        let last = length - side;
        let mut places: Vec<usize> = (0..=last).step_by(stride).collect();
        if places.last() != Some(&last) {
            places.push(last);
        }
        places
    };
    let columns = places(width);
    let squares: Vec<(usize, usize)> = places(height)
        .into_iter()
        .flat_map(|top| columns.iter().map(move |&left| (top, left)))
        .collect();
    let whole = classifier.logits(image)?[class as usize];
    let (mut sum, mut count) = (vec![0.0f64; height * width], vec![0u32; height * width]);
    for some in squares.chunks(classifier.batch()) {
        let mut hidden = Vec::with_capacity(some.len() * image.len());
        for &(top, left) in some {
            let begun = hidden.len();
            hidden.extend_from_slice(image);
            for row in top..top + side {
                let first = begun + (row * width + left) * channels;
                hidden[first..first + side * channels].fill(0.0);
            }
        }
        let logits = classifier.logits(&hidden)?;
        for (&(top, left), row) in some.iter().zip(logits.chunks_exact(classes)) {
            let fall = f64::from(whole - row[class as usize]);
            for row in top..top + side {
                for at in row * width + left..row * width + left + side {
                    sum[at] += fall;
                    count[at] += 1;
                }
            }
        }
    }
    let mean = sum
        .iter()
        .zip(count)
        .map(|(sum, count)| (sum / f64::from(count.max(1))) as f32);
    Ok(mean
        .flat_map(|x| std::iter::repeat_n(x, channels))
        .collect())
}
