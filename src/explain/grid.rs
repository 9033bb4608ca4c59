//! Images of a network's own in a grid: filters, and what its channels are most active for.

use crate::data::Fitted;
use crate::error::Result;
use crate::tasks::sample_grid;

/// Images are enlarged to at least this many pixels.
const LEAST: usize = 56;

/// Images of pixels from 0 to 1, each `[height, width, channels]` of `shape`, in a grid of eight columns as a PNG file; `None` if `shape`
/// is not that of grey or colour images.
///
/// # Errors
/// If it can't be encoded.
pub(super) fn grid(shape: [usize; 3], images: &[Vec<f32>]) -> Result<Option<Vec<u8>>> {
    let [height, width, channels] = shape;
    if ![1, 3].contains(&channels) {
        return Ok(None);
    }
    let times = LEAST.div_ceil(height.max(width).max(1)).max(1);
    let large = [height * times, width * times];
    let mut values = Vec::with_capacity(images.len() * large[0] * large[1] * channels);
    for image in images {
        for place in 0..large[0] * large[1] {
            let (row, column) = (place / large[1] / times, place % large[1] / times);
            let first = (row * width + column) * channels;
            values.extend_from_slice(image.get(first..first + channels).unwrap_or_default());
        }
    }
    let fitted = Fitted {
        mean: vec![0.0; channels],
        std: vec![1.0; channels],
        ..Fitted::default()
    };
    sample_grid(&[large[0], large[1], channels], &values, &fitted)
}
