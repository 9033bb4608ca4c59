//! The filters of a network's first convolution, drawn: grey is 0, white and black are the largest magnitude of each.

use super::Explainer;
use super::convolutions::convolutions;
use super::grid::grid;
use crate::error::{Error, Result};
use crate::tasks::classification::LOGITS;

const PIXELS: &str = "pixels";
/// Most filters that are drawn.
const MOST_FILTERS: usize = 256;

/// The filters of a convolution.
#[derive(Clone, Debug)]
pub struct DrawnFilters {
    /// Name of the layer.
    pub layer: String,
    /// Number of filters that are drawn.
    pub drawn: usize,
    /// Number of filters of the layer.
    pub filters: usize,
    /// Extents of a filter: `[height, width, channels]`.
    pub shape: [usize; 3],
    /// The picture, a PNG file: in colour if a filter has three channels, or else the mean over its channels.
    pub file: Vec<u8>,
}

impl Explainer<'_> {
    /// Draws the filters of the first convolution.
    ///
    /// # Errors
    /// If there is none, or the picture can't be encoded.
    pub fn filters(&mut self) -> Result<DrawnFilters> {
        let mut found = None;
        // Only its layers are looked at.
        self.classifier.prepare(&[LOGITS], |graph| {
            let builder = graph.builder();
            let pixels = builder.input(PIXELS, graph.ty());
            graph.logits(pixels)?;
            let mut layers = builder.with_graph(convolutions).into_iter();
            found = layers.find_map(|layer| Some((layer.name, layer.filters?)));
            Ok(())
        })?;
        let none = || {
            Error::Config(
                "the model has no convolution, whose filters could be drawn; name a run of another model".to_string(),
            )
        };
        let (layer, variable) = found.ok_or_else(none)?;
        let state = self.classifier.models().state();
        let place = state
            .map(|part| &part.name)
            .position(|name| *name == variable);
        let values = self.classifier.values()?;
        let weights = place.and_then(|place| values.get(place)).ok_or_else(none)?;
        let &[filters, height, width, channels] = weights.dims() else {
            return Err(none());
        };
        let shown = if channels == 3 { 3 } else { 1 };
        let each = height * width * channels;
        let drawn: Vec<Vec<f32>> = weights
            .reals()
            .chunks_exact(each.max(1))
            .take(MOST_FILTERS)
            .map(|filter| picture(filter, channels, shown))
            .collect();
        let file = grid([height, width, shown], &drawn)?.ok_or_else(none)?;
        Ok(DrawnFilters {
            layer,
            drawn: drawn.len(),
            filters,
            shape: [height, width, channels],
            file,
        })
    }
}

/// A filter as pixels from 0 to 1, of its own channels or of their mean.
fn picture(filter: &[f32], channels: usize, shown: usize) -> Vec<f32> {
    let places = filter.chunks_exact(channels.max(1));
    let values: Vec<f32> = match shown == channels {
        true => filter.to_vec(),
        false => places
            .map(|place| place.iter().sum::<f32>() / channels as f32)
            .collect(),
    };
    let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let scale = 0.5 / largest.max(f32::MIN_POSITIVE);
    values.iter().map(|x| 0.5 + scale * x).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_grey_and_the_largest_weight_white_or_black() {
        assert_eq!(picture(&[0.0, 2.0, -2.0, 1.0], 1, 1), [0.5, 1.0, 0.0, 0.75]);
        assert_eq!(picture(&[1.0, 3.0, -4.0, 0.0], 2, 1), [1.0, 0.0]);
        assert_eq!(picture(&[0.0; 3], 3, 3), [0.5; 3]);
    }
}
