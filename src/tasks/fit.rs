//! Whether models and data fit together: asked before anything is allocated.

use super::models::Models;
use crate::data::{Normalization, Samples, field};
use crate::error::{Error, Result};
use crate::nn::{InputSpec, Model};
use crate::tensor::Shape;

/// A set of samples beside the models that it is for.
#[derive(Clone, Copy)]
pub struct Fit<'a> {
    /// The models.
    pub models: &'a Models,
    /// The samples.
    pub samples: &'a Samples,
    /// Which part of the data they are: `training`, `test`; `prediction` where only inputs are known.
    pub part: &'a str,
    /// Names of the classes of the data.
    pub classes: &'a [String],
    /// What the data are called in messages.
    pub data: &'a str,
    /// Mean and standard deviation of their pixels.
    pub normal: Normalization<'a>,
}

impl Fit<'_> {
    /// Whether only the inputs of a prediction are known.
    pub fn inputs_alone(&self) -> bool {
        self.part == "prediction"
    }

    /// The error of a set without samples.
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

    /// The only model and the extents of its first output for one sample.
    ///
    /// # Errors
    /// If there is no model.
    pub fn output(&self) -> Result<(&dyn Model, &[usize])> {
        let model = self.models.first()?;
        let output = model.outputs().first();
        let shape = output.map(|output| &output.shape[..]).unwrap_or_default();
        Ok((model, shape))
    }

    /// Whether the only model takes the field `name`: an input has its name, or an only input without a name of its own takes it.
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

    /// Checks that the only model gives one row of numbers for each sample: how many.
    ///
    /// # Errors
    /// Says what it gives.
    pub fn units(&self) -> Result<usize> {
        match self.output()? {
            (_, &[units]) => Ok(units),
            (model, &[time, _]) if matches!(&model.inputs()[0].spec, InputSpec::Tokens(input) if input.tokens == time) => {
                Err(Error::Config(format!(
                    "one answer for each sample is to be predicted but model {} gives one for every token; pool over time before \
                     its last layer",
                    model.name()
                )))
            }
            (model, shape) => Err(Error::Config(format!(
                "model {}: the last layer gives {} for each sample; end with a dense layer of one unit for each class or number",
                model.name(),
                Shape::from(shape)
            ))),
        }
    }
}

/// Whether `model` takes samples such as these.
///
/// # Errors
/// Says what it takes and what the samples are.
pub fn check_input(model: &dyn Model, fit: &Fit<'_>) -> Result<()> {
    let (set, part) = (fit.samples, fit.part);
    for input in model.inputs() {
        // The field of its name; an only input that has no name of its own takes the first.
        let field = match (set.field(&input.name), model.inputs().len()) {
            (None, 1) => set.fields().first(),
            (named, _) => named,
        };
        let Some(field) = field else {
            let fields: Vec<&str> = set.fields().iter().map(|field| field.name).collect();
            return Err(Error::Config(format!(
                "model {} takes the input {}, which the data do not have as a field: they have {}",
                model.name(),
                input.name,
                fields.join(", ")
            )));
        };
        let (sample, noun, name) = (field.shape(), set.noun(), model.name());
        let takes = input.spec.sample();
        let vocabulary = set.vocabulary().filter(|_| field.name == field::TOKENS);
        let wrong = |text: String| Err(Error::Config(text));
        match (input.spec.tokens(), vocabulary) {
            (None, None) if takes != sample => wrong(format!(
                "model {name} takes {takes:?} but the {part} {noun} are {sample:?}; change its input, or make it \"auto\""
            )),
            (Some(_), None) => wrong(format!(
                "model {name} takes tokens but the {part} {noun} are {sample:?}; give it a text or a table of texts"
            )),
            (None, Some(_)) => wrong(format!(
                "model {name} takes {takes:?} but the {part} {noun} are texts, which are tokens; give it the input \"auto\" and \
                 begin with an embedding layer, or take a built-in model for texts"
            )),
            (Some(tokens), Some(_)) if takes != sample => wrong(format!(
                "model {name} takes {} tokens but the {part} {noun} have {}; make data.context {}",
                tokens.tokens, sample[0], tokens.tokens
            )),
            (Some(tokens), Some(vocabulary)) if vocabulary > tokens.vocabulary => wrong(format!(
                "the {part} {noun} are made of {vocabulary} different tokens but model {name} knows {}; give its input vocabulary = \
                 {vocabulary}, or auto = true",
                tokens.vocabulary
            )),
            _ => Ok(()),
        }?;
    }
    Ok(())
}

/// The inputs of the only model, in its order: the fields of their names, or the field `first` for an only input without a name
/// of its own.
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
