//! Segmentation: one class for each pixel of an image.
//!
//! The model gives a logit for each class at each pixel, `[height, width, classes]`; the loss is the cross-entropy of the pixels,
//! the Dice loss (Milletari, Navab and Ahmadi, "V-Net", 2016), or their sum. Flips, shifts and rotations transform image and mask
//! together; pixels that come from outside the image have no class, and neither loss nor metrics count them. Of images that are cut
//! into tiles, the metrics count each pixel once, by the blended logits of its tiles.

mod labelled;
mod scores;
mod whole;

use self::labelled::LabelledPicture;
use self::scores::scores;
use self::whole::WholeScorer;
use super::fit::{check_input, inputs};
use super::loss::{CLASS_WEIGHTS, ClassWeights, Loss};
use super::metric::{Counters, Metric};
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, Models, Need, Objective, Prediction,
    PredictionFile, PredictionLine, Registered, Reported, Scorer, Section, StepGraph, Task,
    TaskCase, TaskSettings, case, figures,
};
use crate::cpu::Tensor;
use crate::data::{Field, FieldValues, MaskValue, Normalization, Samples, SetLayout, field};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::nn::{Averaging, Model};
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const LOGITS: &str = "logits";
/// The image that the model sees.
const PICTURE: &str = "picture";
/// The class of each pixel.
const TRUTH: &str = "truth";
/// For each class, the numbers of pixels correctly predicted as it, predicted as it, and belonging to it: `[3, classes]`.
const PIXELS: &str = "pixels";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "segmentation",
    about: "one class for each pixel of an image",
    needs: &[
        Need {
            field: field::IMAGE,
            about: "the image",
            input: true,
        },
        Need {
            field: field::MASK,
            about: "the class of each pixel",
            input: false,
        },
    ],
    metrics,
    suits: |samples| samples.field(field::MASK).is_some(),
    suits_model: gives_pixels,
    settings: Own::json_schema,
    make: |settings| Ok(Box::new(Segmentation::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let picture = case::pictures([4, 4, 1]);
    let FieldValues::Pixels { bytes, .. } = &picture.values else {
        return Err(Error::Data("pictures are pixels".to_string()));
    };
    // The class of a pixel says whether it is bright.
    let mask = Field {
        name: field::MASK,
        values: FieldValues::ByteClasses {
            bytes: bytes.iter().map(|&byte| u8::from(byte > 127)).collect(),
            shape: [4, 4],
        },
    };
    let mut case = TaskCase::new("segmentation", Samples::new(12, vec![picture, mask], None))?
        .classes(&["dark", "bright"])
        .pixels(1, 0.5, 0.3)
        .model(
            "",
            r#"
            name = "tiny"
            input = [4, 4, 1]
            layer = [
                { type = "conv2d", filters = 8, kernel = 3, padding = "same", activation = "relu" },
                { type = "conv2d", filters = 2, kernel = 1 },
            ]
            "#,
        )?;
    case.fitted.mask_values = vec![MaskValue::Grey(0), MaskValue::Grey(255)];
    case.reaches = ("mean_iou", 0.9);
    case.epochs = 100;
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    let mean_iou = |c: &Counters| match scores(c) {
        Some(scores) => scores.mean_iou(),
        None => c.mean("score"),
    };
    vec![
        Metric::share("mean_iou", mean_iou).in_epoch_line(),
        Metric::share("dice", |c| scores(c)?.mean_dice()),
        Metric::share("pixel_accuracy", |c| scores(c)?.pixel_accuracy()).in_epoch_line(),
    ]
}

/// Whether `model` gives numbers for each pixel of its input image.
fn gives_pixels(model: &dyn Model) -> bool {
    match (model.inputs(), model.outputs()) {
        ([input], [output]) => {
            let image = input.spec.image();
            matches!((image, &output.shape[..]), (Some(image), &[height, width, _]) if image[..2] == [height, width])
        }
        _ => false,
    }
}

/// The loss, as `[task]` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum PixelLoss {
    /// Cross-entropy of the pixels.
    #[default]
    #[serde(rename = "cross_entropy")]
    CrossEntropy,
    /// 1 minus the Dice coefficient.
    #[serde(rename = "dice")]
    Dice,
    /// The sum of both.
    #[serde(rename = "cross_entropy+dice")]
    Both,
}

