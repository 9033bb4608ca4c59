//! Activation maximisation: images to which channels of a convolution respond most, before their activation, whose gradient may be zero.
//!
//! It is gradient ascent on the pixels (Erhan et al., "Visualizing Higher-Layer Features of a Deep Network", 2009), kept plain by a decay
//! towards grey and a blur (Yosinski et al., "Understanding Neural Networks Through Deep Visualization", 2015) and by random shifts
//! (jitter, Mordvintsev et al. 2015).

use super::Explainer;
use super::convolutions::{convolutions, named};
use super::grid::grid;
use crate::autodiff::vjp;
use crate::device::ProgramId;
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

const PIXELS: &str = "pixels";
const UPSTREAM: &str = "upstream";
const RESPONSE: &str = "response";
const GRADIENT: &str = "gradient";
/// Most channels that are drawn if none is named.
const MOST_CHANNELS: usize = 64;
/// Length of a step, as a share of the range of a pixel.
const STEP: f32 = 0.05;
/// The share by which pixels go back to grey in a step.
const DECAY: f32 = 0.01;
/// Deviation of the noise around grey from which an image begins.
const NOISE: f32 = 0.1;
/// Steps after which an image is blurred.
const BLURRED: usize = 8;
/// The largest shift, as a share of the shorter side.
const SHIFT: usize = 16;

/// Images to which channels of a layer respond most.
#[derive(Clone, Debug)]
pub struct MaximisedLayer {
    /// Name of the layer.
    pub layer: String,
    /// Each channel.
    pub channels: Vec<MaximisedChannel>,
    /// The images in a grid, a PNG file.
    pub file: Vec<u8>,
}

/// How much a channel responds: its mean over the places of an image, before the activation.
#[derive(Clone, Copy, Debug)]
pub struct MaximisedChannel {
    /// Its number.
    pub channel: usize,
    /// To the noise from which the image began.
    pub before: f64,
    /// To the image.
    pub after: f64,
}

impl Explainer<'_> {
    /// Draws images to which the channel number `channel` of the convolution `layer` responds most, or its first channels, by `steps`
    /// steps.
    ///
    /// # Errors
    /// If there is no such convolution or channel, or images are neither grey nor in colour, or the device failed.
    pub fn maximise(
        &mut self,
        layer: &str,
        channel: Option<usize>,
        steps: usize,
    ) -> Result<MaximisedLayer> {
        let ascent = self.ascent(layer)?;
        let own = self.classifier.shape();
        let last = ascent.channels;
        let channels: Vec<usize> = match channel {
            Some(channel) if channel < last => vec![channel],
            Some(channel) => {
                return Err(Error::Config(format!(
                    "--maximise {layer}:{channel} names a channel that {layer} does not have; it has {last}, from 0 on"
                )));
            }
            None => (0..last.min(MOST_CHANNELS)).collect(),
        };
        let (mut images, mut found) = (Vec::new(), Vec::new());
        for some in channels.chunks(self.classifier.batch().max(1)) {
            let (pixels, responses) = self.climb(&ascent, some, steps)?;
            found.extend(responses);
            images.extend(pixels);
        }
        let file = grid(own, &images)?.ok_or_else(|| {
            Error::Config(format!(
                "images of {} channels are neither grey nor in colour, so that they can't be drawn",
                own[2]
            ))
        })?;
        Ok(MaximisedLayer {
            layer: layer.to_string(),
            channels: found,
            file,
        })
    }

    fn ascent(&mut self, layer: &str) -> Result<Ascent> {
        let mut channels = 0;
        let program = self.classifier.prepare(&[RESPONSE, GRADIENT], |graph| {
            let builder = graph.builder();
            let pixels = builder.input(PIXELS, graph.ty());
            graph.logits(pixels)?;
            let layers = builder.with_graph(convolutions);
            let response = builder.var(named(&layers, "--maximise", layer)?.response);
            channels = response.shape().last();
            // The mean response of the channel that the upstream gradient chooses, for each image.
            let means = response.mean(&[1, 2])?;
            let upstream = builder.input(UPSTREAM, means.ty());
            builder.output(RESPONSE, means.mul(upstream)?.sum(&[1])?);
            builder.output(GRADIENT, vjp(means, upstream, &[pixels])?[0]);
            Ok(())
        })?;
        Ok(Ascent { program, channels })
    }

    /// An image for each of at most a batch of `channels`, and how much these respond.
    fn climb(
        &mut self,
        ascent: &Ascent,
        channels: &[usize],
        steps: usize,
    ) -> Result<(Vec<Vec<f32>>, Vec<MaximisedChannel>)> {
        let ([height, width, _], count) = (self.classifier.shape(), channels.len());
        let (own, last) = (self.classifier.shape(), ascent.channels);
        let mut upstream = vec![0.0; count * last];
        for (image, channel) in upstream.chunks_exact_mut(last.max(1)).zip(channels) {
            let chosen = image.iter_mut().skip(*channel).take(1);
            chosen.for_each(|x| *x = 1.0);
        }
        let program = ascent.program;
        self.classifier
            .feed(program, UPSTREAM, &upstream, &[last])?;
        let seed = self.settings.seed;
        let stream =
            |channel: &usize| Stream::new(seed, Purpose::Explanation.stream(*channel as u32));
        let mut streams: Vec<Stream> = channels.iter().map(stream).collect();
        let mut images: Vec<Vec<f32>> = streams
            .iter_mut()
            .map(|stream| {
                let noise = |_| (0.5 + NOISE * stream.normal()).clamp(0.0, 1.0);
                (0..self.classifier.pixels()).map(noise).collect()
            })
            .collect();
        let furthest = height.min(width) / SHIFT;
        let before = self.responses(ascent, &images)?;
        for step in 1..=steps {
            let mut shifts = Vec::with_capacity(count);
            for (image, stream) in images.iter_mut().zip(&mut streams) {
                let mut shift = || stream.below(2 * furthest as u32 + 1) as usize;
                let by = [shift(), shift()].map(|shift| shift + height * width - furthest);
                shifts.push(by);
                *image = rolled(image, own, by);
            }
            self.classifier
                .feed(program, PIXELS, &images.concat(), &own)?;
            self.classifier.run(program, 1, &[])?;
            let slopes =
                self.classifier
                    .output(program, GRADIENT, count * self.classifier.pixels())?;
            let each = slopes.chunks_exact(self.classifier.pixels().max(1));
            for ((image, slopes), by) in images.iter_mut().zip(each).zip(&shifts) {
                raise(image, slopes);
                *image = rolled(image, own, back(own, *by));
                if step.is_multiple_of(BLURRED) && step < steps {
                    *image = blurred(image, own);
                }
            }
        }
        let after = self.responses(ascent, &images)?;
        let pairs = before.into_iter().zip(after);
        let responses = channels
            .iter()
            .zip(pairs)
            .map(|(&channel, (before, after))| MaximisedChannel {
                channel,
                before,
                after,
            });
        Ok((images, responses.collect()))
    }

    fn responses(&mut self, ascent: &Ascent, images: &[Vec<f32>]) -> Result<Vec<f64>> {
        let own = self.classifier.shape();
        self.classifier
            .feed(ascent.program, PIXELS, &images.concat(), &own)?;
        self.classifier.run(ascent.program, 1, &[])?;
        let found = self
            .classifier
            .output(ascent.program, RESPONSE, images.len())?;
        Ok(found.into_iter().map(f64::from).collect())
    }
}

