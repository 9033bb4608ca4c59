//! The levels of a detector: pairs of outputs of its model.

use super::boxes::MOST_LEVELS;
use crate::error::{Error, Result};
use crate::nn::Model;

/// Outputs of a level that are no classes: the distances to four sides, and the centre-ness.
pub(super) const SIDES: usize = 5;
/// The largest distance of a place to a side of its box, in strides of the level; the last level has no bound. FCOS has 64 pixels at a
/// stride of 8.
const REACH: f64 = 8.0;

/// A level: a logit for each class, and numbers for a box, at each place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    /// Index of the output of classes, `[height, width, classes]`; that of boxes, `[height, width, 5]`, is the next.
    pub output: usize,
    /// Rows and columns.
    pub size: [usize; 2],
    /// Pixels between places.
    pub stride: f64,
    /// Boxes whose largest distance to a side is above this...
    pub smallest: f64,
    /// ...and at most this belong to it.
    pub largest: f64,
}

/// The levels of `model` for images of `height` and `width`, and the number of classes.
///
/// # Errors
/// If its outputs are no pairs of classes and boxes, or have no common stride.
pub(super) fn levels(
    model: &dyn Model,
    [height, width]: [usize; 2],
) -> Result<(Vec<Level>, usize)> {
    let outputs = model.outputs();
    let wrong = |what: String| {
        Error::Config(format!(
            "model {} {what}; detection needs two outputs for each level, [height, width, classes] and [height, width, {SIDES}], such as \
             outputs = [\"classes8\", \"boxes8\", \"classes16\", \"boxes16\"]",
            model.name()
        ))
    };
    if outputs.is_empty() || !outputs.len().is_multiple_of(2) || outputs.len() > 2 * MOST_LEVELS {
        return Err(wrong(format!("has {} outputs", outputs.len())));
    }
    let mut levels: Vec<Level> = Vec::new();
    let mut classes = None;
    for (pair, output) in outputs.chunks_exact(2).zip((0..).step_by(2)) {
        let (&[rows, columns, own], &[other_rows, other_columns, SIDES]) =
            (&pair[0].shape[..], &pair[1].shape[..])
        else {
            return Err(wrong(format!(
                "gives {:?} and {:?} at level {}",
                pair[0].shape,
                pair[1].shape,
                output / 2
            )));
        };
        let stride = height / rows.max(1);
        if [rows, columns] != [other_rows, other_columns]
            || [rows * stride, columns * stride] != [height, width]
        {
            return Err(wrong(format!(
                "gives {rows} x {columns} and {other_rows} x {other_columns} places at level {} for images of {height} x {width}, which \
                 is no whole number of pixels a place: make the sides of the images multiples of 32 or of the largest stride",
                output / 2
            )));
        }
        if *classes.get_or_insert(own) != own {
            return Err(wrong(
                "gives different numbers of classes at its levels".to_string(),
            ));
        }
        let stride = stride as f64;
        let smallest = levels.last().map_or(0.0, |level| level.largest);
        if levels.last().is_some_and(|level| level.stride >= stride) {
            return Err(wrong(
                "has levels that are not sorted by their strides, the finest first".to_string(),
            ));
        }
        levels.push(Level {
            output,
            size: [rows, columns],
            stride,
            smallest,
            largest: REACH * stride,
        });
    }
    if let Some(last) = levels.last_mut() {
        last.largest = f64::from(f32::MAX);
    }
    Ok((levels, classes.unwrap_or(0)))
}
