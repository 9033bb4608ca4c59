//! From the outputs of a detector to boxes: scores, non-maximum suppression.

use crate::error::{Error, Result};

/// The lowest score of a box that is evaluated.
pub(super) const LOWEST: f32 = 0.05;
/// Boxes that are kept before non-maximum suppression, those with the highest scores.
const MOST_CANDIDATES: usize = 1000;
/// Boxes of an image that are kept after it.
const MOST_FOUND: usize = 100;

/// Maximum number of levels.
pub(super) const MOST_LEVELS: usize = 8;
/// The output of the scores of each level, `[height, width, classes]`.
pub(super) const SCORES: [&str; MOST_LEVELS] = [
    "scores.0", "scores.1", "scores.2", "scores.3", "scores.4", "scores.5", "scores.6", "scores.7",
];
/// The output of the distances to the left, upper, right and lower side, in pixels, of each level: `[height, width, 4]`.
pub(super) const DISTANCES: [&str; MOST_LEVELS] = [
    "distances.0",
    "distances.1",
    "distances.2",
    "distances.3",
    "distances.4",
    "distances.5",
    "distances.6",
    "distances.7",
];

/// A box that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FoundBox {
    /// `[x0, y0, x1, y1]` in pixels of the model's image.
    pub corners: [f64; 4],
    /// Index of its class.
    pub class: usize,
    /// From 0 to 1.
    pub score: f32,
}

/// Intersection over union of two boxes; 0 if they are empty.
pub(super) fn iou(a: [f64; 4], b: [f64; 4]) -> f64 {
    let shared = intersection(a, b);
    let union = area(a) + area(b) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

/// Area of a box; 0 if it is turned around.
pub(super) fn area([x0, y0, x1, y1]: [f64; 4]) -> f64 {
    (x1 - x0).max(0.0) * (y1 - y0).max(0.0)
}

/// Area that two boxes share.
pub(super) fn intersection(a: [f64; 4], b: [f64; 4]) -> f64 {
    area([
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ])
}

/// The outputs of an image: name, shape and values.
pub(super) type Outputs<'a> = [(&'a str, &'a [usize], &'a [f32])];

/// The boxes in an image of `height` and `width` with scores of at least `lowest`, the most certain first. Of boxes of a class whose
/// IoU is above `most_shared`, only the most certain is kept.
///
/// # Errors
/// If an output is missing.
pub(super) fn found_boxes(
    outputs: &Outputs<'_>,
    [height, width]: [usize; 2],
    lowest: f32,
    most_shared: f64,
) -> Result<Vec<FoundBox>> {
    let mut candidates = Vec::new();
    for &(name, shape, scores) in outputs {
        let Some(level) = SCORES.iter().position(|own| *own == name) else {
            continue;
        };
        let sides = outputs.iter().find(|(name, ..)| *name == DISTANCES[level]);
        let (&[rows, columns, classes], Some((_, _, sides))) = (shape, sides) else {
            return Err(Error::Graph(format!("level {level} has no distances")));
        };
        let stride = [height as f64 / rows as f64, width as f64 / columns as f64];
        let places = scores
            .chunks_exact(classes.max(1))
            .zip(sides.chunks_exact(4));
        for (place, (scores, sides)) in places.enumerate() {
            let (row, column) = (place / columns, place % columns);
            for (class, &score) in scores.iter().enumerate().filter(|(_, s)| **s >= lowest) {
                let (x, y) = (
                    (column as f64 + 0.5) * stride[1],
                    (row as f64 + 0.5) * stride[0],
                );
                let [l, t, r, b] = [0, 1, 2, 3].map(|at| f64::from(sides[at]));
                let within = |x: f64, most: usize| x.clamp(0.0, most as f64);
                let corners = [
                    within(x - l, width),
                    within(y - t, height),
                    within(x + r, width),
                    within(y + b, height),
                ];
                candidates.push(FoundBox {
                    corners,
                    class,
                    score,
                });
            }
        }
    }
    // The sort is stable: equal scores stay in the order of places.
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates.truncate(MOST_CANDIDATES);
    Ok(suppressed(&candidates, most_shared, MOST_FOUND))
}

/// Non-maximum suppression: of `candidates`, the most certain first, those at most `most` whose IoU with no better one of their class
/// is above `most_shared`. torchvision `batched_nms`.
fn suppressed(candidates: &[FoundBox], most_shared: f64, most: usize) -> Vec<FoundBox> {
    let mut kept: Vec<FoundBox> = Vec::new();
    for own in candidates {
        if kept.len() == most {
            break;
        }
        let hides = |better: &FoundBox| {
            better.class == own.class && iou(better.corners, own.corners) > most_shared
        };
        if area(own.corners) > 0.0 && !kept.iter().any(hides) {
            kept.push(*own);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(corners: [f64; 4], class: usize, score: f32) -> FoundBox {
        FoundBox {
            corners,
            class,
            score,
        }
    }

    #[test]
    fn of_boxes_that_share_much_the_most_certain_of_each_class_is_kept() {
        let all = [
            found([0.0, 0.0, 10.0, 10.0], 0, 0.9),
            found([1.0, 0.0, 11.0, 10.0], 0, 0.8),
            found([1.0, 0.0, 11.0, 10.0], 1, 0.7),
            found([6.0, 0.0, 16.0, 10.0], 0, 0.6),
            found([5.0, 5.0, 5.0, 9.0], 0, 0.5),
        ];
        assert_eq!(suppressed(&all, 0.6, 9), [all[0], all[2], all[3]]);
        assert_eq!(suppressed(&all, 0.9, 9), all[..4]);
        assert_eq!(suppressed(&all, 0.9, 1), all[..1]);
        assert_eq!(iou(all[0].corners, all[1].corners), 90.0 / 110.0);
    }

    #[test]
    fn a_place_gives_a_box_around_its_centre_within_the_image() {
        // One level of 1 x 2 places, two classes.
        let scores = [0.01, 0.5, 0.9, 0.2];
        let sides = [2.0, 3.0, 1.0, 1.0, 1.0, 1.0, 9.0, 1.0];
        let outputs = [
            ("scores.0", &[1, 2, 2][..], &scores[..]),
            ("distances.0", &[1, 2, 4][..], &sides[..]),
        ];
        let all = found_boxes(&outputs, [8, 16], 0.25, 0.6).unwrap();
        assert_eq!(
            all,
            [
                found([11.0, 3.0, 16.0, 5.0], 0, 0.9),
                found([2.0, 1.0, 5.0, 5.0], 1, 0.5)
            ]
        );
        assert!(found_boxes(&outputs[..1], [8, 16], 0.25, 0.6).is_err());
    }
}
