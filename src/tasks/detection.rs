//! Detection: boxes around the objects of an image, with their classes.
//!
//! The model is a single-shot detector without anchors, as FCOS is (Tian et al., "FCOS: A Simple and Strong Anchor-free Object
//! Detector", 2020): for each level, a place every few pixels gives a logit for each class, the logarithms of the distances to the four
//! sides of its box in strides, and its centre-ness. [`AssignBoxes`] says which box each place is to predict. The loss is the focal loss
//! of the classes, the generalised IoU loss of the boxes weighted by their centre-ness, and the cross-entropy of the centre-ness, each
//! divided by the number of places with a box. A score is the root of the class's probability times the centre-ness; boxes are
//! thinned by non-maximum suppression, and judged by the average precision of COCO.

mod boxes;
mod draw;
mod levels;
mod loss;
mod precision;
mod report;

use self::boxes::{DISTANCES, FoundBox, LOWEST, Outputs, SCORES, found_boxes};
use self::draw::DrawnBox;
use self::levels::{Level, SIDES, levels};
use self::loss::{focal, giou};
use self::precision::{Precisions, THRESHOLDS, TrueBox};
use super::constants::row;
use super::fit::{check_input, inputs};
use super::loss::Loss;
use super::metric::{Counters, Metric};
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, Models, Need, Objective, Prediction,
    PredictionFile, PredictionLine, Registered, Reported, Scorer, Section, StepGraph, Task,
    TaskSettings, figures,
};
use crate::cpu::Tensor;
use crate::data::{Normalization, Samples, SetLayout, field, read_colours};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::Model;
use crate::ops::assign_boxes::AssignBoxes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// The image that the model sees.
const PICTURE: &str = "picture";
/// Counters: average precision at an IoU of 0.5 and its mean over IoUs from 0.5 to 0.95, of all classes and of each; -1 for a class
/// that does not occur.
const MAP_50: &str = "map_50";
const MAP_50_95: &str = "map_50_95";
const OF_CLASSES: &str = "ap_of_classes";
/// Strides between the centres of a place and its box, at most ("centre sampling").
const RADIUS: f64 = 1.5;
/// The logarithm of a distance in strides is at most this.
const MOST_LOG: f64 = 8.0;

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "detection",
    about: "boxes around the objects of an image, with their classes",
    needs: &[
        Need {
            field: field::IMAGE,
            about: "the image",
            input: true,
        },
        Need {
            field: field::BOXES,
            about: "the boxes in the image, with their classes",
            input: false,
        },
    ],
    metrics,
    suits: |samples| samples.field(field::BOXES).is_some(),
    suits_model: |model| image_of(model).is_some_and(|[h, w, _]| levels(model, [h, w]).is_ok()),
    settings: Own::json_schema,
    make: |settings| Ok(Box::new(ObjectDetection::new(settings)?)),
    sample: report::sample,
};

fn metrics() -> Vec<Metric> {
    vec![
        Metric::share(MAP_50, |c: &Counters| c.sum(MAP_50)).in_epoch_line(),
        Metric::share(MAP_50_95, |c: &Counters| c.sum(MAP_50_95)).in_epoch_line(),
    ]
}

/// Height, width and channels of the images that `model` takes, if it takes nothing else.
fn image_of(model: &dyn Model) -> Option<[usize; 3]> {
    match model.inputs() {
        [input] => input.spec.sample()[..].try_into().ok(),
        _ => None,
    }
}

/// The task's own settings.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// The lowest score of a box that is predicted, from 0 to 1. Evaluations take all boxes from 0.05.
    threshold: f64,
    /// Of boxes of a class with a larger IoU than this, only the one with the highest score is kept.
    nms_iou: f64,
}

