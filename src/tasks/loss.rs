//! Losses: the `[loss]` table, and the losses of a batch as nodes.

use super::step::Objective;
use crate::data::Samples;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::ops::squared_error::SquaredError;
use crate::tensor::TensorType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The loss of a run, selected by `name`; the other settings have PyTorch's defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Loss {
    /// Determined by the data: cross-entropy for classes and tokens, mean squared error for numbers.
    #[default]
    #[serde(skip)]
    Auto,
    /// For classes. PyTorch `CrossEntropyLoss`.
    CrossEntropy(CrossEntropy),
    /// For two classes, with one logit, that of the second. PyTorch `BCEWithLogitsLoss`.
    Bce(Bce),
    /// For numbers: the mean squared error. PyTorch `MSELoss`.
    Mse(Mse),
    /// For numbers: the mean absolute error. PyTorch `L1Loss`.
    L1(L1),
    /// For numbers: squared below `delta`, absolute above. PyTorch `HuberLoss`.
    Huber(HuberLoss),
}

/// See [`Loss::CrossEntropy`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrossEntropy {
    /// Weight of the samples of each class; the loss is the weighted mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
}

/// See [`Loss::Bce`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bce {
    /// Factor for the loss of samples of the second class.
    pub pos_weight: f64,
}

/// See [`Loss::Mse`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mse {}

/// See [`Loss::L1`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct L1 {}

/// See [`Loss::Huber`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HuberLoss {
    /// Threshold between squared and absolute; above 0.
    pub delta: f64,
}

impl Default for Bce {
    fn default() -> Self {
        Bce { pos_weight: 1.0 }
    }
}

impl Default for HuberLoss {
    fn default() -> Self {
        HuberLoss { delta: 1.0 }
    }
}

/// Weights of the classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "class_weights is a list of numbers, one for each class, or \"balanced\""
)]
pub enum ClassWeights {
    /// One number per class.
    Numbers(Vec<f64>),
    /// By name.
    Named(NamedWeights),
}

/// Class weights that are set by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedWeights {
    /// `samples / (classes that occur * samples of the class)` in the training part, as in scikit-learn, computed at the start.
    Balanced,
}

/// Upper limit for the weight of a class.
const HEAVIEST: f64 = 1e9;

/// The variable with the class weights.
pub(super) const CLASS_WEIGHTS: &str = "loss.class_weights";

impl ClassWeights {
    /// Checks numbers; `setting` is their name in messages.
    ///
    /// # Errors
    /// Names the invalid number.
    pub(super) fn check(&self, setting: &str) -> Result<()> {
        let ClassWeights::Numbers(weights) = self else {
            return Ok(());
        };
        let fine = |w: &f64| (0.0..=HEAVIEST).contains(w);
        if let Some(w) = weights.iter().find(|w| !fine(w)) {
            return Err(Error::Config(format!(
                "{setting} must be numbers from 0 to {HEAVIEST:e}, not {w}"
            )));
        }
        match weights.iter().all(|&w| w == 0.0) {
            true => Err(Error::Config(format!("{setting} must not all be 0"))),
            false => Ok(()),
        }
    }

    /// The variable with the weights that the nodes read, and its values.
    ///
    /// # Errors
    /// If they have not been computed yet.
    pub(super) fn variable(&self) -> Result<(&'static str, Vec<f32>)> {
        match self {
            ClassWeights::Numbers(weights) => {
                let weights = weights.iter().map(|&w| w as f32).collect();
                Ok((CLASS_WEIGHTS, weights))
            }
            ClassWeights::Named(NamedWeights::Balanced) => Err(Error::Config(
                "class_weights = \"balanced\" is only computed when a run starts; give numbers here"
                    .to_string(),
            )),
        }
    }
}

/// Weights inverse to the `counts` of the classes: `all / (classes that occur * count of the class)`, as scikit-learn's
/// `compute_class_weight("balanced", ...)`. Classes that do not occur get weight 1.
fn balanced_weights(counts: &[usize]) -> Vec<f64> {
    let all: usize = counts.iter().sum();
    let there = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&count: &usize| match count {
        0 => 1.0,
        _ => all as f64 / (there as f64 * count as f64),
    };
    counts.iter().map(weight).collect()
}

