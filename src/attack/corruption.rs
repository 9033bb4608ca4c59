//! Corruptions: how accurate a classifier stays on images that are noisy, blurred, pale, too bright or rotated, in five severities
//! (Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", 2019; for small images
//! Mu and Gilmer, "MNIST-C", 2019).

use super::predictions;
use super::robustness::pixels;
use crate::data::Samples;
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use crate::train::ImageClassifier;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Severities of a corruption.
pub const SEVERITIES: usize = 5;
/// Standard deviation of the noise.
const NOISE: [f32; SEVERITIES] = [0.08, 0.12, 0.18, 0.26, 0.38];
/// Share of pixels that become black or white.
const IMPULSES: [f32; SEVERITIES] = [0.03, 0.06, 0.09, 0.17, 0.27];
/// Standard deviation of the blur, in pixels of an image with 32 rows.
const BLUR: [f32; SEVERITIES] = [0.4, 0.6, 0.8, 1.0, 1.5];
/// What is left of the distance from the mean.
const CONTRAST: [f32; SEVERITIES] = [0.75, 0.5, 0.4, 0.3, 0.15];
/// What is added to all pixels.
const BRIGHTNESS: [f32; SEVERITIES] = [0.1, 0.2, 0.3, 0.4, 0.5];
/// Degrees.
const ROTATION: [f32; SEVERITIES] = [6.0, 12.0, 18.0, 24.0, 30.0];

/// A way in which images are corrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Corruption {
    /// Normal noise.
    Noise,
    /// Pixels that are black or white.
    Impulse,
    /// Gaussian blur.
    Blur,
    /// Less contrast.
    Contrast,
    /// More light.
    Brightness,
    /// Rotated in either direction.
    Rotation,
}

impl Corruption {
    /// All of them.
    pub const ALL: [Corruption; 6] = [
        Corruption::Noise,
        Corruption::Impulse,
        Corruption::Blur,
        Corruption::Contrast,
        Corruption::Brightness,
        Corruption::Rotation,
    ];

    /// Its name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Corruption::Noise => "noise",
            Corruption::Impulse => "impulse",
            Corruption::Blur => "blur",
            Corruption::Contrast => "contrast",
            Corruption::Brightness => "brightness",
            Corruption::Rotation => "rotation",
        }
    }

    /// Corrupts an image, `[height, width, channels]` of pixels from 0 to 1, in the severity `severity` below [`SEVERITIES`].
    pub fn apply(self, image: &mut [f32], shape: [usize; 3], severity: usize, stream: &mut Stream) {
        let channels = shape[2];
        match self {
            Corruption::Noise => {
                let noise = image.iter_mut();
                noise.for_each(|x| *x += NOISE[severity] * stream.normal());
            }
            Corruption::Impulse => {
                for pixel in image.chunks_exact_mut(channels) {
                    let drawn = stream.unit();
                    if drawn < IMPULSES[severity] {
                        pixel.fill(if drawn < 0.5 * IMPULSES[severity] {
                            0.0
                        } else {
                            1.0
                        });
                    }
                }
            }
            Corruption::Blur => blur(image, shape, BLUR[severity] * shape[0] as f32 / 32.0),
            Corruption::Contrast => {
                for channel in 0..channels {
                    let own = image.iter().skip(channel).step_by(channels);
                    let mean = own.sum::<f32>() / (shape[0] * shape[1]) as f32;
                    let own = image.iter_mut().skip(channel).step_by(channels);
                    own.for_each(|x| *x = mean + CONTRAST[severity] * (*x - mean));
                }
            }
            Corruption::Brightness => image.iter_mut().for_each(|x| *x += BRIGHTNESS[severity]),
            Corruption::Rotation => {
                let turn = if stream.unit() < 0.5 { 1.0 } else { -1.0 };
                rotate(image, shape, turn * ROTATION[severity].to_radians());
            }
        }
        image.iter_mut().for_each(|x| *x = x.clamp(0.0, 1.0));
    }
}

/// The accuracy on corrupted images.
#[derive(Clone, Copy, Debug)]
pub struct CorruptedAccuracy {
    /// How they are corrupted.
    pub corruption: Corruption,
    /// Accuracy by severity.
    pub accuracy: [f64; SEVERITIES],
    /// Number of images.
    pub samples: usize,
}

impl CorruptedAccuracy {
    /// The mean over all severities.
    pub fn mean(&self) -> f64 {
        self.accuracy.iter().sum::<f64>() / SEVERITIES as f64
    }

    /// A line of JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "event": "corruption",
            "corruption": self.corruption.name(),
            "accuracy": self.accuracy,
            "mean_accuracy": self.mean(),
            "samples": self.samples,
        })
    }

    /// The accuracy on the first `most` of `samples`, corrupted in all severities.
    ///
    /// # Errors
    /// If they have no classes, an image can't be read, or the device failed.
    pub fn measure(
        classifier: &mut ImageClassifier<'_>,
        samples: &Samples,
        corruption: Corruption,
        seed: u64,
        most: usize,
    ) -> Result<CorruptedAccuracy> {
        let labels = samples.labels().ok_or_else(|| {
            Error::Data("the images have no classes, by which they could be judged".to_string())
        })?;
        let count = samples.len().min(most);
        let all: Vec<usize> = (0..count).collect();
        let mut right = [0usize; SEVERITIES];
        for indices in all.chunks(classifier.batch()) {
            let clean = pixels(samples, indices)?;
            for (severity, right) in right.iter_mut().enumerate() {
                let mut images = clean.clone();
                let each = images.chunks_exact_mut(classifier.pixels());
                for (image, &index) in each.zip(indices) {
                    let stream = Purpose::Corruption.stream(index as u32);
                    let mut stream = Stream::new(seed, stream);
                    corruption.apply(image, classifier.shape(), severity, &mut stream);
                }
                let predicted = predictions(&classifier.logits(&images)?, classifier.classes());
                let hits = predicted.iter().zip(indices);
                *right += hits
                    .filter(|&(&guess, &index)| guess == labels[index])
                    .count();
            }
        }
        Ok(CorruptedAccuracy {
            corruption,
            accuracy: right.map(|right| right as f64 / count.max(1) as f64),
            samples: count,
        })
    }
}