impl Default for Own {
    fn default() -> Self {
        Own {
            threshold: 0.5,
            nms_iou: 0.6,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct ObjectDetection {
    augment: AugmentSettings,
    threshold: f32,
    nms_iou: f64,
}

/// What the model gives at all places of all levels.
struct Places<'g> {
    /// Logits of the classes, `[batch, places, classes]`.
    classes: Var<'g>,
    /// Distances to the sides of the box in pixels, `[batch, places, 4]`.
    distances: Var<'g>,
    /// Logits of the centre-ness, `[batch, places, 1]`.
    centres: Var<'g>,
}

impl ObjectDetection {
    /// From the settings of a run.
    ///
    /// # Errors
    /// If `[task]`, the loss or the label smoothing is invalid.
    pub fn new(settings: &TaskSettings) -> Result<ObjectDetection> {
        let own: Own = settings.own()?;
        let wrong = |what: String| Err(Error::Config(what));
        if settings.loss != Loss::Auto {
            return wrong(
                "the loss of detection is that of FCOS and can't be changed; leave [loss] out"
                    .to_string(),
            );
        }
        if settings.label_smoothing != 0.0 {
            return wrong("label_smoothing does not apply to detection; leave it out".to_string());
        }
        for (name, value) in [("threshold", own.threshold), ("nms_iou", own.nms_iou)] {
            if !(0.0..=1.0).contains(&value) {
                return wrong(format!("task.{name} must be from 0 to 1, not {value}"));
            }
        }
        Ok(ObjectDetection {
            augment: settings.augment.clone(),
            threshold: own.threshold as f32,
            nms_iou: own.nms_iou,
        })
    }

    /// Runs the model on `x` and gives the outputs of its levels as `[batch, places, ...]`.
    fn places<'g>(&self, step: &mut StepGraph<'g, '_>, x: &[Var<'g>]) -> Result<Vec<Places<'g>>> {
        let model = step.models().first()?;
        let shape = x.first().map(|x| x.shape().dims().to_vec());
        let Some(&[batch, height, width, _]) = shape.as_deref() else {
            return Err(Error::Config("detection needs images".to_string()));
        };
        let (levels, classes) = levels(model, [height, width])?;
        let outputs = model.forward(&mut step.forward, x)?;
        let of_level = |level: &Level| {
            let places = level.size[0] * level.size[1];
            let sides = outputs[level.output + 1].reshape([batch, places, SIDES])?;
            let logs = sides.slice_axis(2, 0..4)?.clamp(-MOST_LOG, MOST_LOG)?;
            Ok(Places {
                classes: outputs[level.output].reshape([batch, places, classes])?,
                distances: logs.exp()?.scale(level.stride)?,
                centres: sides.slice_axis(2, 4..5)?,
            })
        };
        levels.iter().map(of_level).collect()
    }

    /// The loss of `places` for the `boxes` of the images.
    fn objective<'g>(
        &self,
        step: &StepGraph<'g, '_>,
        places: &[Places<'g>],
        boxes: Var<'g>,
    ) -> Result<Objective<'g>> {
        let builder = step.builder();
        let _scope = builder.scope("loss");
        let _precise = builder.precise();
        let image = image_of(step.models().first()?).unwrap_or_default();
        let (levels, _) = levels(step.models().first()?, [image[0], image[1]])?;
        let targets = levels.iter().map(|level| {
            boxes.assign_boxes(AssignBoxes {
                size: level.size,
                stride: level.stride,
                radius: RADIUS,
                smallest: level.smallest,
                largest: level.largest,
            })
        });
        let targets = Var::concat(&targets.collect::<Result<Vec<_>>>()?, 1)?;
        let all = |of: fn(&Places<'g>) -> Var<'g>| {
            Var::concat(&places.iter().map(of).collect::<Vec<_>>(), 1)
        };
        let (logits, distances) = (all(|p| p.classes)?, all(|p| p.distances)?);
        let centres = all(|p| p.centres)?;
        let target = |from: usize, to: usize| targets.slice_axis(2, from..to);
        let (sides, class, centre) = (target(0, 4)?, target(4, 5)?, target(5, 6)?);
        let valid = step.batch.valid();
        let has_box = class.ge(builder.constant(0.0))?.mask_rows(valid)?;
        let counts = class.gt(builder.constant(-1.5))?.mask_rows(valid)?;
        let count = logits.shape().last();
        let numbers = row(builder, (0..count).map(|class| class as f64))?;
        let wanted = class.eq(numbers.reshape([1, 1, count])?)?;
        let of_classes = focal(logits, wanted)?.mul(counts)?.sum_all()?;
        let found = has_box.sum_all()?.maximum(builder.constant(1.0))?;
        let share = centre.mul(has_box)?;
        let certain = share.sum_all()?.maximum(builder.constant(1e-6))?;
        // Places without a box have no sides: any others give a finite loss, which is not counted.
        let sides = has_box.select(sides, builder.constant(1.0))?;
        let of_boxes = giou(distances, sides)?.mul(share)?.sum_all()?;
        let of_boxes = of_boxes.mul(found.div(certain)?)?;
        let of_centres = centres.bce_with_logits(centre)?.mul(has_box)?.sum_all()?;
        Ok(Objective {
            sum: of_classes.add(of_boxes)?.add(of_centres)?,
            weight: Some(found),
            losses: None,
        })
    }

    /// Makes the scores and the distances of each level outputs.
    fn output<'g>(&self, step: &StepGraph<'g, '_>, places: &[Places<'g>]) -> Result<()> {
        let image = image_of(step.models().first()?).unwrap_or_default();
        let (levels, classes) = levels(step.models().first()?, [image[0], image[1]])?;
        for (at, (level, own)) in levels.iter().zip(places).enumerate() {
            let [rows, columns] = level.size;
            let batch = step.batch.size();
            let scores = own.classes.sigmoid()?.mul(own.centres.sigmoid()?)?.sqrt()?;
            step.output(SCORES[at], scores.reshape([batch, rows, columns, classes])?);
            step.output(
                DISTANCES[at],
                own.distances.reshape([batch, rows, columns, 4])?,
            );
        }
        Ok(())
    }

    /// The boxes to predict in an image of `height` and `width`.
    fn found(&self, outputs: &Outputs<'_>, size: [usize; 2]) -> Result<Vec<FoundBox>> {
        found_boxes(outputs, size, self.threshold, self.nms_iou)
    }
}

