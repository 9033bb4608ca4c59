//! Random changes of training pictures: what `[augment]` says, as nodes of the training step.

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::augment::{Augment, Change};
use serde::{Deserialize, Serialize};

/// What is done to the pictures of a training step, in this order. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentSettings {
    /// Mirror every other picture, left to right.
    pub flip: bool,
    /// Mirror every other picture, top to bottom.
    pub flip_vertical: bool,
    /// Shift by up to so many pixels each way.
    pub crop: usize,
    /// Turn by up to so many degrees each way.
    pub rotate: f64,
    /// Add up to so many standard deviations of the data, to the whole picture.
    pub brightness: f64,
    /// Change the distance from the mean colour by up to this share.
    pub contrast: f64,
    /// Change the distance from grey by up to this share.
    pub saturation: f64,
    /// Put a square of the mean colour in each, so many pixels a side.
    pub cutout: usize,
}

impl AugmentSettings {
    /// Whether nothing is done.
    pub fn is_off(&self) -> bool {
        *self == AugmentSettings::default()
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the setting that is out of range.
    pub fn check(&self) -> Result<()> {
        let shares = [self.brightness, self.contrast, self.saturation];
        let possible = (0.0..=90.0).contains(&self.rotate)
            && shares.iter().all(|share| (0.0..=10.0).contains(share))
            && self.crop.max(self.cutout) <= 4096;
        match possible {
            true => Ok(()),
            false => Err(Error::Config(
                "augment: rotate is from 0 to 90 degrees, brightness, contrast and saturation from 0 to 10, crop and cutout up to \
                 4096 pixels"
                    .to_string(),
            )),
        }
    }

    fn changes(&self) -> Vec<Change> {
        let (across, down) = (self.flip, self.flip_vertical);
        let jitter = Change::Jitter {
            brightness: self.brightness,
            contrast: self.contrast,
            saturation: self.saturation,
        };
        let all = [
            (across || down, Change::Flip { across, down }),
            (
                self.rotate > 0.0,
                Change::Rotate {
                    degrees: self.rotate,
                },
            ),
            (self.crop > 0, Change::Crop { padding: self.crop }),
            (
                self.brightness + self.contrast + self.saturation > 0.0,
                jitter,
            ),
            (self.cutout > 0, Change::Cutout { size: self.cutout }),
        ];
        all.into_iter()
            .filter(|(asked, _)| *asked)
            .map(|(_, change)| change)
            .collect()
    }

    /// The pictures `x` `[batch, height, width, channels]`, changed another way for every `step`.
    ///
    /// # Errors
    /// If `x` are no pictures.
    pub fn apply<'g>(&self, x: Var<'g>, step: Var<'g>, seed: u64) -> Result<Var<'g>> {
        let changes = self.changes().into_iter().zip(0..);
        changes.into_iter().try_fold(x, |x, (change, stream)| {
            x.augment(
                step,
                Augment {
                    change,
                    seed,
                    stream,
                },
            )
        })
    }
}