/// The task's own settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// Loss of the pixels.
    loss: PixelLoss,
    /// Weight of each class in the loss, or `"balanced"`: `pixels / (classes that occur * pixels of the class)` in the training part,
    /// computed at the start. All weigh the same if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    class_weights: Option<ClassWeights>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Segmentation {
    /// Augmentation of training images and their masks.
    pub augment: AugmentSettings,
    loss: PixelLoss,
    class_weights: Option<ClassWeights>,
}

/// The pixels of a batch as rows: logits and targets.
struct PixelRows<'g> {
    /// `[pixels, classes]`.
    logits: Var<'g>,
    /// The share of each class in each pixel, `[pixels, classes]`: 0 for pixels that do not count.
    wanted: Var<'g>,
}

/// The identity matrix, `[classes, classes]`. Rows of a one and `classes` zeros are reshaped to rows of `classes`, which moves the
/// one by a column per row.
fn identity(builder: &Builder, classes: usize) -> Result<Var<'_>> {
    let ones = builder.constant(1.0).broadcast_to(&[classes, 1].into())?;
    let flat = ones
        .pad(&[[0, 0], [0, classes]], 0.0)?
        .reshape([classes * (classes + 1)])?;
    flat.slice_axis(0, 0..classes * classes)?
        .reshape([classes, classes])
}

impl Segmentation {
    /// From the settings of a run.
    ///
    /// # Errors
    /// If `[task]`, the loss or the label smoothing is invalid.
    pub fn new(settings: &TaskSettings) -> Result<Segmentation> {
        let own: Own = settings.own()?;
        let wrong = |what: &str| Err(Error::Config(what.to_string()));
        match &settings.loss {
            Loss::Auto => {}
            Loss::CrossEntropy(loss) if loss.class_weights.is_none() => {}
            _ => {
                return wrong(
                    "the loss of segmentation is set in [task]: loss = \"cross_entropy\", \"dice\" or \"cross_entropy+dice\", and \
                     class_weights; leave [loss] out",
                );
            }
        }
        if let Some(weights) = &own.class_weights {
            weights.check("task.class_weights")?;
        }
        if settings.label_smoothing != 0.0 {
            return wrong("label_smoothing does not apply to classes of pixels; leave it out");
        }
        Ok(Segmentation {
            augment: settings.augment.clone(),
            loss: own.loss,
            class_weights: own.class_weights,
        })
    }

