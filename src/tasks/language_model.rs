//! Language modelling: predicts the next token after each token of a text. The loss is the cross-entropy per token in nats.

use super::classification::takes_tokens;
use super::fit::{check_input, inputs};
use super::loss::Loss;
use super::metric::{Counters, Metric, Shown};
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, Models, Need, Objective, Prediction,
    Registered, StepGraph, Task, TaskCase, TaskSettings, case,
};
use crate::data::{Normalization, SetLayout, Targets, field};
use crate::error::{Error, Result};
use crate::graph::Var;

use crate::schema::empty_table;
/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "language_model",
    about: "the next token after each token of a text",
    needs: &[
        Need {
            field: field::TOKENS,
            about: "the tokens of a window of the text",
            input: true,
        },
        Need {
            field: field::NEXT,
            about: "the next token after each of them",
            input: false,
        },
    ],
    metrics,
    suits: |samples| samples.field(field::NEXT).is_some(),
    suits_model: |model| takes_tokens(model) && model.outputs()[0].shape.len() == 2,
    settings: empty_table,
    make: |settings| {
        settings.no_own("language_model")?;
        Ok(Box::new(LanguageModel::new(settings)))
    },
    sample,
};

fn sample() -> Result<TaskCase> {
    let mut case = TaskCase::new("language_model", case::tokens(5, Targets::NextToken))?;
    // The first token of a sample does not identify the sample.
    case.reaches = ("loss", 0.3);
    case.model(
        "",
        r#"
        name = "tiny"
        input = { tokens = 5, vocabulary = 8 }
        layer = [
            { type = "embedding", width = 16 },
            { type = "gru", units = 24 },
            { type = "dense", units = "vocabulary" },
        ]
        "#,
    )
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::share("accuracy", |c: &Counters| c.mean("score")).in_epoch_line(),
        Metric {
            shown: Shown::Decimals(3),
            ..Metric::error("perplexity", |c| Some(c.loss()?.exp())).in_epoch_line()
        },
    ]
}

/// See the module.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    loss: Loss,
    label_smoothing: f64,
    augment: AugmentSettings,
}

impl LanguageModel {
    /// From the settings of a run.
    pub fn new(settings: &TaskSettings) -> LanguageModel {
        LanguageModel {
            loss: settings.loss.clone(),
            label_smoothing: settings.label_smoothing,
            augment: settings.augment.clone(),
        }
    }

    /// Logits for every token of the batch, `[batch * tokens, vocabulary]`.
    fn logits<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<[Var<'g>; 2]> {
        let x = inputs(step, field::TOKENS)?;
        let count = x[0].shape().elements();
        let outputs = step.run_first(&x)?;
        let vocabulary = outputs.shape().elements() / count;
        Ok([outputs, outputs.reshape([count, vocabulary])?])
    }

    fn objective<'g>(
        &self,
        step: &StepGraph<'g, '_>,
        logits: Var<'g>,
        smoothing: f64,
    ) -> Result<Objective<'g>> {
        let _scope = step.builder().scope("loss");
        let next = step.batch.field(field::NEXT)?;
        let (batch, length) = (step.batch.size(), next.shape().last());
        let y = next.reshape([batch * length])?;
        let tokens = step.batch.valid_rows(length);
        let losses = logits.softmax_cross_entropy(y, tokens, smoothing)?;
        let right = logits.count_correct(y, tokens)?;
        step.count("score", right.scale(1.0 / length as f64)?)?;
        Objective::mean_of(losses.reshape([batch, length])?.mean(&[1])?)
    }
}

impl Task for LanguageModel {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let (model, shape) = fit.output()?;
        check_input(model, fit)?;
        self.loss.check_tokens()?;
        let name = model.name();
        let wrong = |what: String| Err(Error::Config(what));
        let known = fit.samples.vocabulary().unwrap_or(0);
        match (shape, model.inputs()[0].spec.tokens()) {
            (&[_, units], Some(_)) if units < known => wrong(format!(
                "the vocabulary has {known} tokens but model {name} ends in {units} units; give its last layer units = \
                 \"vocabulary\""
            )),
            (&[time, _], Some(input)) if time == input.tokens => fit.not_empty(),
            _ => wrong(format!(
                "the task needs one prediction per token but model {name} gives one for the whole sample; leave out what \
                 pools over time, and end with a dense layer of units = \"vocabulary\""
            )),
        }?;
        self.augment.needs_pictures(fit.samples.noun())
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let [_, logits] = self.logits(step)?;
        self.objective(step, logits, self.label_smoothing)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let [outputs, _] = self.logits(step)?;
        step.output("logits", outputs);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let [outputs, logits] = self.logits(step)?;
        step.output("logits", outputs);
        self.objective(step, logits, 0.0)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        _normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let length = models.first()?.inputs()[0].spec.sample()[0];
        let rows = layout.samples * length + 1;
        Ok(layout
            .tokens(field::TOKENS, rows, 0, length)
            .tokens(field::NEXT, rows, 1, length))
    }

    fn monitored(&self) -> Option<&'static str> {
        Some("perplexity")
    }

    fn writes_text(&self) -> bool {
        true
    }

    fn decode(&self, _sample: &Decoded<'_>) -> Result<Prediction> {
        Err(Error::Config(
            "this run was trained to write text, not to classify it; use `wgrad generate`"
                .to_string(),
        ))
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let mut findings = Findings::default();
        let perplexity = found.counters.loss().map(f64::exp);
        findings
            .full
            .lines
            .extend(perplexity.map(|perplexity| format!("perplexity {perplexity:.3}")));
        findings
            .full
            .json
            .insert("perplexity".to_string(), perplexity.into());
        findings
    }
}
