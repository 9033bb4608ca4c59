//! Translation: the sentence in another language, token by token, by an encoder and a decoder (Vaswani et al. 2017). The loss is the
//! cross-entropy per token of the translation in nats, with label smoothing in training; the score of a run is BLEU.

use super::fit::{check_input, inputs};
use super::loss::Loss;
use super::metric::{Counters, Metric, Shown};
use super::scores::Bleu;
use super::{
    AugmentSettings, Decoded, Evaluated, Fit, Known, Models, Need, Objective, Prediction,
    PredictionLine, Registered, Section, SequenceDecoding, StepGraph, Task, TaskCase, TaskSettings,
    case,
};
use crate::data::{
    Field, FieldValues, Fitted, Normalization, PADDING, Samples, SetLayout, Starts, WindowRows,
    field,
};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::html::escape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::sync::Arc;

/// The output of the tokens that were written, ended by padding.
const TRANSLATION: &str = "translation";
/// Right tokens, tokens, and the counts of [`Bleu`], over all samples.
const RIGHT: &str = "right_tokens";
const TOKENS: &str = "tokens";
const BLEU: &str = "bleu";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "translation",
    about: "the translation of a sentence",
    needs: &[
        Need {
            field: field::TOKENS,
            about: "the tokens of a sentence",
            input: true,
        },
        Need {
            field: field::TARGET_TOKENS,
            about: "the tokens of its translation",
            input: false,
        },
        Need {
            field: field::NEXT,
            about: "the next token after each of those",
            input: false,
        },
    ],
    metrics,
    suits: |samples| samples.field(field::TARGET_TOKENS).is_some(),
    suits_model: |model| {
        let mut inputs = model.inputs().iter();
        inputs.any(|input| input.name == field::TARGET_TOKENS)
    },
    settings: Own::json_schema,
    make: |settings| Ok(Box::new(Translation::new(settings)?)),
    sample,
};

fn metrics() -> Vec<Metric> {
    let accuracy = |c: &Counters| match (c.sum(RIGHT), c.sum(TOKENS)) {
        (Some(right), Some(tokens)) if tokens > 0.0 => Some(right / tokens),
        _ => c.mean("score"),
    };
    vec![
        Metric::share("accuracy", accuracy).in_epoch_line(),
        Metric {
            shown: Shown::Decimals(3),
            ..Metric::error("perplexity", |c| Some(c.loss()?.exp())).in_epoch_line()
        },
        Metric {
            shown: Shown::Decimals(2),
            ..Metric::share(BLEU, |c| c.computed(BLEU))
        }
        .in_epoch_line(),
    ]
}

fn sample() -> Result<TaskCase> {
    let mut case = TaskCase::new("translation", pairs())?.model(
        "",
        r#"
        name = "tiny"
        weight_init = "pytorch"
        inputs = { tokens = { tokens = 5, vocabulary = 10, padded = true }, target_tokens = { tokens = 5, vocabulary = 10 } }
        layer = [
            { type = "embedding", name = "source", input = "tokens", width = 16 },
            { type = "positions", name = "placed" },
            { type = "self_attention", name = "memory", heads = 2 },
            { type = "dense", name = "keys_values", units = 32 },
            { type = "embedding", name = "target", input = "target_tokens", width = 16 },
            { type = "positions", name = "target_placed" },
            { type = "self_attention", name = "own", heads = 2, causal = true },
            { type = "add", name = "states", inputs = ["target_placed", "own"] },
            { type = "cross_attention", name = "read", inputs = ["states", "keys_values"], heads = 2 },
            { type = "add", name = "sum", inputs = ["states", "read"] },
            { type = "dense", units = "vocabulary" },
        ]
        "#,
    )?;
    case.task.own.insert("beam".to_string(), 1.into());
    case.lr = 0.01;
    case.epochs = 80;
    case.reaches = ("loss", 0.3);
    Ok(case)
}

/// A dozen sentences of up to four tokens, and translations of as many other ones.
fn pairs() -> Samples {
    const CONTEXT: usize = 5;
    let mut noise = case::noise(11);
    let mut draw = |most: u32| 1 + (noise.next().unwrap_or(0.0) * most as f32) as u32;
    let mut tokens: Vec<u32> = Vec::new();
    for index in 0..12 {
        let start = tokens.len();
        let length = 2 + index % 3;
        tokens.extend((0..length).map(|_| draw(7)));
        tokens.push(9);
        tokens.resize(start + CONTEXT, PADDING);
        tokens.push(8);
        tokens.extend((0..length).map(|_| draw(7)));
        tokens.push(9);
        tokens.resize(start + 2 * CONTEXT + 1, PADDING);
    }
    let span = 2 * CONTEXT + 1;
    let starts = Starts {
        first: (0..12).map(|index| index * span as u32).collect(),
        anywhere: false,
        span,
        rows: tokens.len(),
    };
    let rows = Arc::new(WindowRows::Tokens {
        tokens,
        vocabulary: 10,
    });
    let windows = [
        (field::TOKENS, 0),
        (field::TARGET_TOKENS, CONTEXT),
        (field::NEXT, CONTEXT + 1),
    ];
    let fields = windows.map(|(name, offset)| Field {
        name,
        values: FieldValues::Windows {
            rows: rows.clone(),
            offset,
            length: CONTEXT,
        },
    });
    Samples::new(12, fields.into(), Some(starts))
}