    /// Runs the model on the images of the batch, which are augmented in training.
    fn pixels<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<PixelRows<'g>> {
        let builder = step.builder();
        let mut x = inputs(step, field::IMAGE)?;
        let (picture, mask) = (
            step.batch.field(field::IMAGE)?,
            step.batch.field(field::MASK)?,
        );
        let output = step.models().first()?.outputs().first();
        let classes = output.map_or(1, |output| output.shape[output.shape.len() - 1]);
        // A plane for each class, one-hot.
        let planes: Vec<Var<'g>> = (0..classes)
            .map(|class| mask.eq(builder.constant(class as f64)))
            .collect::<Result<_>>()?;
        let mut wanted = Var::concat(&planes, 3)?.mask_rows(step.batch.valid())?;
        if let (false, Some(at)) = (
            self.augment.is_off(),
            x.iter().position(|input| input.id() == picture.id()),
        ) {
            (x[at], wanted) = self
                .augment
                .apply_with_mask(&mut step.forward, picture, wanted)?;
        }
        let logits = step.run_first(&x)?;
        let rows = [mask.shape().elements(), classes];
        Ok(PixelRows {
            logits: logits.reshape(rows)?,
            wanted: wanted.reshape(rows)?,
        })
    }

    /// The loss over the pixels that count.
    fn objective<'g>(&self, of: &PixelRows<'g>) -> Result<Objective<'g>> {
        let builder = of.logits.builder();
        let _scope = builder.scope("loss");
        let classes = of.logits.shape().last();
        let weights = match &self.class_weights {
            Some(_) => {
                let weights = builder.variable(CLASS_WEIGHTS, TensorType::f32([classes]))?;
                Some(weights.reshape([1, classes])?)
            }
            None => None,
        };
        let wanted = match weights {
            Some(weights) => of.wanted.mul(weights)?,
            None => of.wanted,
        };
        let weight = wanted.sum_all()?;
        let cross_entropy = || wanted.mul(of.logits.log_softmax()?)?.sum_all()?.neg();
        let dice = || self.dice(of, weights)?.mul(weight);
        let sum = match self.loss {
            PixelLoss::CrossEntropy => cross_entropy()?,
            PixelLoss::Dice => dice()?,
            PixelLoss::Both => cross_entropy()?.add(dice()?)?,
        };
        Ok(Objective {
            sum,
            weight: Some(weight),
            losses: None,
        })
    }

    /// 1 - the mean over the classes of `(2 |both| + 1) / (|predicted| + |wanted| + 1)`, over all pixels of the batch; the mean is that
    /// by the `weights` of the classes, `[1, classes]`.
    fn dice<'g>(&self, of: &PixelRows<'g>, weights: Option<Var<'g>>) -> Result<Var<'g>> {
        let one = of.logits.builder().constant(1.0);
        let counts = of.wanted.sum_keep(&[1])?;
        let predicted = of.logits.softmax()?.mul(counts)?;
        let both = predicted.mul(of.wanted)?.sum(&[0])?;
        let either = predicted.add(of.wanted)?.sum(&[0])?;
        let dice = both.scale(2.0)?.add(one)?.div(either.add(one)?)?;
        match weights {
            Some(weights) => {
                let weights = weights.reshape(dice.shape())?;
                one.sub(dice.mul(weights)?.sum(&[0])?.div(weights.sum(&[0])?)?)
            }
            None => one.sub(dice.mean(&[0])?),
        }
    }

    /// The counts [`PIXELS`] of the batch.
    fn counted<'g>(&self, of: &PixelRows<'g>) -> Result<Var<'g>> {
        let classes = of.logits.shape().last();
        let counts = of.wanted.sum_keep(&[1])?;
        let predicted = identity(of.logits.builder(), classes)?
            .gather(of.logits.argmax()?)?
            .mul(counts)?;
        let right = predicted.mul(of.wanted)?;
        let rows: Vec<Var<'g>> = [right, predicted, of.wanted]
            .into_iter()
            .map(|pixels| pixels.sum(&[0])?.reshape([1, classes]))
            .collect::<Result<_>>()?;
        Var::concat(&rows, 0)
    }
}