/// Gaussian blur with the standard deviation `sigma` in pixels, rows and columns one after the other; beyond its edge the image goes on
/// with the pixels there.
fn blur(image: &mut [f32], [height, width, channels]: [usize; 3], sigma: f32) {
    let reach = (3.0 * sigma).ceil() as isize;
    let weight = |at: isize| (-0.5 * (at as f32 / sigma).powi(2)).exp();
    let weights: Vec<(isize, f32)> = (-reach..=reach).map(|at| (at, weight(at))).collect();
    let total: f32 = weights.iter().map(|(_, weight)| weight).sum();
    // Along rows, then along columns.
    for (lines, length, along_rows) in [(height, width, true), (width, height, false)] {
        let place = |line: usize, at: usize| match along_rows {
            true => (line, at),
            false => (at, line),
        };
        let before = image.to_vec();
        for line in 0..lines {
            for at in 0..length {
                for channel in 0..channels {
                    let sum: f32 = weights
                        .iter()
                        .map(|&(offset, weight)| {
                            let near = (at as isize + offset).clamp(0, length as isize - 1);
                            let (row, column) = place(line, near as usize);
                            weight * before[(row * width + column) * channels + channel]
                        })
                        .sum();
                    let (row, column) = place(line, at);
                    image[(row * width + column) * channels + channel] = sum / total;
                }
            }
        }
    }
}

/// Rotates about the middle by `angle` in radians, with bilinear interpolation; what comes from outside has the colour of the first pixel.
fn rotate(image: &mut [f32], [height, width, channels]: [usize; 3], angle: f32) {
    let before = image.to_vec();
    let (sin, cos) = angle.sin_cos();
    let (middle_y, middle_x) = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
    let value = |row: isize, column: isize, channel: usize| {
        let inside = (0..height as isize).contains(&row) && (0..width as isize).contains(&column);
        match inside {
            true => before[(row as usize * width + column as usize) * channels + channel],
            false => before[channel],
        }
    };
    for row in 0..height {
        for column in 0..width {
            let (y, x) = (row as f32 - middle_y, column as f32 - middle_x);
            let (from_y, from_x) = (cos * y - sin * x + middle_y, sin * y + cos * x + middle_x);
            let (top, left) = (from_y.floor(), from_x.floor());
            let (down, right) = (from_y - top, from_x - left);
            let (top, left) = (top as isize, left as isize);
            for channel in 0..channels {
                let upper = value(top, left, channel) * (1.0 - right)
                    + value(top, left + 1, channel) * right;
                let lower = value(top + 1, left, channel) * (1.0 - right)
                    + value(top + 1, left + 1, channel) * right;
                image[(row * width + column) * channels + channel] =
                    upper * (1.0 - down) + lower * down;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corruptions_grow_with_their_severity_and_stay_in_range() {
        // A bar, which is far from itself when it is rotated.
        let pixel = |at: usize| match (6..26).contains(&(at / 32)) && (14..18).contains(&(at % 32))
        {
            true => 0.9,
            false => 0.2,
        };
        let clean: Vec<f32> = (0..32 * 32).map(pixel).collect();
        for corruption in Corruption::ALL {
            let distance = |severity| -> f32 {
                let mut image = clean.clone();
                let mut stream = Stream::new(1, Purpose::Corruption.stream(0));
                corruption.apply(&mut image, [32, 32, 1], severity, &mut stream);
                assert!(
                    image.iter().all(|x| (0.0..=1.0).contains(x)),
                    "{corruption:?}"
                );
                image.iter().zip(&clean).map(|(a, b)| (a - b).abs()).sum()
            };
            let (mild, severe) = (distance(0), distance(SEVERITIES - 1));
            assert!(
                0.0 < mild && mild < severe,
                "{corruption:?}: {mild} {severe}"
            );
        }
    }

    #[test]
    fn blur_keeps_the_light_of_an_even_image_and_rotation_its_middle() {
        let mut even = vec![0.5; 75];
        blur(&mut even, [5, 5, 3], 1.0);
        assert!(even.iter().all(|x| (x - 0.5).abs() < 1e-6));
        let mut dot = vec![0.0; 25];
        dot[12] = 1.0;
        rotate(&mut dot, [5, 5, 1], 0.5);
        assert!((dot[12] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_quarter_turn_moves_pixels_to_where_they_belong() {
        let mut image = vec![0.0; 9];
        image[1] = 1.0;
        rotate(&mut image, [3, 3, 1], std::f32::consts::FRAC_PI_2);
        let most = (0..9).max_by(|&a, &b| image[a].total_cmp(&image[b]));
        assert!([Some(3), Some(5)].contains(&most), "{image:?}");
    }
}
