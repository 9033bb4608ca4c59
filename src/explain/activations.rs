//! What the channels of a convolution make of an image, drawn: black is their smallest activation and white the largest of the layer.

use super::Explainer;
use super::convolutions::{convolutions, named};
use super::grid::grid;
use crate::device::ProgramId;
use crate::error::{Error, Result};

const PIXELS: &str = "pixels";
const ACTIVE: &str = "active";
/// Most channels that are drawn.
const MOST_CHANNELS: usize = 64;

/// The activations of a convolution, prepared for images one after another.
pub struct ActivationMaps {
    program: ProgramId,
    layer: String,
    /// Height, width and channels of the layer's result.
    shape: [usize; 3],
}

/// The activations of a convolution for an image.
#[derive(Clone, Debug)]
pub struct DrawnActivations {
    /// Name of the layer.
    pub layer: String,
    /// Height, width and channels of the layer's result.
    pub shape: [usize; 3],
    /// Mean activation of each channel, also of those that are not drawn.
    pub means: Vec<f64>,
    /// Number of channels that are drawn, the first ones.
    pub drawn: usize,
    /// The picture, a PNG file.
    pub file: Vec<u8>,
}

impl Explainer<'_> {
    /// Prepares the activations of the convolution `layer`, after its activation function.
    ///
    /// # Errors
    /// If there is no such convolution, or device memory is too small.
    pub fn activation_maps(&mut self, layer: &str) -> Result<ActivationMaps> {
        let mut shape = [0; 3];
        let program = self.classifier.prepare(&[ACTIVE], |graph| {
            let builder = graph.builder();
            let pixels = builder.input(PIXELS, graph.ty());
            graph.logits(pixels)?;
            let layers = builder.with_graph(convolutions);
            let active = builder.var(named(&layers, "--activations", layer)?.active);
            if let &[_, height, width, channels] = active.shape().dims() {
                shape = [height, width, channels];
            }
            builder.output(ACTIVE, active);
            Ok(())
        })?;
        Ok(ActivationMaps {
            program,
            layer: layer.to_string(),
            shape,
        })
    }

    /// Draws the activations of `image`, pixels from 0 to 1.
    ///
    /// # Errors
    /// If it is of another size, the device failed, or the picture can't be encoded.
    pub fn activations(
        &mut self,
        maps: &ActivationMaps,
        image: &[f32],
    ) -> Result<DrawnActivations> {
        let [height, width, channels] = maps.shape;
        let own = self.classifier.shape();
        self.classifier.feed(maps.program, PIXELS, image, &own)?;
        self.classifier.run(maps.program, 1, &[])?;
        let count = height * width * channels;
        let values = self.classifier.output(maps.program, ACTIVE, count)?;
        let of_channel = |channel: usize| {
            values
                .iter()
                .skip(channel)
                .step_by(channels.max(1))
                .copied()
        };
        let places = (height * width).max(1) as f64;
        let mean = |channel| of_channel(channel).map(f64::from).sum::<f64>() / places;
        let pictures = scaled(&values, channels, channels.min(MOST_CHANNELS));
        let file = grid([height, width, 1], &pictures)?;
        Ok(DrawnActivations {
            layer: maps.layer.clone(),
            shape: maps.shape,
            means: (0..channels).map(mean).collect(),
            drawn: pictures.len(),
            file: file.ok_or_else(|| Error::Graph("grey pictures can be drawn".to_string()))?,
        })
    }
}

/// The first `drawn` channels of `values` `[.., channels]` as pictures from 0, the smallest of all values, to 1, the largest.
fn scaled(values: &[f32], channels: usize, drawn: usize) -> Vec<Vec<f32>> {
    let smallest = values.iter().copied().fold(f32::INFINITY, f32::min);
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scale = 1.0 / (largest - smallest).max(f32::MIN_POSITIVE);
    let picture = |channel: usize| {
        let own = values.iter().skip(channel).step_by(channels.max(1));
        own.map(|x| (x - smallest) * scale).collect()
    };
    (0..drawn).map(picture).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_channels_have_one_scale() {
        let values = [0.0, 4.0, 1.0, 2.0];
        assert_eq!(scaled(&values, 2, 2), [vec![0.0, 0.25], vec![1.0, 0.5]]);
        assert_eq!(scaled(&values, 2, 1).len(), 1);
        assert_eq!(scaled(&[3.0; 2], 2, 2), [vec![0.0], vec![0.0]]);
    }
}