/// Settings of its own: the rest of `[task]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Own {
    /// Sequences that the beam search of `wgrad eval` and `wgrad predict` continues for each sentence; 1 for a greedy search, as
    /// after an epoch of training.
    beam: usize,
    /// Power of the length by which the logarithm of a translation's probability is divided where translations are compared.
    length_penalty: f64,
}

impl Default for Own {
    fn default() -> Self {
        Own {
            beam: 5,
            length_penalty: 1.0,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Translation {
    own: Own,
    loss: Loss,
    label_smoothing: f64,
    augment: AugmentSettings,
}

impl Translation {
    /// As the settings of a run say.
    ///
    /// # Errors
    /// If a setting of its own is unknown or out of its range.
    pub fn new(settings: &TaskSettings) -> Result<Translation> {
        let own: Own = settings.own()?;
        if !(1..=64).contains(&own.beam) {
            return Err(Error::Config(format!(
                "task.beam must be from 1 to 64, not {}",
                own.beam
            )));
        }
        if !(0.0..=10.0).contains(&own.length_penalty) {
            return Err(Error::Config(format!(
                "task.length_penalty must be from 0 to 10, not {}",
                own.length_penalty
            )));
        }
        Ok(Translation {
            own,
            loss: settings.loss.clone(),
            label_smoothing: settings.label_smoothing,
            augment: settings.augment.clone(),
        })
    }

    fn objective<'g>(
        &self,
        step: &mut StepGraph<'g, '_>,
        smoothing: f64,
    ) -> Result<(Objective<'g>, [Var<'g>; 2])> {
        let x = inputs(step, field::TOKENS)?;
        let logits = step.run_first(&x)?;
        let _scope = step.builder().scope("loss");
        let next = step.batch.field(field::NEXT)?;
        let (batch, length) = (step.batch.size(), next.shape().last());
        let rows = batch * length;
        let (labels, vocabulary) = (next.reshape([rows])?, logits.shape().last());
        let logits = logits.reshape([rows, vocabulary])?;
        let valid = step.batch.valid_rows(length);
        let losses = logits.softmax_cross_entropy(labels, valid, smoothing)?;
        let (builder, label) = (step.builder(), labels.to_float()?);
        let real = label
            .ne(builder.constant(f64::from(PADDING)))?
            .mask_rows(valid)?;
        let right = logits.argmax()?.to_float()?.eq(label)?.mul(real)?;
        let [right, real_of_each] = [right, real].map(|x| x.reshape([batch, length]));
        let right = right?.sum(&[1])?;
        let each = real_of_each?.sum(&[1])?;
        step.count(
            "score",
            right.div(each.maximum(builder.constant(1.0))?)?.sum_all()?,
        )?;
        let objective = Objective::weighted_mean(losses.mul(real)?, Some(real))?;
        Ok((objective, [right.sum_all()?, each.sum_all()?]))
    }

    /// The text of the `tokens` of a translation.
    fn text(fitted: &Fitted, tokens: &[u32]) -> String {
        match &fitted.tokenizer {
            Some(tokenizer) => {
                let known = tokenizer.vocabulary();
                let words = tokens
                    .iter()
                    .copied()
                    .filter(|&token| (token as usize) < known);
                let text = tokenizer.decode(&words.collect::<Vec<u32>>());
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            }
            None => {
                let words = tokens.iter().filter(|&&token| token != PADDING);
                words.map(u32::to_string).collect::<Vec<_>>().join(" ")
            }
        }
    }

    /// What was written for sample `index`: nothing for an empty sentence.
    fn translation(samples: &Samples, index: usize, fitted: &Fitted, written: &[f32]) -> String {
        let end = samples.vocabulary().unwrap_or(0).saturating_sub(1);
        let source = samples.tokens(index).unwrap_or_default();
        if source.first().is_some_and(|&first| first as usize == end) {
            return String::new();
        }
        let tokens: Vec<u32> = written.iter().map(|&token| token as u32).collect();
        Self::text(fitted, &tokens)
    }

    /// The known translation of sample `index`: as it is in the data, or else that of its tokens.
    fn reference(samples: &Samples, index: usize, fitted: &Fitted) -> Option<String> {
        if let Some(text) = samples.reference(index) {
            return Some(text.to_string());
        }
        let tokens = samples.indices(field::NEXT, index)?;
        let end = samples.vocabulary()?.saturating_sub(1);
        let words = tokens
            .iter()
            .copied()
            .filter(|&token| token as usize != end);
        Some(Self::text(fitted, &words.collect::<Vec<u32>>()))
    }
}

impl Task for Translation {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let (model, output) = fit.output()?;
        let name = model.name();
        let tokens = |wanted: &str| {
            let mut inputs = model.inputs().iter();
            let found = inputs.find(|input| input.name == wanted);
            found.and_then(|input| input.spec.tokens())
        };
        let (Some(_), Some(target)) = (tokens(field::TOKENS), tokens(field::TARGET_TOKENS)) else {
            return Err(Error::Config(format!(
                "the task needs a model with two inputs of tokens, tokens and target_tokens, and {name} has others; use the built-in \
                 model transformer"
            )));
        };
        check_input(model, fit)?;
        self.loss.check_tokens()?;
        self.augment.needs_pictures(fit.samples.noun())?;
        let known = fit.samples.vocabulary().unwrap_or(0);
        if output.len() != 2 || output[0] != target.tokens || output[1] < known {
            return Err(Error::Config(format!(
                "the task needs a number for each of the {known} tokens of the vocabulary at each of the {} positions of a translation, \
                 but model {name} gives {output:?}; end with a dense layer of units = \"vocabulary\" over the decoder's positions",
                target.tokens
            )));
        }
        model.check_decoding(field::TARGET_TOKENS)?;
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        Ok(self.objective(step, self.label_smoothing)?.0)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        step.remember(field::TARGET_TOKENS)
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let (objective, [right, tokens]) = self.objective(step, 0.0)?;
        step.count(RIGHT, right)?;
        step.count(TOKENS, tokens)?;
        step.remember(field::TARGET_TOKENS)?;
        Ok(objective)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn monitored(&self) -> Option<&'static str> {
        Some("bleu")
    }

