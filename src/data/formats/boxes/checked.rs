//! Which boxes are usable, and where they lie in the image that a model takes.

use super::NamedBox;
use crate::data::{PictureFit, PictureShape};
use std::collections::BTreeMap;

/// Pixels by which boxes may leave their image, because corners are rounded or count from 1.
const SLACK: f64 = 1.5;
/// The least share of a box that a cropped image must show.
const LEAST_SHOWN: f64 = 0.25;

/// Why a box is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    NotFinite,
    NoArea,
    Leaves,
    Cropped,
}

/// The image that a model takes, as a place for boxes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    size: [usize; 2],
    fit: PictureFit,
}

impl Room {
    pub fn new(shape: PictureShape, fit: PictureFit) -> Room {
        Room {
            size: [shape.height, shape.width],
            fit,
        }
    }

    /// The corners of `each`, in a file of the size `file`, in pixels of the model's image.
    pub fn placed(&self, each: &NamedBox, file: [usize; 2]) -> Result<[f64; 4], Why> {
        let [rows, columns] = file.map(|side| side as f64);
        let sides = match each.is_relative {
            true => [columns, rows, columns, rows],
            false => [1.0; 4],
        };
        let [x0, y0, x1, y1] = [0, 1, 2, 3].map(|at| each.corners[at] * sides[at]);
        if [x0, y0, x1, y1].iter().any(|x| !x.is_finite()) {
            return Err(Why::NotFinite);
        }
        if x1 <= x0 || y1 <= y0 {
            return Err(Why::NoArea);
        }
        if x0.min(y0) < -SLACK || x1 > columns + SLACK || y1 > rows + SLACK {
            return Err(Why::Leaves);
        }
        let placement = self.fit.placement(file, self.size);
        let whole = placement.inside([x0.max(0.0), y0.max(0.0), x1.min(columns), y1.min(rows)]);
        let [height, width] = self.size.map(|side| side as f64);
        let [left, top, right, bottom] = whole;
        let shown = [
            left.clamp(0.0, width),
            top.clamp(0.0, height),
            right.clamp(0.0, width),
            bottom.clamp(0.0, height),
        ];
        let area = |[x0, y0, x1, y1]: [f64; 4]| (x1 - x0) * (y1 - y0);
        match area(shown) {
            seen if seen <= 0.0 && area(whole) <= 0.0 => Err(Why::NoArea),
            seen if seen < LEAST_SHOWN * area(whole) => Err(Why::Cropped),
            _ => Ok(shown),
        }
    }
}

/// Boxes that are left out: for each reason, their number and the place of the first.
#[derive(Debug, Default)]
pub(super) struct LeftOut(BTreeMap<Why, (usize, String)>);

impl LeftOut {
    pub fn add(&mut self, why: Why, place: impl FnOnce() -> String) {
        let entry = self.0.entry(why).or_insert_with(|| (0, place()));
        entry.0 += 1;
    }

    /// A note for each reason.
    pub fn notes(&self) -> Vec<String> {
        let note = |(why, (count, first)): (&Why, &(usize, String))| {
            let (one, several) = match why {
                Why::NotFinite => (
                    "has corners that are no numbers",
                    "have corners that are no numbers",
                ),
                Why::NoArea => ("has no area", "have no area"),
                Why::Leaves => ("leaves its image", "leave their images"),
                Why::Cropped => (
                    "lies outside of the middle of its image, which is cropped: data.fit = \"pad\" keeps whole images",
                    "lie outside of the middle of their images, which are cropped: data.fit = \"pad\" keeps whole images",
                ),
            };
            match count {
                1 => format!("1 box is left out, as it {one} ({first})"),
                _ => {
                    format!("{count} boxes are left out, as they {several} (the first is {first})")
                }
            }
        };
        self.0.iter().map(note).collect()
    }
}