impl Task for ObjectDetection {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let model = fit.models.first()?;
        check_input(model, fit)?;
        let wrong = |what: String| Err(Error::Config(what));
        let Some([height, width, _]) = image_of(model) else {
            return wrong(format!(
                "detection needs a model that takes an image and nothing else, but {} takes other inputs",
                model.name()
            ));
        };
        let (_, classes) = levels(model, [height, width])?;
        let known = fit.classes.len();
        if known > classes {
            return wrong(format!(
                "the boxes have {known} classes but model {} gives {classes} for each place; give its outputs of classes filters = \
                 \"classes\"",
                model.name()
            ));
        }
        fit.not_empty()?;
        let has_box = |samples: &Samples| {
            (0..samples.len()).any(|index| !true_boxes(samples, index).is_empty())
        };
        if fit.part == "training" && !has_box(fit.samples) {
            return Err(Error::Data(format!(
                "no image of {} has a box to train on",
                fit.data
            )));
        }
        if self.augment.mixes() || self.augment.rotate > 0.0 || self.augment.zoom > 1.0 {
            return wrong(
                "augment.rotate, augment.zoom, augment.mixup and augment.cutmix have no form for boxes; leave them out".to_string(),
            );
        }
        self.augment.check_pictures(fit)
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let picture = step.batch.field(field::IMAGE)?;
        let boxes = step.batch.field(field::BOXES)?;
        let (picture, boxes) = self
            .augment
            .apply_with_boxes(&mut step.forward, picture, boxes)?;
        let places = self.places(step, &[picture])?;
        self.objective(step, &places, boxes)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let x = inputs(step, field::IMAGE)?;
        let places = self.places(step, &x)?;
        self.output(step, &places)
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let x = inputs(step, field::IMAGE)?;
        let boxes = step.batch.field(field::BOXES)?;
        let places = self.places(step, &x)?;
        self.output(step, &places)?;
        step.output(PICTURE, step.batch.field(field::IMAGE)?);
        self.objective(step, &places, boxes)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn scorer(&self, _samples: &Samples) -> Option<Box<dyn Scorer>> {
        Some(Box::new(BoxScorer {
            nms_iou: self.nms_iou,
            precisions: None,
        }))
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        const BOXES: usize = 32;
        let model = models.first()?;
        match image_of(model) {
            Some(image) => Ok(layout
                .bytes(field::IMAGE, &image, normal)
                .numbers(field::BOXES, &[BOXES, 6])),
            None => Err(Error::Config(format!(
                "detection needs images, but model {} takes none",
                model.name()
            ))),
        }
    }

