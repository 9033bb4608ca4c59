//! Augmentation of training images: the settings `[augment]` as nodes of the training step.

use super::fit::Fit;
use super::loss::Losses;
use crate::cpu::{Tensor, interpret};
use crate::data::{ImageSet, field};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::nn::{Forward, Mode, Training};
use crate::ops::augment::{Augment, Change};
use crate::ops::augment_boxes::AugmentBoxes;
use crate::ops::paste_box::PasteBox;
use crate::plan::Scalar;
use crate::random::{Purpose, Stream};
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// Augmentations of the images of a training step, applied in this order. All are off by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentSettings {
    /// Flip horizontally with probability one half.
    pub flip: bool,
    /// Flip vertically with probability one half.
    pub flip_vertical: bool,
    /// Shift by up to this many pixels in each direction.
    pub crop: usize,
    /// Rotate by up to this many degrees in each direction.
    pub rotate: f64,
    /// Enlarge by a factor of up to this, at a random place; 1 for not.
    pub zoom: f64,
    /// Add up to this many standard deviations of the data to the whole image.
    pub brightness: f64,
    /// Change the distance from the mean colour by up to this share.
    pub contrast: f64,
    /// Change the distance from grey by up to this share.
    pub saturation: f64,
    /// Put a square of the mean colour into each image, this many pixels per side.
    pub cutout: usize,
    /// Mix each image and its class with another (Zhang et al. 2018); the share is drawn from Beta(mixup, mixup).
    pub mixup: f64,
    /// Paste a box of another image into each and mix the classes by its area (Yun et al. 2019); the area is drawn from
    /// Beta(cutmix, cutmix).
    pub cutmix: f64,
}

impl Default for AugmentSettings {
    fn default() -> Self {
        AugmentSettings {
            flip: false,
            flip_vertical: false,
            crop: 0,
            rotate: 0.0,
            zoom: 1.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            cutout: 0,
            mixup: 0.0,
            cutmix: 0.0,
        }
    }
}

/// How the images of a step are mixed with others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mix {
    /// Share of the image's own class in its target.
    pub share: f32,
    /// Rows and columns of the pasted box.
    pub pasted: [u32; 2],
}

/// Mixed images with their targets: the share of their own class, and the class of the other image.
pub(super) struct Mixed<'g> {
    pub x: Var<'g>,
    pub share: Var<'g>,
    pub valid: Var<'g>,
}

impl AugmentSettings {
    /// Whether all augmentations are off.
    pub fn is_off(&self) -> bool {
        *self == AugmentSettings::default()
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the setting that is out of range.
    pub fn check(&self) -> Result<()> {
        const MOST_PIXELS: usize = 4096;
        let wrong = |what: String| Err(Error::Config(format!("augment.{what}")));
        if !(0.0..=90.0).contains(&self.rotate) {
            return wrong(format!(
                "rotate must be from 0 to 90 degrees, not {}",
                self.rotate
            ));
        }
        if !(1.0..=16.0).contains(&self.zoom) {
            return wrong(format!("zoom must be from 1 to 16, not {}", self.zoom));
        }
        let shares = [
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("saturation", self.saturation),
        ];
        for (name, share) in shares {
            if !(0.0..=10.0).contains(&share) {
                return wrong(format!("{name} must be from 0 to 10, not {share}"));
            }
        }
        for (name, pixels) in [("crop", self.crop), ("cutout", self.cutout)] {
            if pixels > MOST_PIXELS {
                return wrong(format!(
                    "{name} must be at most {MOST_PIXELS} pixels, not {pixels}"
                ));
            }
        }
        for (name, alpha) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            if alpha != 0.0 && !(0.01..=10.0).contains(&alpha) {
                return wrong(format!("{name} must be 0 or from 0.01 to 10, not {alpha}"));
            }
        }
        match self.mixup > 0.0 && self.cutmix > 0.0 {
            true => wrong("mixup and augment.cutmix can't be combined; leave one out".to_string()),
            false => Ok(()),
        }
    }