/// What a step of the ascent computes.
struct Ascent {
    program: ProgramId,
    /// Channels of the layer.
    channels: usize,
}

/// One step up: along the gradient, by a length that does not depend on its size, then back towards grey.
fn raise(image: &mut [f32], slopes: &[f32]) {
    let squares: f64 = slopes.iter().map(|x| f64::from(*x).powi(2)).sum();
    let mean = (squares / slopes.len().max(1) as f64).sqrt();
    let scale = STEP / mean.max(f64::from(f32::MIN_POSITIVE)) as f32;
    for (x, slope) in image.iter_mut().zip(slopes) {
        let moved = *x + scale * slope;
        *x = (moved + DECAY * (0.5 - moved)).clamp(0.0, 1.0);
    }
}

/// The shift that undoes `by`.
fn back([height, width, _]: [usize; 3], by: [usize; 2]) -> [usize; 2] {
    let [down, across] = by;
    [height - down % height, width - across % width]
}

/// An image shifted down and to the right; what leaves it comes in on the other side.
fn rolled(image: &[f32], [height, width, channels]: [usize; 3], by: [usize; 2]) -> Vec<f32> {
    let mut moved = vec![0.0; image.len()];
    for (place, pixel) in image.chunks_exact(channels).enumerate() {
        let row = (place / width + by[0]) % height;
        let first = (row * width + (place % width + by[1]) % width) * channels;
        if let Some(own) = moved.get_mut(first..first + channels) {
            own.copy_from_slice(pixel);
        }
    }
    moved
}

/// An image blurred by weights of 1, 2 and 1 in both directions; edges are repeated.
fn blurred(image: &[f32], [height, width, channels]: [usize; 3]) -> Vec<f32> {
    let pass = |image: &[f32], down: bool| -> Vec<f32> {
        let at = |row: usize, column: usize, channel: usize| {
            let place = (row.min(height - 1) * width + column.min(width - 1)) * channels;
            image.get(place + channel).copied().unwrap_or(0.0)
        };
        let value = |index: usize| {
            let (place, channel) = (index / channels, index % channels);
            let (row, column) = (place / width, place % width);
            let (before, after) = match down {
                true => (
                    at(row.saturating_sub(1), column, channel),
                    at(row + 1, column, channel),
                ),
                false => (
                    at(row, column.saturating_sub(1), channel),
                    at(row, column + 1, channel),
                ),
            };
            0.25 * before + 0.5 * at(row, column, channel) + 0.25 * after
        };
        (0..image.len()).map(value).collect()
    };
    pass(&pass(image, true), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_undone() {
        let image: Vec<f32> = (0..12).map(|x| x as f32).collect();
        let shape = [2, 3, 2];
        for by in [[0, 0], [1, 2], [6 + 1, 6 + 1]] {
            let moved = rolled(&image, shape, by);
            assert_eq!(rolled(&moved, shape, back(shape, by)), image);
        }
        assert_eq!(rolled(&[1.0, 2.0, 3.0], [1, 3, 1], [0, 1]), [3.0, 1.0, 2.0]);
    }

    #[test]
    fn a_blur_keeps_level_images_and_spreads_a_point() {
        assert_eq!(blurred(&[0.25; 12], [3, 4, 1]), [0.25; 12]);
        let mut point = vec![0.0; 9];
        point[4] = 1.0;
        let found = blurred(&point, [3, 3, 1]);
        assert_eq!((found[4], found[1], found[0]), (0.25, 0.125, 0.0625));
    }
}
