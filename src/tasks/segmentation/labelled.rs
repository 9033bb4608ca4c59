//! Images and the classes of their pixels, as predictions write them.

use super::{Decoded, largest};
use crate::data::read_colours;
use crate::error::{Error, Result};
use std::path::Path;

/// An image and the classes of its pixels, as a prediction writes them.
pub(super) struct LabelledPicture {
    /// Rows, columns and channels.
    pub shape: [usize; 3],
    /// The bytes of the image.
    pub picture: Vec<u8>,
    /// A class for each pixel.
    pub classes: Vec<u8>,
}

impl LabelledPicture {
    /// The image file `path` at its own size, with classes from `logits`, `[height, width, classes]`, interpolated between the
    /// model's pixels. Regions that were cropped away, which the model has not seen, get the first class.
    pub fn of_file(
        path: &Path,
        logits: &[f32],
        [height, width, classes]: [usize; 3],
        sample: &Decoded<'_>,
    ) -> Result<LabelledPicture> {
        let picture = read_colours(path, sample.data.background).map_err(|why| {
            let path = path.display();
            Error::Data(format!("{path} can't be read as an image: {why}"))
        })?;
        let [rows, columns] = [picture.height(), picture.width()].map(|side| side as usize);
        let fit = sample.data.fit;
        let placement = fit.placement([rows, columns], [height, width]);
        let pixels = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let class = |(row, column)| match placement.at(row, column) {
            Some(at) => largest(interpolated(logits, [height, width, classes], at)),
            None => 0,
        };
        Ok(LabelledPicture {
            shape: [rows, columns, 3],
            picture: picture.into_raw(),
            classes: pixels.map(class).collect(),
        })
    }

    /// The image of a sample that was not read from a file, in the size that the model takes or put together from its tiles, and the
    /// `predicted` classes of its pixels; `None` if there is no image.
    ///
    /// # Errors
    /// If the image can't be read any more.
    pub fn of_sample(predicted: &[u8], sample: &Decoded<'_>) -> Result<Option<LabelledPicture>> {
        let image = sample.samples.whole_picture(sample.index)?;
        Ok(image.map(|image| LabelledPicture {
            shape: image.shape,
            picture: image.pixels.into_owned(),
            classes: predicted.to_vec(),
        }))
    }
}

/// The channels of `values`, `[height, width, channels]`, at row `y` and column `x`, bilinearly interpolated; positions beyond the
/// outermost pixels take their values.
fn interpolated(
    values: &[f32],
    [height, width, channels]: [usize; 3],
    [y, x]: [f64; 2],
) -> impl Iterator<Item = f32> {
    let near = |at: f64, count: usize| {
        let at = at.clamp(0.0, (count - 1) as f64);
        let first = at.floor() as usize;
        (first, (first + 1).min(count - 1), (at - at.floor()) as f32)
    };
    let ((top, bottom, down), (left, right, across)) = (near(y, height), near(x, width));
    let mix = |a: f32, b: f32, share: f32| a * (1.0 - share) + b * share;
    (0..channels).map(move |c| {
        let value = |row: usize, column: usize| values[(row * width + column) * channels + c];
        let row = |row: usize| mix(value(row, left), value(row, right), across);
        mix(row(top), row(bottom), down)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_between_pixels_are_bilinear_and_those_outside_are_the_nearest() {
        // Two channels: the first is the column, the second twice the row.
        let values = [0.0, 0.0, 1.0, 0.0, 0.0, 2.0, 1.0, 2.0];
        let at = |place| interpolated(&values, [2, 2, 2], place).collect::<Vec<_>>();
        assert_eq!(at([0.0, 0.0]), [0.0, 0.0]);
        assert_eq!(at([0.25, 0.75]), [0.75, 0.5]);
        assert_eq!(at([-0.5, 1.5]), [1.0, 0.0]);
        assert_eq!(at([1.25, -0.25]), [0.0, 2.0]);
    }
}