    fn writes_files(&self) -> bool {
        true
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let shape = sample.samples.picture_shape().unwrap_or_default();
        let size = [shape[0], shape[1]];
        let outputs: Vec<(&str, &[usize], &[f32])> = sample
            .outputs
            .iter()
            .map(|(name, shape, values)| (&**name, &shape[..], &values[..]))
            .collect();
        let mut found = self.found(&outputs, size)?;
        let file = sample
            .picture
            .map(Path::to_owned)
            .or_else(|| file_of(sample));
        let picture = match &file {
            Some(path) => {
                let picture = read_colours(path, sample.data.background).map_err(|why| {
                    Error::Data(format!(
                        "{} can't be read as an image: {why}",
                        path.display()
                    ))
                })?;
                let own = [picture.height(), picture.width()].map(|side| side as usize);
                let placement = sample.data.fit.placement(own, size);
                for each in &mut found {
                    let [x0, y0, x1, y1] = placement.outside(each.corners);
                    let within = |x: f64, most: usize| x.clamp(0.0, most as f64);
                    each.corners = [
                        within(x0, own[1]),
                        within(y0, own[0]),
                        within(x1, own[1]),
                        within(y1, own[0]),
                    ];
                }
                Some(picture)
            }
            None => figures::colours(&shape, sample.samples.picture(sample.index)?.as_deref()),
        };
        let name = |class: usize| {
            let name = sample.fitted.classes.get(class).cloned();
            name.unwrap_or_else(|| class.to_string())
        };
        let boxes: Vec<Value> = found
            .iter()
            .map(|each| {
                // Hundredths of a pixel.
                let corners = each.corners.map(|x| (100.0 * x).round() / 100.0);
                json!({"box": corners, "class": name(each.class), "score": each.score})
            })
            .collect();
        let text = found.iter().map(|each| {
            let [x0, y0, x1, y1] = each.corners.map(f64::round);
            format!(
                "{} {:.2} [{x0}, {y0}, {x1}, {y1}]",
                name(each.class),
                each.score
            )
        });
        let text = match found.len() {
            0 => vec!["nothing found".to_string()],
            _ => text.collect(),
        };
        let mut files = Vec::new();
        if let Some(mut picture) = picture {
            let drawn = found.iter().rev().map(|each| DrawnBox {
                corners: each.corners,
                class: each.class,
                text: format!("{} {:.2}", name(each.class), each.score),
            });
            draw::draw(&mut picture, &drawn.collect::<Vec<_>>());
            files.push(PredictionFile {
                key: "picture",
                suffix: "-boxes.png",
                bytes: figures::encoded(&picture.into())?,
            });
        }
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text,
                json: Map::from_iter([("boxes".to_string(), Value::Array(boxes))]),
            }],
            files,
        })
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let classes = of_classes(found.counters);
        let name = |class: usize| {
            let name = found.fitted.classes.get(class).cloned();
            name.unwrap_or_else(|| class.to_string())
        };
        let words = classes.iter().enumerate().map(|(class, own)| match own {
            Some([at_50, mean]) => {
                format!(
                    "{} {:.2}% ({:.2}%)",
                    name(class),
                    100.0 * at_50,
                    100.0 * mean
                )
            }
            None => format!("{} does not occur", name(class)),
        });
        let words: Vec<String> = words.collect();
        let json = |at: usize| -> Map<String, Value> {
            let each = classes.iter().enumerate();
            each.map(|(class, own)| (name(class), json!(own.map(|own| own[at]))))
                .collect()
        };
        if words.is_empty() {
            return Findings::default();
        }
        Findings {
            brief: Reported::default(),
            full: Reported {
                lines: vec![format!(
                    "average precision of each class at IoU 0.5 (0.5 to 0.95): {}",
                    words.join(", ")
                )],
                json: Map::from_iter([
                    ("ap_50_by_class".to_string(), Value::Object(json(0))),
                    ("ap_50_95_by_class".to_string(), Value::Object(json(1))),
                ]),
            },
        }
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        report::sections(self, found)
    }

    fn shown_samples(&self) -> usize {
        report::SHOWN
    }

    fn shown_outputs(&self) -> &'static [&'static str] {
        &SHOWN_OUTPUTS
    }
}