impl Task for Segmentation {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let (model, output) = fit.output()?;
        check_input(model, fit)?;
        let wrong = |what: String| Err(Error::Config(what));
        let name = model.name();
        let (known, image) = (fit.classes.len(), fit.samples.field(field::IMAGE));
        let size = image.map(|image| image.shape()).unwrap_or_default();
        match output {
            &[height, width, classes] if size.is_empty() || [height, width] == size[..2] => {
                if known > classes {
                    return wrong(format!(
                        "the masks have {known} classes but model {name} gives {classes} numbers for each pixel; give its last \
                         layer filters = {known}"
                    ));
                }
            }
            _ => {
                return wrong(format!(
                    "model {name} gives {output:?} for a picture of {size:?}, where segmentation needs a number for each class at \
                     each pixel, [{}, {}, {known}]; end it with a convolution of {known} filters at full size",
                    size.first().unwrap_or(&0),
                    size.get(1).unwrap_or(&0),
                ));
            }
        }
        if let (Some(ClassWeights::Numbers(weights)), Some(&classes)) =
            (&self.class_weights, output.last())
            && weights.len() != classes
        {
            return wrong(format!(
                "task.class_weights has {} numbers, but model {name} gives {classes} for each pixel; give one for each class",
                weights.len()
            ));
        }
        if fit.part == "training" && known < 2 {
            return Err(Error::Data(format!(
                "the masks of {} have {known} class, but segmentation needs at least two; data.mask_values says which values \
                 of masks are classes",
                fit.data
            )));
        }
        fit.not_empty()?;
        if self.augment.mixes() {
            return wrong(
                "augment.mixup and augment.cutmix need one class per image, not masks; leave them out".to_string(),
            );
        }
        self.augment.check_pictures(fit)
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let of = self.pixels(step)?;
        if let Some(training) = step.training() {
            // The mean IoU of the batch times the number of its samples, because the score is a mean over samples.
            let one = step.builder().constant(1.0);
            let counted = self.counted(&of)?;
            let row = |at: usize| counted.slice_axis(0, at..at + 1);
            let (right, predicted, of_class) = (row(0)?, row(1)?, row(2)?);
            let either = predicted.add(of_class)?.sub(right)?;
            let occurs = either.gt(step.builder().constant(0.0))?;
            let iou = right.div(either.maximum(one)?)?.sum_all()?;
            let mean = iou.div(occurs.sum_all()?.maximum(one)?)?;
            step.count("score", mean.div(training.inverse_valid)?)?;
        }
        self.objective(&of)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let x = inputs(step, field::IMAGE)?;
        let logits = step.run_first(&x)?;
        step.output(LOGITS, logits);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let of = self.pixels(step)?;
        step.count(PIXELS, self.counted(&of)?)?;
        let (picture, mask) = (
            step.batch.field(field::IMAGE)?,
            step.batch.field(field::MASK)?,
        );
        let mut dims = mask.shape().dims().to_vec();
        dims[3] = of.logits.shape().last();
        step.output(LOGITS, of.logits.reshape(dims)?);
        step.output(PICTURE, picture);
        step.output(TRUTH, mask);
        self.objective(&of)
    }

    fn averaging(&self) -> Option<Averaging> {
        Some(Averaging::Probabilities)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        let weights = self.class_weights.as_ref().map(ClassWeights::variable);
        let weights = weights.transpose()?;
        Ok(weights
            .map(|(name, values)| (name.to_string(), Tensor::real([values.len()], values)))
            .into_iter()
            .collect())
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let model = models.first()?;
        let Some([height, width, channels]) = model.inputs()[0].spec.image() else {
            return Err(Error::Config(format!(
                "segmentation needs images, but model {} takes none",
                model.name()
            )));
        };
        let classes = Normalization {
            mean: &[0.0],
            std: &[1.0 / 255.0],
        };
        Ok(layout
            .bytes(field::IMAGE, &[height, width, channels], normal)
            .bytes(field::MASK, &[height, width, 1], classes))
    }

    fn writes_files(&self) -> bool {
        true
    }

    fn scorer(&self, samples: &Samples) -> Option<Box<dyn Scorer>> {
        samples.tiles()?;
        Some(Box::<WholeScorer>::default())
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let (_, shape, logits) = sample
            .outputs
            .iter()
            .find(|(name, ..)| name == LOGITS)
            .ok_or_else(|| Error::Graph("the prediction has no logits".to_string()))?;
        let &[height, width, classes] = &shape[..] else {
            return Err(Error::Graph(format!("logits of pixels are no {shape:?}")));
        };
        let predicted = predicted_classes(logits, classes);
        let name = |class: usize| {
            let name = sample.fitted.classes.get(class).cloned();
            name.unwrap_or_else(|| class.to_string())
        };
        let share = |class: usize| {
            let count = predicted.iter().filter(|&&own| own as usize == class);
            count.count() as f64 / predicted.len().max(1) as f64
        };
        let mut shares: Vec<(usize, f64)> =
            (0..classes).map(|class| (class, share(class))).collect();
        let json: Map<String, Value> = shares
            .iter()
            .map(|&(class, share)| (name(class), share.into()))
            .collect();
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        let text: Vec<String> = shares
            .iter()
            .filter(|(_, share)| *share > 0.0)
            .take(sample.top)
            .map(|&(class, share)| format!("{} {:.1}%", name(class), 100.0 * share))
            .collect();
        let labelled = match sample.picture {
            Some(path) => {
                let of_model = [height, width, classes];
                Some(LabelledPicture::of_file(path, logits, of_model, sample)?)
            }
            None => LabelledPicture::of_sample(&predicted, sample)?,
        };
        let mut files = Vec::new();
        if let Some(LabelledPicture {
            shape,
            picture,
            classes,
        }) = labelled
        {
            let values = &sample.fitted.mask_values;
            files = vec![
                PredictionFile {
                    key: "mask",
                    suffix: "-mask.png",
                    bytes: figures::mask_png([shape[0], shape[1]], &classes, values)?,
                },
                PredictionFile {
                    key: "overlay",
                    suffix: "-overlay.png",
                    bytes: figures::overlay_png(shape, &picture, &classes)?,
                },
            ];
        }
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text,
                json: Map::from_iter([("pixels".to_string(), Value::Object(json))]),
            }],
            files,
        })
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let Some(scores) = scores(found.counters) else {
            return Findings::default();
        };
        let classes = found.fitted.classes.iter().enumerate();
        let each: Vec<(&String, Option<f64>)> = classes
            .filter(|(class, _)| *class < scores.right.len())
            .map(|(class, name)| (name, scores.iou(class)))
            .collect();
        let words: Vec<String> = each
            .iter()
            .map(|(name, iou)| match iou {
                Some(iou) => format!("{name} {:.2}%", 100.0 * iou),
                None => format!("{name} does not occur"),
            })
            .collect();
        let json: Map<String, Value> = each
            .iter()
            .map(|(name, iou)| (name.to_string(), json!(iou)))
            .collect();
        Findings {
            brief: Reported {
                lines: Vec::new(),
                json: Map::from_iter([("test_iou".to_string(), Value::Object(json.clone()))]),
            },
            full: Reported {
                lines: vec![format!("IoU of each class: {}", words.join(", "))],
                json: Map::from_iter([("iou_by_class".to_string(), Value::Object(json))]),
            },
        }
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let output = |wanted: &str| found.outputs.iter().find(|(name, ..)| name == wanted);
        let (Some((_, shape, pictures)), Some((_, _, truths)), Some((_, of_logits, logits))) =
            (output(PICTURE), output(TRUTH), output(LOGITS))
        else {
            return Vec::new();
        };
        let (&[height, width, channels], &[_, _, classes]) = (&shape[..], &of_logits[..]) else {
            return Vec::new();
        };
        let pixels = height * width;
        let mut rows = [Vec::new(), Vec::new(), Vec::new()];
        let each = pictures
            .chunks(pixels * channels)
            .zip(truths.chunks(pixels))
            .zip(logits.chunks(pixels * classes));
        for ((picture, truth), logits) in each.take(self.shown_samples()) {
            let truth: Vec<u8> = truth.iter().map(|&class| class as u8).collect();
            let bytes = figures::bytes(picture, found.fitted);
            let made = [
                figures::png(shape, picture, found.fitted).ok().flatten(),
                figures::overlay_png([height, width, channels], &bytes, &truth).ok(),
                figures::overlay_png(
                    [height, width, channels],
                    &bytes,
                    &predicted_classes(logits, classes),
                )
                .ok(),
            ];
            for (row, file) in rows.iter_mut().zip(made) {
                row.extend(file);
            }
        }
        let captions = ["picture", "truth", "predicted"].map(str::to_string);
        let rows: Vec<(String, Vec<Vec<u8>>)> = captions.into_iter().zip(rows).collect();
        vec![figures::rows("Images, masks and predictions", &rows)]
    }

    fn shown_samples(&self) -> usize {
        6
    }

    fn shown_outputs(&self) -> &'static [&'static str] {
        &[LOGITS, PICTURE, TRUTH]
    }
}

/// The class with the largest logit of each pixel; the first of equal ones.
fn predicted_classes(logits: &[f32], classes: usize) -> Vec<u8> {
    let pixels = logits.chunks(classes.max(1));
    pixels.map(|pixel| largest(pixel.iter().copied())).collect()
}

/// The index of the largest value; the first of equal ones.
fn largest(values: impl Iterator<Item = f32>) -> u8 {
    let mut best = (0, f32::NEG_INFINITY);
    for (at, value) in values.enumerate() {
        if value > best.1 {
            best = (at, value);
        }
    }
    best.0 as u8
}

#[cfg(test)]
mod tests;