/// Replaces `class_weights = "balanced"` among the own settings of a task by the balanced weights of the pixels of the training part,
/// which has `classes` classes. Nothing changes if its samples have no masks.
pub(crate) fn learn_pixel_weights(own: &mut toml::Table, train: &Samples, classes: usize) {
    let Some(weights) = own.get_mut("class_weights") else {
        return;
    };
    if let (Some("balanced"), Some(counts)) = (weights.as_str(), train.pixel_counts(classes)) {
        let numbers = balanced_weights(&counts).into_iter().map(toml::Value::from);
        *weights = toml::Value::Array(numbers.collect());
    }
}

/// Losses of the samples of a batch.
pub(super) struct Losses<'g> {
    /// `[batch]`, multiplied by the weights if there are any; 0 for padding samples.
    pub losses: Var<'g>,
    /// Weight of each sample in the mean, `[batch]`; equal if absent.
    pub weights: Option<Var<'g>>,
}

impl<'g> Losses<'g> {
    /// Their (weighted) mean over the valid samples.
    pub fn objective(&self) -> Result<Objective<'g>> {
        Objective::weighted_mean(self.losses, self.weights)
    }
}

impl Loss {
    /// Names that [`named`](Loss::named) knows.
    pub const NAMES: &[&str] = &["auto", "bce", "cross_entropy", "huber", "l1", "mse"];