/// Outputs that only the report needs.
const SHOWN_OUTPUTS: [&str; 17] = [
    PICTURE,
    SCORES[0],
    SCORES[1],
    SCORES[2],
    SCORES[3],
    SCORES[4],
    SCORES[5],
    SCORES[6],
    SCORES[7],
    DISTANCES[0],
    DISTANCES[1],
    DISTANCES[2],
    DISTANCES[3],
    DISTANCES[4],
    DISTANCES[5],
    DISTANCES[6],
    DISTANCES[7],
];

/// The file of a sample of the run's own data, if its name is that of a file below the source.
fn file_of(sample: &Decoded<'_>) -> Option<PathBuf> {
    let name = sample.samples.name(sample.index).to_string();
    let path = Path::new(&sample.data.source).join(name);
    path.is_file().then_some(path)
}

/// The boxes of the sample `index`.
fn true_boxes(samples: &Samples, index: usize) -> Vec<TrueBox> {
    let Some((values, 6)) = samples.numbers(field::BOXES, index) else {
        return Vec::new();
    };
    let rows = values.chunks_exact(6).filter(|row| row[4] >= 0.0);
    rows.map(|row| TrueBox {
        corners: [0, 1, 2, 3].map(|at| f64::from(row[at])),
        class: row[4] as usize,
        is_crowd: row[5] > 0.5,
    })
    .collect()
}

/// Scores the boxes of samples.
struct BoxScorer {
    nms_iou: f64,
    precisions: Option<Precisions>,
}

impl Scorer for BoxScorer {
    fn needs(&self, name: &str) -> bool {
        SCORES.contains(&name) || DISTANCES.contains(&name)
    }

    fn add(&mut self, samples: &Samples, index: usize, outputs: &Outputs<'_>) -> Result<()> {
        let shape = samples.picture_shape().unwrap_or_default();
        let found = found_boxes(outputs, [shape[0], shape[1]], LOWEST, self.nms_iou)?;
        let scores = outputs.iter().find(|(name, ..)| SCORES.contains(name));
        let classes = scores.and_then(|(_, shape, _)| shape.last().copied());
        let all = self
            .precisions
            .get_or_insert_with(|| Precisions::new(classes.unwrap_or(0)));
        all.add(&true_boxes(samples, index), &found);
        Ok(())
    }

    fn counters(&mut self) -> Result<Vec<(&'static str, Tensor<f32>)>> {
        let averages = self
            .precisions
            .take()
            .map(|all| all.averages())
            .unwrap_or_default();
        let pair = |own: &[f64; THRESHOLDS]| [own[0], own.iter().sum::<f64>() / THRESHOLDS as f64];
        let known: Vec<[f64; 2]> = averages.iter().flatten().map(pair).collect();
        let mean = |at: usize| known.iter().map(|own| own[at]).sum::<f64>() / known.len() as f64;
        let one = |value: f64| Tensor::real([], vec![value as f32]);
        let of_classes = averages.iter().flat_map(|own| match own {
            Some(own) => pair(own).map(|x| x as f32),
            None => [-1.0; 2],
        });
        let of_classes = Tensor::real([averages.len(), 2], of_classes.collect());
        Ok(match known.is_empty() {
            true => Vec::new(),
            false => vec![
                (MAP_50, one(mean(0))),
                (MAP_50_95, one(mean(1))),
                (OF_CLASSES, of_classes),
            ],
        })
    }
}

/// The average precisions of each class, at an IoU of 0.5 and from 0.5 to 0.95; `None` for those that do not occur.
fn of_classes(counters: &Counters) -> Vec<Option<[f64; 2]>> {
    let values = counters.tensor(OF_CLASSES).map(Tensor::reals);
    let pairs = values.unwrap_or_default().chunks_exact(2);
    pairs
        .map(|pair| (pair[0] >= 0.0).then(|| [f64::from(pair[0]), f64::from(pair[1])]))
        .collect()
}
