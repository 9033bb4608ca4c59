//! Checks that models and data fit together, before anything is allocated.

use super::models::Models;
use crate::data::{Normalization, Samples, field};
use crate::error::{Error, Result};
use crate::nn::{InputSpec, Model};
use crate::tensor::Shape;

/// A set of samples and the models for it.
#[derive(Clone, Copy)]
pub struct Fit<'a> {
    /// The models.
    pub models: &'a Models,
    /// The samples.
    pub samples: &'a Samples,
    /// The part of the data: `training`, `test`, or `prediction` if only inputs are known.
    pub part: &'a str,
    /// Names of the classes of the data.
    pub classes: &'a [String],
    /// Name of the data in messages.
    pub data: &'a str,
    /// Mean and standard deviation of the pixels.
    pub normal: Normalization<'a>,
}

impl Fit<'_> {
    /// Whether only the inputs of a prediction are known.
    pub fn inputs_alone(&self) -> bool {
        self.part == "prediction"
    }

    /// Refuses a set without samples.
    ///
    /// # Errors
    /// If it is empty.
    pub fn not_empty(&self) -> Result<()> {
        match self.samples.is_empty() {
            false => Ok(()),
            true => Err(Error::Data(format!(
                "the {} set has no {}",
                self.part,
                self.samples.noun()
            ))),
        }
    }

    /// Checks that pixels are normalised by this mean and deviation, so that they lie in the `range` that `task` needs.
    ///
    /// # Errors
    /// Says which settings do that.
    pub fn normalised_by(&self, task: &str, range: &str, mean: f32, std: f32) -> Result<()> {
        let Normalization {
            mean: means,
            std: deviations,
        } = self.normal;
        if means.iter().all(|&x| x == mean) && deviations.iter().all(|&x| x == std) {
            return Ok(());
        }
        let each = |x: f32| vec![format!("{x:?}"); means.len()].join(", ");
        Err(Error::Config(format!(
            "the task {task} needs pixels {range}; set data.mean = [{}] and data.std = [{}]",
            each(mean),
            each(std)
        )))
    }

    /// The only model, and the extents of its first output for one sample.
    ///
    /// # Errors
    /// If there is no model.
    pub fn output(&self) -> Result<(&dyn Model, &[usize])> {
        let model = self.models.first()?;
        let output = model.outputs().first();
        let shape = output.map(|output| &output.shape[..]).unwrap_or_default();
        Ok((model, shape))
    }

    /// Whether the only model takes the field `name`, by an input of that name or a single unnamed input.
    ///
    /// # Errors
    /// If there is no model.
    pub fn takes(&self, name: &str) -> Result<bool> {
        let inputs = self.models.first()?.inputs();
        let first = self.samples.fields().first().map(|field| field.name);
        Ok(match inputs {
            [only] if self.samples.field(&only.name).is_none() => first == Some(name),
            inputs => inputs.iter().any(|input| input.name == name),
        })
    }

    /// Checks that the only model gives one row of numbers for each sample, and returns its length.
    ///
    /// # Errors
    /// Says which shape it gives.
    pub fn units(&self) -> Result<usize> {
        match self.output()? {
            (_, &[units]) => Ok(units),
            (model, &[time, _]) if matches!(&model.inputs()[0].spec, InputSpec::Tokens(input) if input.tokens == time) => {
                Err(Error::Config(format!(
                    "the task needs one prediction per sample but model {} gives one per token; pool over time before its last \
                     layer",
                    model.name()
                )))
            }
            (model, shape) => Err(Error::Config(format!(
                "model {}: the last layer gives {} per sample; end with a dense layer with one unit per class or number",
                model.name(),
                Shape::from(shape)
            ))),
        }
    }
}

/// Checks that `model` takes these samples.
///
/// # Errors
/// Names the shapes of input and samples.
pub fn check_input(model: &dyn Model, fit: &Fit<'_>) -> Result<()> {
    let (set, part) = (fit.samples, fit.part);
    for input in model.inputs() {
        // An input takes the field of its name; a single unnamed input takes the first field.
        let field = match (set.field(&input.name), model.inputs().len()) {
            (None, 1) => set.fields().first(),
            (named, _) => named,
        };
        let Some(field) = field else {
            if fit.inputs_alone() && input.name == field::TARGET_TOKENS {
                // What was translated so far takes its place.
                continue;
            }
            let fields: Vec<&str> = set.fields().iter().map(|field| field.name).collect();
            return Err(Error::Config(format!(
                "model {} takes the input {}, but the data have no such field: they have {}",
                model.name(),
                input.name,
                fields.join(", ")
            )));
        };
        let (sample, noun, name) = (field.shape(), set.noun(), model.name());
        let takes = input.spec.sample();
        let vocabulary = set.vocabulary().filter(|_| field::holds_tokens(field.name));
        let wrong = |text: String| Err(Error::Config(text));
        match (input.spec.tokens(), vocabulary) {
            (None, None) if takes != sample => wrong(format!(
                "model {name} takes {takes:?} but the {part} {noun} are {sample:?}; change its input, or set it to \"auto\""
            )),
            (Some(_), None) => wrong(format!(
                "model {name} takes tokens but the {part} {noun} are {sample:?}; give it a text or a table of texts"
            )),
            (None, Some(_)) => wrong(format!(
                "model {name} takes {takes:?} but the {part} {noun} are tokens; set its input to \"auto\" and begin with an embedding \
                 layer, or use a built-in model for texts"
            )),
            (Some(tokens), Some(_)) if takes != sample => wrong(format!(
                "model {name} takes {} tokens but the {part} {noun} have {}; set data.context = {}",
                tokens.tokens, sample[0], tokens.tokens
            )),
            (Some(tokens), Some(vocabulary)) if vocabulary > tokens.vocabulary => wrong(format!(
                "the {part} {noun} have a vocabulary of {vocabulary} tokens but model {name} has one of {}; give its input vocabulary = \
                 {vocabulary}, or auto = true",
                tokens.vocabulary
            )),
            _ => Ok(()),
        }?;
    }
    Ok(())
}

/// The inputs of the only model, in its order: the fields of the same names, or the field `first` for a single unnamed input.
///
/// # Errors
/// If a field is missing.
pub(super) fn inputs<'g>(
    step: &super::StepGraph<'g, '_>,
    first: &str,
) -> Result<Vec<crate::graph::Var<'g>>> {
    let inputs = step.models().first()?.inputs();
    match inputs {
        [only] if !step.batch.has(&only.name) => Ok(vec![step.batch.field(first)?]),
        several => several
            .iter()
            .map(|input| step.batch.field(&input.name))
            .collect(),
    }
}