    /// The loss called `name`, with PyTorch's defaults.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "auto" => Loss::Auto,
            "cross_entropy" => Loss::CrossEntropy(CrossEntropy::default()),
            "bce" => Loss::Bce(Bce::default()),
            "mse" => Loss::Mse(Mse {}),
            "l1" => Loss::L1(L1 {}),
            "huber" => Loss::Huber(HuberLoss::default()),
            _ => {
                return Err(Error::Config(format!(
                    "there is no loss \"{name}\"; there are cross_entropy and bce for classes, mse, l1 and huber for numbers, and \
                     auto"
                )));
            }
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Loss::Auto => "auto",
            Loss::CrossEntropy(_) => "cross_entropy",
            Loss::Bce(_) => "bce",
            Loss::Mse(_) => "mse",
            Loss::L1(_) => "l1",
            Loss::Huber(_) => "huber",
        }
    }

    /// Whether the data determine the loss.
    pub fn is_auto(&self) -> bool {
        *self == Loss::Auto
    }

    /// Checks the settings that don't depend on data.
    ///
    /// # Errors
    /// Names the invalid setting.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        match self {
            Loss::CrossEntropy(CrossEntropy {
                class_weights: Some(weights),
            }) => weights.check("loss.class_weights"),
            Loss::Bce(Bce { pos_weight: w }) if !(*w > 0.0 && *w <= HEAVIEST) => wrong(format!(
                "loss.pos_weight must be above 0 and at most {HEAVIEST:e}, not {w}"
            )),
            Loss::Huber(HuberLoss { delta }) if !(*delta > 0.0 && delta.is_finite()) => {
                wrong(format!("loss.delta must be above 0, not {delta}"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the loss is for classes and fits a model called `model` with this many outputs.
    ///
    /// # Errors
    /// Says what does not fit, and how to fix it.
    pub(super) fn check_classes(
        &self,
        model: &str,
        outputs: usize,
        label_smoothing: f64,
    ) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        let name = self.name();
        match self {
            Loss::Mse(_) | Loss::L1(_) | Loss::Huber(_) => wrong(format!(
                "loss \"{name}\" is for numbers, but the data has classes to predict; use \"cross_entropy\""
            )),
            Loss::Bce(_) if outputs != 1 => wrong(format!(
                "loss \"bce\" takes one logit, but model {model} ends in {outputs} units; give its last layer 1 unit, or use \
                 \"cross_entropy\""
            )),
            Loss::Bce(_) if label_smoothing > 0.0 => wrong(
                "label_smoothing is for loss \"cross_entropy\"; set it to 0 with \"bce\""
                    .to_string(),
            ),
            Loss::CrossEntropy(CrossEntropy {
                class_weights: Some(ClassWeights::Numbers(weights)),
            }) if weights.len() != outputs => wrong(format!(
                "loss.class_weights has {} numbers, but model {model} ends in {outputs} units; give one for each class",
                weights.len()
            )),
            _ => Ok(()),
        }
    }

    /// Checks that the loss is one for numbers.
    ///
    /// # Errors
    /// Says what does not fit, and how to fix it.
    pub(super) fn check_numbers(&self, label_smoothing: f64) -> Result<()> {
        let wrong = |what: String| Err(Error::Config(what));
        match self {
            Loss::CrossEntropy(_) | Loss::Bce(_) => wrong(format!(
                "loss \"{}\" is for classes, but the data has numbers to predict; use \"mse\", \"l1\" or \"huber\"",
                self.name()
            )),
            _ if label_smoothing > 0.0 => wrong(
                "label_smoothing is for classes, but the data has numbers to predict; set it to 0"
                    .to_string(),
            ),
            _ => Ok(()),
        }
    }

    /// Checks that the loss is a cross-entropy of tokens.
    ///
    /// # Errors
    /// Says what does not fit, and how to fix it.
    pub(super) fn check_tokens(&self) -> Result<()> {
        match self {
            Loss::Auto
            | Loss::CrossEntropy(CrossEntropy {
                class_weights: None,
            }) => Ok(()),
            Loss::Mse(_) | Loss::L1(_) | Loss::Huber(_) => Err(Error::Config(format!(
                "loss \"{}\" is for numbers, but the data has classes to predict; use \"cross_entropy\"",
                self.name()
            ))),
            _ => Err(Error::Config(
                "tokens are predicted by a cross-entropy without class weights; set loss = \"cross_entropy\""
                    .to_string(),
            )),
        }
    }

    /// Number of classes that a model with this many outputs predicts.
    pub fn classes(&self, outputs: usize) -> usize {
        match self {
            Loss::Bce(_) => 2,
            _ => outputs,
        }
    }

    /// Computes balanced class weights from the labels of the training part with `classes` classes. Classes without a sample get
    /// weight 1.
    pub(crate) fn learn(&mut self, train: &Samples, classes: usize) {
        let (Loss::CrossEntropy(CrossEntropy { class_weights }), Some(labels)) =
            (self, train.labels())
        else {
            return;
        };
        if *class_weights != Some(ClassWeights::Named(NamedWeights::Balanced)) {
            return;
        }
        let mut counts = vec![0_usize; classes];
        for &label in labels {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        let weights = balanced_weights(&counts);
        *class_weights = Some(ClassWeights::Numbers(weights));
    }

    /// Whether samples have different weights in the mean.
    pub(super) fn is_weighted(&self) -> bool {
        matches!(
            self,
            Loss::CrossEntropy(CrossEntropy {
                class_weights: Some(_)
            })
        )
    }

    /// The variable with the class weights that the nodes read, and its values.
    ///
    /// # Errors
    /// If class weights have not been computed yet.
    pub(super) fn variable(&self) -> Result<Option<(&'static str, Vec<f32>)>> {
        match self {
            Loss::CrossEntropy(CrossEntropy {
                class_weights: Some(weights),
            }) => weights.variable().map(Some),
            _ => Ok(None),
        }
    }

    /// The scores of all classes, `[batch, classes]`, from the outputs of the network. For a single logit z they are 0 and z, whose
    /// softmax is sigmoid(z).
    pub(super) fn logits<'g>(&self, outputs: Var<'g>) -> Result<Var<'g>> {
        match self {
            Loss::Bce(_) => {
                let zeros = outputs.builder().constant(0.0);
                Var::concat(&[zeros.broadcast_to(&outputs.shape())?, outputs], 1)
            }
            _ => Ok(outputs),
        }
    }

    /// Losses of `outputs`, `[batch, outputs]`, of which the first `valid` count, against the classes `y`, `u32 [batch]`.
    pub(super) fn of_classes<'g>(
        &self,
        builder: &'g Builder,
        outputs: Var<'g>,
        y: Var<'g>,
        valid: Var<'g>,
        smoothing: f64,
    ) -> Result<Losses<'g>> {
        let (rows, count) = (outputs.shape().dims()[0], outputs.shape().last());
        if let Loss::Bce(Bce { pos_weight }) = *self {
            // 1 for the second class.
            let target = y.counted(valid, 0)?;
            let mut losses = outputs.reshape([rows])?.bce_with_logits(target)?;
            if pos_weight != 1.0 {
                let factor = target.scale(pos_weight - 1.0)?.add(builder.constant(1.0))?;
                losses = losses.mul(factor)?;
            }
            return Ok(Losses {
                losses: losses.mask_rows(valid)?,
                weights: None,
            });
        }
        if !self.is_weighted() {
            return Ok(Losses {
                losses: outputs.softmax_cross_entropy(y, valid, smoothing)?,
                weights: None,
            });
        }
        let weights = builder.variable(CLASS_WEIGHTS, TensorType::f32([count]))?;
        let [losses, own] = outputs.weighted_cross_entropy(y, valid, weights, smoothing)?;
        Ok(Losses {
            losses,
            weights: Some(own),
        })
    }

    /// Losses of the numbers `outputs`, of which the first `valid` rows count, against `y` of the same shape.
    pub(super) fn of_numbers<'g>(
        &self,
        outputs: Var<'g>,
        y: Var<'g>,
        valid: Var<'g>,
    ) -> Result<Losses<'g>> {
        let each = match self {
            Loss::L1(_) => outputs.sub(y)?.abs()?,
            Loss::Huber(HuberLoss { delta }) => outputs.huber(y, *delta)?,
            _ => outputs.builder().op(SquaredError, &[outputs, y])?,
        };
        Ok(Losses {
            losses: each.mean(&[1])?.mask_rows(valid)?,
            weights: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, interpret};
    use crate::data::{Field, FieldValues, ImageSet, field};
    use std::collections::HashMap;
    use std::sync::Arc;

    fn balanced(labels: Vec<u32>, classes: usize) -> Loss {
        let set = ImageSet {
            images: vec![0; labels.len()],
            labels,
            height: 1,
            width: 1,
            channels: 1,
        };
        let mut loss: Loss =
            toml::from_str("name = \"cross_entropy\"\nclass_weights = \"balanced\"").unwrap();
        loss.learn(&set.into(), classes);
        loss
    }

    /// As scikit-learn's `compute_class_weight("balanced", ...)`.
    #[test]
    fn balanced_weights_are_inverse_to_how_often_a_class_is_seen() {
        let weights = |loss: Loss| loss.variable().unwrap().unwrap().1;
        assert_eq!(weights(balanced(vec![0, 1, 1, 1], 2)), [2.0, 2.0 / 3.0]);
        assert_eq!(
            weights(balanced(vec![0, 2, 2, 2], 3)),
            [2.0, 1.0, 2.0 / 3.0]
        );
    }

    #[test]
    fn balanced_weights_of_pixels_replace_the_name_and_leave_out_pixels_without_a_class() {
        let mask = Field {
            name: field::MASK,
            values: FieldValues::ByteClasses {
                bytes: vec![0, 1, 1, 1, 255, 1, 1, 1],
                shape: [2, 2],
            },
        };
        let masks = Samples::new(2, vec![mask], None);
        let learned = |own: &str, train: &Samples| {
            let mut own: toml::Table = toml::from_str(own).unwrap();
            learn_pixel_weights(&mut own, train, 3);
            own.to_string()
        };
        let own = "class_weights = \"balanced\"\n";
        // Seven pixels have one of two classes; the third does not occur.
        assert_eq!(
            learned(own, &masks),
            format!("class_weights = [{:?}, {:?}, 1.0]\n", 7.0 / 2.0, 7.0 / 12.0)
        );
        assert_eq!(learned(own, &Samples::new(0, Vec::new(), None)), own);
        let numbers = "class_weights = [1.0, 2.0]\n";
        assert_eq!(learned(numbers, &masks), numbers);
    }

    #[test]
    fn weights_that_can_not_be_are_named() {
        for (weights, message) in [
            ("[1.0, -1.0]", "not -1"),
            ("[nan, 1.0]", "not NaN"),
            ("[inf]", "not inf"),
            ("[0.0, 0.0]", "all be 0"),
            ("[]", "all be 0"),
        ] {
            let text = format!("name = \"cross_entropy\"\nclass_weights = {weights}");
            let error = toml::from_str::<Loss>(&text).unwrap().check().unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
        for text in [
            "name = \"huber\"\ndelta = 0.0",
            "name = \"huber\"\ndelta = nan",
            "name = \"bce\"\npos_weight = -1.0",
            "name = \"bce\"\npos_weight = 0.0",
        ] {
            assert!(toml::from_str::<Loss>(text).unwrap().check().is_err());
        }
        let error = toml::from_str::<Loss>("name = \"mse\"\ndelta = 1.0").unwrap_err();
        assert!(error.to_string().contains("delta"), "{error}");
    }

    #[test]
    fn a_loss_of_the_other_kind_of_data_is_refused_with_one_that_fits() {
        let named = |loss: &str| Loss::named(loss).unwrap();
        let message = |checked: Result<()>| checked.unwrap_err().to_string();
        assert!(
            message(named("huber").check_classes("m", 2, 0.0)).contains("use \"cross_entropy\"")
        );
        assert!(message(named("bce").check_numbers(0.0)).contains("use \"mse\""));
        assert!(message(named("bce").check_classes("m", 2, 0.0)).contains("1 unit"));
        assert!(message(named("bce").check_tokens()).contains("cross_entropy"));
    }

    /// Values of PyTorch 2: `BCEWithLogitsLoss(pos_weight=torch.tensor(2.5))` of three of four rows, and its gradient.
    #[test]
    fn binary_cross_entropy_agrees_with_pytorch_and_has_two_classes() {
        let loss = Loss::Bce(Bce { pos_weight: 2.5 });
        let builder = Builder::new();
        let z = builder.variable("z", TensorType::f32([4, 1])).unwrap();
        let y = builder.variable("y", TensorType::u32([4])).unwrap();
        let valid = builder.variable("valid", TensorType::u32([])).unwrap();
        let third = builder.constant(1.0 / 3.0);
        let losses = loss.of_classes(&builder, z, y, valid, 0.0).unwrap();
        let mean = losses.objective().unwrap().mean(third).unwrap();
        builder.output("mean", mean);
        let gradient = crate::autodiff::gradients(mean, &[z]).unwrap()[0];
        builder.output("gradient", gradient);
        builder.output("logits", loss.logits(z).unwrap());
        let graph = builder.finish().unwrap();
        let values = [
            ("z", Tensor::real([4, 1], vec![0.5, -1.25, 3.0, 7.0])),
            ("y", Tensor::index([4], vec![1, 0, 1, 1])),
            ("valid", Tensor::index([], vec![3])),
        ];
        let mut variables = values
            .map(|(name, value)| (name.to_string(), Arc::new(value)))
            .into();
        let outputs = interpret(&graph, &mut variables, &HashMap::new()).unwrap();
        let close = |got: &[f64], want: &[f64]| {
            got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6)
        };
        assert!(
            close(outputs[0].reals(), &[0.519529973577]),
            "{:?}",
            outputs[0]
        );
        assert!(
            close(
                outputs[1].reals(),
                &[-0.314617223998, 0.074233379608, -0.039521560981, 0.0]
            ),
            "{:?}",
            outputs[1]
        );
        assert_eq!(
            outputs[2].reals(),
            [0.0, 0.5, 0.0, -1.25, 0.0, 3.0, 0.0, 7.0]
        );
    }
}
