//! Text classification: one class for each text. Loss, score and decoding are those of classification.

use super::classification::{Classification, judged_as_classification, takes_tokens};
use super::{Fit, Need, Objective, Registered, StepGraph, Task, TaskCase, case};
use crate::cpu::Tensor;
use crate::data::{Targets, field};
use crate::error::{Error, Result};
use crate::plan::Scalar;
use crate::schema::empty_table;

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "text_classification",
    about: "one class for each text",
    needs: &[
        Need {
            field: field::TOKENS,
            about: "the tokens of the text",
            input: true,
        },
        Need {
            field: field::LABEL,
            about: "the class of each text",
            input: false,
        },
    ],
    metrics: super::classification::metrics,
    suits: |samples| {
        samples.field(field::TOKENS).is_some() && samples.field(field::LABEL).is_some()
    },
    suits_model: |model| takes_tokens(model) && model.outputs()[0].shape.len() == 1,
    settings: empty_table,
    make: |settings| {
        settings.no_own("text_classification")?;
        Ok(Box::new(TextClassification(Classification::new(settings))))
    },
    sample,
};

fn sample() -> Result<TaskCase> {
    let labels = (0..12).map(|index| index % 3).collect();
    TaskCase::new(
        "text_classification",
        case::tokens(6, Targets::Classes(labels)),
    )?
    .classes(&["a", "b", "c"])
    .model(
        "",
        r#"
            name = "tiny"
            input = { tokens = 6, vocabulary = 8 }
            layer = [
                { type = "embedding", width = 8 },
                { type = "lstm", units = 16 },
                { type = "time_pool", by = "last" },
                { type = "dense", units = 3 },
            ]
            "#,
    )
}

/// See the module.
#[derive(Clone, Debug)]
pub struct TextClassification(pub Classification);

impl Task for TextClassification {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let model = fit.models.first()?;
        if !takes_tokens(model) {
            return Err(Error::Config(format!(
                "model {} takes {:?} but the {} {} are tokens; set its input to \"auto\" and begin with an \
                 embedding layer, or take a built-in model for texts",
                model.name(),
                model
                    .inputs()
                    .first()
                    .map(|input| input.spec.sample())
                    .unwrap_or_default(),
                fit.part,
                fit.samples.noun()
            )));
        }
        self.0.check(fit)
    }

    fn remarks(&self, fit: &Fit<'_>) -> Vec<String> {
        self.0.remarks(fit)
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, phase: usize) -> Result<Objective<'g>> {
        self.0.loss(step, phase)
    }

    judged_as_classification!(0);

    fn variables(&self) -> Result<Vec<(String, Tensor<f32>)>> {
        self.0.variables()
    }

    fn scalar(&self, name: &str, step: u64, seed: u64) -> Option<Scalar> {
        self.0.scalar(name, step, seed)
    }
}