    fn decoding(&self) -> Option<SequenceDecoding> {
        Some(SequenceDecoding {
            input: field::TARGET_TOKENS,
            output: TRANSLATION,
            beam: self.own.beam,
            length_penalty: self.own.length_penalty,
        })
    }

    fn host_metrics(&self, found: &Evaluated<'_>) -> Vec<(&'static str, f64)> {
        let Some((written, each)) = found.output(TRANSLATION) else {
            return Vec::new();
        };
        let (samples, fitted) = (found.samples, found.fitted);
        let mut bleu = Bleu::default();
        for (index, written) in written.chunks(each).enumerate() {
            let Some(reference) = Self::reference(samples, index, fitted) else {
                return Vec::new();
            };
            bleu.add(
                &Self::translation(samples, index, fitted, written),
                &reference,
            );
        }
        vec![(BLEU, bleu.score())]
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        _normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let inputs = models.first()?.inputs();
        let length = |name: &str| {
            let found = inputs.iter().find(|input| input.name == name);
            found
                .and_then(|input| input.spec.sample().first().copied())
                .unwrap_or(1)
        };
        let (source, target) = (length(field::TOKENS), length(field::TARGET_TOKENS));
        let rows = layout.samples * (source + target + 1);
        Ok(layout
            .tokens(field::TOKENS, rows, 0, source)
            .tokens(field::TARGET_TOKENS, rows, source, target)
            .tokens(field::NEXT, rows, source + 1, target))
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let written = sample.output(TRANSLATION)?;
        let text = Self::translation(sample.samples, sample.index, sample.fitted, written);
        Ok(Prediction {
            lines: vec![PredictionLine {
                json: Map::from_iter([(TRANSLATION.to_string(), text.clone().into())]),
                text: vec![text],
                suffix: String::new(),
            }],
            files: Vec::new(),
        })
    }

    fn known(&self, sample: &Decoded<'_>) -> Vec<Known> {
        let reference = Self::reference(sample.samples, sample.index, sample.fitted);
        let known = reference.map(|text| Known {
            json: Map::from_iter([("reference".to_string(), text.clone().into())]),
            text: format!("reference {text}"),
        });
        known.into_iter().collect()
    }

    fn shown_samples(&self) -> usize {
        10
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let Some((written, each)) = found.output(TRANSLATION) else {
            return Vec::new();
        };
        let (samples, fitted) = (found.samples, found.fitted);
        let shown = written.chunks(each).take(self.shown_samples()).enumerate();
        let rows: String = shown
            .map(|(index, written)| {
                let source = samples.tokens(index).unwrap_or_default();
                let source = Self::text(fitted, source);
                let reference = Self::reference(samples, index, fitted).unwrap_or_default();
                let own = Self::translation(samples, index, fitted, written);
                let cells =
                    [source, own, reference].map(|text| format!("<td>{}</td>", escape(&text)));
                format!("<tr>{}</tr>\n", cells.concat())
            })
            .collect();
        let head = "<tr><th>sentence</th><th>translation</th><th>reference</th></tr>";
        vec![Section {
            title: "Translations".to_string(),
            html: format!("<table>{head}\n{rows}</table>"),
        }]
    }
}