    /// Checks that shifts and cutout squares are smaller than images of `height` by `width`.
    ///
    /// # Errors
    /// Names the setting that is too large.
    pub fn check_size(&self, height: usize, width: usize) -> Result<()> {
        for (name, pixels) in [("crop", self.crop), ("cutout", self.cutout)] {
            if pixels >= height.min(width) {
                return Err(Error::Config(format!(
                    "augment.{name} is {pixels} pixels, but the images are {height} x {width}; make it smaller"
                )));
            }
        }
        Ok(())
    }

    /// Refuses augmentation for samples, called `noun`, that are not images.
    ///
    /// # Errors
    /// If any is on.
    pub(super) fn needs_pictures(&self, noun: &str) -> Result<()> {
        match self.is_off() {
            true => Ok(()),
            false => Err(Error::Config(format!(
                "[augment] is for images, but the data are {noun}; leave it out"
            ))),
        }
    }

    /// Whether it moves what is in an image.
    pub(super) fn moves(&self) -> bool {
        self.flip || self.flip_vertical || self.crop > 0 || self.rotate > 0.0 || self.zoom > 1.0
    }

    /// Checks that there are images to augment, that the only model takes them, and that they are large enough.
    ///
    /// # Errors
    /// Says what does not fit.
    pub(super) fn check_pictures(&self, fit: &Fit<'_>) -> Result<()> {
        let Some(image) = fit.samples.field(field::IMAGE) else {
            return self.needs_pictures(fit.samples.noun());
        };
        let model = fit.models.first()?;
        if !self.is_off() && !fit.takes(field::IMAGE)? {
            return Err(Error::Config(format!(
                "[augment] is for images, but model {} takes none; leave it out",
                model.name()
            )));
        }
        if self.mixes() && model.inputs().len() > 1 {
            return Err(Error::Config(format!(
                "augment.mixup and augment.cutmix mix images, but model {} takes other inputs, too; leave them out",
                model.name()
            )));
        }
        let shape = image.shape();
        self.check_size(shape[0], shape[1])
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
            (self.zoom > 1.0, Change::Zoom { most: self.zoom }),
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

    /// Whether images are mixed with each other.
    pub fn mixes(&self) -> bool {
        self.mixup + self.cutmix > 0.0
    }

    /// Whether pixels are changed where they are: their brightness or colour, or squares of them.
    pub fn changes_colours(&self) -> bool {
        self.brightness + self.contrast + self.saturation > 0.0 || self.cutout > 0
    }

    /// How images of this height and width are mixed in step `step`.
    pub fn mix(&self, seed: u64, step: u64, [height, width]: [usize; 2]) -> Mix {
        let mut stream = Stream::new(seed, Purpose::Mix.stream(step as u32));
        let share = beta(&mut stream, self.mixup.max(self.cutmix));
        if self.cutmix == 0.0 {
            return Mix {
                share: share as f32,
                pasted: [0, 0],
            };
        }
        let side = (1.0 - share).sqrt();
        let pasted = [height, width].map(|extent| (extent as f64 * side).round());
        let share = 1.0 - pasted[0] * pasted[1] / (height * width).max(1) as f64;
        Mix {
            share: share as f32,
            pasted: pasted.map(|side| side as u32),
        }
    }

    /// The images `x`, of which the first `valid` are samples, mixed with each other. Reads its own scalar inputs
    /// ([`AugmentSettings::scalar`]).
    ///
    /// # Errors
    /// If `x` are not images.
    pub(super) fn mixed<'g>(
        &self,
        x: Var<'g>,
        step: Var<'g>,
        valid: Var<'g>,
        seed: u64,
    ) -> Result<Mixed<'g>> {
        let builder = x.builder();
        let _scope = builder.scope("augment");
        let size = match x.shape().dims() {
            &[_, height, width, _] => format!("{height}x{width}"),
            _ => return Err(Error::Config("only images can be mixed".to_string())),
        };
        let share = builder.input(&format!("{MIX}share.{size}"), TensorType::f32([]));
        let other = x.next_row(valid)?;
        let x = if self.cutmix > 0.0 {
            let [height, width] = ["height", "width"]
                .map(|side| builder.input(&format!("{MIX}{side}.{size}"), TensorType::u32([])));
            builder.op(PasteBox { seed }, &[x, other, step, height, width])?
        } else {
            // other + share (x - other)
            other.add(x.sub(other)?.mul(share)?)?
        };
        Ok(Mixed { x, share, valid })
    }

    /// Image `index` of `set` and `count` augmented versions of it: those of the first steps of a run with `seed` if the image
    /// were the first of each batch. The reference computes them; `mean` and `std` are those of the channels.
    ///
    /// # Errors
    /// If mean and standard deviation don't fit the images.
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
        let training = Training {
            step,
            valid: builder.input("valid", TensorType::u32([])),
            inverse_valid: builder.input("inverse_valid", TensorType::f32([])),
            seed,
        };
        let mut forward = Forward::training(&builder, training);
        builder.output("y", self.apply(&mut forward, x)?);
        drop(forward);
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

    /// The images `x` `[batch, height, width, channels]`, augmented differently in every training step and every call; unchanged
    /// in an evaluation.
    ///
    /// # Errors
    /// If `x` are not images.
    pub fn apply<'g>(&self, forward: &mut Forward<'g>, x: Var<'g>) -> Result<Var<'g>> {
        match forward.mode() {
            Mode::Train(training) => self.view(forward, x, training.step, training.seed),
            Mode::Eval => Ok(x),
        }
    }

    /// The images `x` `[batch, height, width, channels]`, augmented differently for every value of `step`, a scalar u32, and every call,
    /// in an evaluation too.
    ///
    /// # Errors
    /// If `x` are not images.
    pub(super) fn view<'g>(
        &self,
        forward: &mut Forward<'g>,
        x: Var<'g>,
        step: Var<'g>,
        seed: u64,
    ) -> Result<Var<'g>> {
        let _scope = forward.builder().scope("augment");
        self.changes().into_iter().try_fold(x, |x, change| {
            let augment = Augment {
                change,
                seed,
                stream: forward.augment_stream(),
            };
            x.augment(step, augment)
        })
    }

    /// The images `x` augmented as in [`AugmentSettings::apply`], and the `planes` `[batch, height, width, any]` that belong to
    /// them: flipped, shifted and rotated in the same way, and padded with zeros.
    ///
    /// # Errors
    /// If `x` are not images.
    pub(super) fn apply_with_mask<'g>(
        &self,
        forward: &mut Forward<'g>,
        x: Var<'g>,
        planes: Var<'g>,
    ) -> Result<(Var<'g>, Var<'g>)> {
        let Mode::Train(training) = forward.mode() else {
            return Ok((x, planes));
        };
        let _scope = forward.builder().scope("augment");
        self.changes()
            .into_iter()
            .try_fold((x, planes), |(x, planes), change| {
                let moves = matches!(
                    change,
                    Change::Flip { .. }
                        | Change::Crop { .. }
                        | Change::Rotate { .. }
                        | Change::Zoom { .. }
                );
                let augment = Augment {
                    change,
                    seed: training.seed,
                    stream: forward.augment_stream(),
                };
                let planes = match moves {
                    true => planes.augment(training.step, augment.clone())?,
                    false => planes,
                };
                Ok((x.augment(training.step, augment)?, planes))
            })
    }

    /// The images `x` augmented as in [`AugmentSettings::apply`], and their `boxes`, `[batch, boxes, 6]`, flipped and shifted with them.
    ///
    /// # Errors
    /// If `x` are not images, or they are turned.
    pub(super) fn apply_with_boxes<'g>(
        &self,
        forward: &mut Forward<'g>,
        x: Var<'g>,
        boxes: Var<'g>,
    ) -> Result<(Var<'g>, Var<'g>)> {
        let (Mode::Train(training), &[_, height, width, _]) = (forward.mode(), x.shape().dims())
        else {
            return Ok((x, boxes));
        };
        let _scope = forward.builder().scope("augment");
        let mut changes = self.changes().into_iter();
        changes.try_fold((x, boxes), |(x, boxes), change| {
            let augment = Augment {
                change,
                seed: training.seed,
                stream: forward.augment_stream(),
            };
            let boxes = match change {
                Change::Jitter { .. } | Change::Cutout { .. } => boxes,
                Change::Flip { .. }
                | Change::Crop { .. }
                | Change::Rotate { .. }
                | Change::Zoom { .. } => {
                    let augment = augment.clone();
                    let size = [height, width];
                    boxes.augment_boxes(training.step, AugmentBoxes { augment, size })?
                }
            };
            Ok((x.augment(training.step, augment)?, boxes))
        })
    }

    /// The value of the scalar input `name` in step `step`, if it is one of those for mixing.
    pub(super) fn scalar(&self, name: &str, step: u64, seed: u64) -> Option<Scalar> {
        let (what, size) = name.strip_prefix(MIX)?.split_once('.')?;
        let (height, width) = size.split_once('x')?;
        let size = [height.parse().ok()?, width.parse().ok()?];
        let mix = self.mix(seed, step, size);
        match what {
            "share" => Some(Scalar::F32(mix.share)),
            "height" => Some(Scalar::U32(mix.pasted[0])),
            "width" => Some(Scalar::U32(mix.pasted[1])),
            _ => None,
        }
    }
}

