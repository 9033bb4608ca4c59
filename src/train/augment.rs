//! Random changes of training pictures: what `[augment]` says, as nodes of the training step.

use crate::cpu::{Tensor, interpret};
use crate::data::ImageSet;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::ops::augment::{Augment, Change};
use crate::tensor::TensorType;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

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

    /// Picture number `index` of `set`, and `count` changed ones: those that the first steps of a run with `seed` would see
    /// if it were the first of each batch. Computed in the reference; `mean` and `std` are those of the channels.
    ///
    /// # Errors
    /// If mean and deviation don't fit the pictures.
    pub fn samples(
        &self,
        set: &ImageSet,
        index: usize,
        count: usize,
        [mean, std]: [&[f32]; 2],
        seed: u64,
    ) -> Result<ImageSet> {
        let shape = [1, set.height, set.width, set.channels];
        let builder = Builder::new();
        let x = builder.input("x", TensorType::f32(shape));
        let step = builder.input("step", TensorType::u32([]));
        builder.output("y", self.apply(x, step, seed)?);
        let graph = builder.finish()?;
        let channel = |at: usize| (mean[at % mean.len()], std[at % std.len()]);
        let seen = set.image(index).iter().enumerate().map(|(at, &byte)| {
            let (mean, std) = channel(at);
            (f32::from(byte) / 255.0 - mean) / std
        });
        let x = Arc::new(Tensor::real(shape, seen.collect()));
        let mut images = set.image(index).to_vec();
        for step in 0..count as u32 {
            let step = Arc::new(Tensor::index([], vec![step]));
            let inputs = HashMap::from([("x".to_string(), x.clone()), ("step".to_string(), step)]);
            let outputs: Vec<Arc<Tensor<f32>>> = interpret(&graph, &mut HashMap::new(), &inputs)?;
            images.extend(outputs[0].reals().iter().enumerate().map(|(at, value)| {
                let (mean, std) = channel(at);
                (255.0 * (value * std + mean)).round().clamp(0.0, 255.0) as u8
            }));
        }
        Ok(ImageSet {
            images,
            labels: vec![set.labels[index]; count + 1],
            ..*set
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_the_picture_and_others_of_it() {
        let set = ImageSet {
            images: (0..32).map(|i| i * 7).collect(),
            labels: vec![3, 5],
            height: 4,
            width: 4,
            channels: 1,
        };
        let flip = AugmentSettings {
            flip: true,
            ..AugmentSettings::default()
        };
        let samples = flip.samples(&set, 1, 20, [&[0.4], &[0.3]], 1).unwrap();
        assert_eq!((samples.len(), samples.labels[20]), (21, 5));
        let own = set.image(1);
        let mirrored: Vec<u8> = own
            .chunks(4)
            .flat_map(|row| row.iter().rev())
            .copied()
            .collect();
        let others = (1..21).map(|index| samples.image(index));
        assert!(
            samples.image(0) == own
                && others
                    .clone()
                    .all(|other| other == own || other == mirrored)
        );
        assert!(others.clone().any(|other| other == mirrored));
        let none = AugmentSettings::default()
            .samples(&set, 0, 1, [&[0.4], &[0.3]], 1)
            .unwrap();
        assert_eq!(none.image(1), set.image(0));
    }

    #[test]
    fn a_range_that_can_not_be_is_refused() {
        for settings in ["rotate = 91.0", "contrast = -0.1", "crop = 5000"] {
            let settings: AugmentSettings = toml::from_str(settings).unwrap();
            assert!(settings.check().is_err());
        }
        assert!(toml::from_str::<AugmentSettings>("mirror = true").is_err());
    }
}