/// Prefix of the scalar inputs for mixing; it is followed by the quantity and the size of the images.
const MIX: &str = "mix.";

impl<'g> Mixed<'g> {
    /// Losses against the own classes `y` and those of the mixed-in images; `of` gives the losses against given classes.
    ///
    /// # Errors
    /// If the types don't fit.
    pub fn losses(
        &self,
        y: Var<'g>,
        of: impl Fn(Var<'g>) -> Result<Losses<'g>>,
    ) -> Result<Losses<'g>> {
        let (own, other) = (of(y)?, of(y.next_row(self.valid)?)?);
        let mix = |own: Var<'g>, other: Var<'g>| other.add(own.sub(other)?.mul(self.share)?);
        let weights = match (own.weights, other.weights) {
            (Some(own), Some(other)) => Some(mix(own, other)?),
            _ => None,
        };
        Ok(Losses {
            losses: mix(own.losses, other.losses)?,
            weights,
        })
    }
}

/// A number drawn from Beta(alpha, alpha) (Jöhnk 1964).
fn beta(stream: &mut Stream, alpha: f64) -> f64 {
    loop {
        let [a, b] = [(); 2].map(|()| f64::from(stream.unit()).powf(1.0 / alpha));
        if a + b <= 1.0 && a + b > 0.0 {
            return a / (a + b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_the_mean_and_deviation_of_their_distribution() {
        for alpha in [0.2, 1.0, 2.0] {
            let settings = AugmentSettings {
                mixup: alpha,
                ..AugmentSettings::default()
            };
            let shares: Vec<f64> = (0..4000)
                .map(|step| f64::from(settings.mix(1, step, [8, 8]).share))
                .collect();
            let mean = shares.iter().sum::<f64>() / 4000.0;
            let variance = shares.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 4000.0;
            assert!((mean - 0.5).abs() < 0.03, "{mean}");
            assert!(
                (variance - 0.25 / (2.0 * alpha + 1.0)).abs() < 0.02,
                "{variance}"
            );
        }
    }

    #[test]
    fn the_share_of_a_class_is_what_the_box_leaves() {
        let settings = AugmentSettings {
            cutmix: 1.0,
            ..AugmentSettings::default()
        };
        for step in 0..50 {
            let Mix {
                share,
                pasted: [height, width],
            } = settings.mix(3, step, [8, 6]);
            assert!(height <= 8 && width <= 6);
            assert!((share - (1.0 - (height * width) as f32 / 48.0)).abs() < 1e-6);
        }
        settings.check().unwrap();
        let both = AugmentSettings {
            mixup: 1.0,
            ..settings
        };
        assert!(both.check().is_err());
    }

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

    /// The planes mark the positive and the negative pixels of an image, and still do so after both are augmented.
    #[test]
    fn masks_move_with_their_pictures() {
        let shape = [6, 5, 4, 1];
        let settings = AugmentSettings {
            flip: true,
            flip_vertical: true,
            crop: 2,
            brightness: 0.3,
            ..AugmentSettings::default()
        };
        let builder = Builder::new();
        let x = builder.input("x", TensorType::f32(shape));
        let training = Training {
            step: builder.input("step", TensorType::u32([])),
            valid: builder.input("valid", TensorType::u32([])),
            inverse_valid: builder.input("inverse_valid", TensorType::f32([])),
            seed: 5,
        };
        let zero = builder.constant(0.0);
        let planes = Var::concat(&[x.gt(zero).unwrap(), x.lt(zero).unwrap()], 3).unwrap();
        let mut forward = Forward::training(&builder, training);
        let (changed, planes) = settings.apply_with_mask(&mut forward, x, planes).unwrap();
        builder.output("x", changed);
        builder.output("planes", planes);
        drop(forward);
        let graph = builder.finish().unwrap();
        // The values are further from 0 than a change of brightness can move them.
        let values =
            (0..120).map(|i| if i * 7 % 3 == 0 { 1.0 } else { -1.0 } + 0.01 * (i % 9) as f32);
        let inputs = HashMap::from([
            (
                "x".to_string(),
                Arc::new(Tensor::real(shape, values.collect())),
            ),
            ("step".to_string(), Arc::new(Tensor::index([], vec![3]))),
        ]);
        let outputs: Vec<Arc<Tensor<f32>>> =
            interpret(&graph, &mut HashMap::new(), &inputs).unwrap();
        let planes = outputs[1].reals().chunks(2);
        let mut outside = 0;
        for (value, planes) in outputs[0].reals().iter().zip(planes) {
            match planes {
                [0.0, 0.0] => outside += 1,
                planes => assert_eq!(
                    planes,
                    [f32::from(*value > 0.0), f32::from(*value < 0.0)],
                    "{value}"
                ),
            }
        }
        assert!(
            (1..90).contains(&outside),
            "{outside} pixels come from outside"
        );
        assert_ne!(outputs[0].reals(), inputs["x"].reals());
    }

    #[test]
    fn a_range_that_can_not_be_is_refused() {
        for text in [
            "rotate = 91.0",
            "contrast = -0.1",
            "crop = 5000",
            "mixup = 0.001",
            "cutmix = nan",
            "mixup = 1.0\ncutmix = 1.0",
        ] {
            let settings: AugmentSettings = toml::from_str(text).unwrap();
            let message = settings.check().unwrap_err().to_string();
            let key = text.split(' ').next().unwrap();
            assert!(message.contains(&format!("augment.{key}")), "{message}");
        }
        for (text, least) in [("crop = 8", 9), ("cutout = 12", 13)] {
            let settings: AugmentSettings = toml::from_str(text).unwrap();
            assert!(settings.check_size(least, least).is_ok());
            let message = settings.check_size(99, least - 1).unwrap_err();
            assert!(message.to_string().contains("pixels"), "{message}");
        }
        assert!(toml::from_str::<AugmentSettings>("mirror = true").is_err());
    }
}
