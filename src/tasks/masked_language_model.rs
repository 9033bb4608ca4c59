//! Masked language modelling: some tokens of a text are hidden, and the model gives them from those on both sides. BERT's recipe
//! (Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2018): of the 15% that are chosen, 80% become the mask
//! token, 10% a random one and 10% stay. The loss is the mean cross-entropy of the chosen tokens in nats.

use super::fit::check_input;
use super::loss::Loss;
use super::metric::{Counters, Metric, Shown};
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, Known, Models, Need, Objective, Prediction,
    PredictionLine, Registered, StepGraph, Task, TaskCase, TaskSettings, case,
};
use crate::data::{MASK, Normalization, PADDING, SetLayout, Targets, WindowNorm, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The counter of chosen tokens.
const CHOSEN: &str = "chosen";
/// The counter of chosen tokens that the model gives.
const RIGHT: &str = "right";
/// The output of a prediction: the probability of each token at each position, `[tokens, vocabulary]`.
const PROBABILITIES: &str = "probabilities";
/// Of the chosen tokens, the share that becomes the mask token.
const MASKED: f64 = 0.8;
/// Of the chosen tokens, the share that becomes a random token.
const RANDOM: f64 = 0.1;

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "masked_language_model",
    about: "hidden tokens of a text, from those on both sides",
    needs: &[Need {
        field: field::TOKENS,
        about: "the tokens of the text",
        input: true,
    }],
    metrics,
    // Texts without classes suit nothing else.
    suits: |samples| {
        samples
            .fields()
            .iter()
            .map(|field| field.name)
            .eq([field::TOKENS])
    },
    // Language models take no padding.
    suits_model: |model| match (model.inputs(), &model.outputs()[0].shape[..]) {
        ([only], &[_, units]) => {
            let tokens = only.spec.tokens();
            tokens.is_some_and(|input| input.padded && input.vocabulary == units)
        }
        _ => false,
    },
    settings: Hiding::json_schema,
    make: |settings| Ok(Box::new(MaskedLanguageModel::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    // A sentence repeats one token, so that its hidden tokens follow from the others; its end is padding. The mask is token 8.
    const LENGTH: usize = 8;
    let mut set = case::tokens(LENGTH, Targets::None);
    let tokens = (0..12).flat_map(|index| {
        let real = LENGTH - index % 3;
        (0..LENGTH).map(move |place| match place < real {
            true => 1 + index as u32 % 6,
            false => PADDING,
        })
    });
    set.rows = crate::data::WindowRows::Tokens {
        tokens: tokens.collect(),
        vocabulary: 9,
    };
    let mut case = TaskCase::new("masked_language_model", set)?.model(
        "",
        r#"
        name = "tiny"
        input = { tokens = 8, vocabulary = 9, padded = true }
        layer = [
            { type = "embedding", width = 16 },
            { type = "gru", units = 16, bidirectional = true },
            { type = "dense", units = "vocabulary" },
        ]
        "#,
    )?;
    case.task.own.insert("mask_ratio".to_string(), 0.3.into());
    case.reaches = ("loss", 0.3);
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    let accuracy = |c: &Counters| match c.sum(CHOSEN) {
        Some(chosen) => Some(c.sum(RIGHT)? / chosen.max(1.0)),
        None => c.mean("score"),
    };
    vec![
        Metric::share("accuracy", accuracy).in_epoch_line(),
        Metric {
            shown: Shown::Decimals(3),
            ..Metric::error("perplexity", |c| Some(c.loss()?.exp())).in_epoch_line()
        },
    ]
}

/// The task's own settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Hiding {
    /// Share of the tokens that are chosen to be predicted.
    mask_ratio: f64,
}

impl Default for Hiding {
    fn default() -> Self {
        Hiding { mask_ratio: 0.15 }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct MaskedLanguageModel {
    hiding: Hiding,
    label_smoothing: f64,
    augment: AugmentSettings,
}

/// The tokens of a batch, some of which are hidden. All are `[batch, tokens]`.
struct HiddenTokens<'g> {
    /// The tokens as they are, `u32`.
    whole: Var<'g>,
    /// What the model sees, `u32`.
    seen: Var<'g>,
    /// 1 for tokens that were chosen, 0 for the others and for padding.
    chosen: Var<'g>,
}

/// The predictions of a batch: sums over the chosen tokens of the samples that count.
struct Guesses<'g> {
    /// The loss of each position, 0 if it was not chosen, `[batch * tokens]`.
    losses: Var<'g>,
    /// 1 for chosen positions, 0 for others, `[batch * tokens]`.
    chosen: Var<'g>,
    /// How many of them the model gives, a scalar.
    right: Var<'g>,
}

impl MaskedLanguageModel {
    /// From the settings of a run.
    ///
    /// # Errors
    /// If a setting of the task is unknown or out of range, or a shared setting does not apply to it.
    pub fn new(settings: &TaskSettings) -> Result<MaskedLanguageModel> {
        let hiding: Hiding = settings.own()?;
        if !(hiding.mask_ratio > 0.0 && hiding.mask_ratio < 1.0) {
            return Err(Error::Config(format!(
                "task.mask_ratio must be above 0 and below 1, not {}",
                hiding.mask_ratio
            )));
        }
        if settings.window_norm != WindowNorm::None {
            return Err(Error::Config(
                "data.window_norm is for forecasts; leave it out of a masked language model"
                    .to_string(),
            ));
        }
        Loss::check_tokens(&settings.loss)?;
        Ok(MaskedLanguageModel {
            hiding,
            label_smoothing: settings.label_smoothing,
            augment: settings.augment.clone(),
        })
    }

    /// Hides tokens of the batch, where `mask` is the last token of the vocabulary. In training the choice follows from the run's seed
    /// and the step, in an evaluation from the number of the batch.
    fn hidden<'g>(&self, step: &mut StepGraph<'g, '_>, mask: usize) -> Result<HiddenTokens<'g>> {
        let builder = step.builder();
        let _scope = builder.scope("mask");
        let whole = step.batch.field(field::TOKENS)?;
        let length = whole.shape().last();
        let (draw, other) = (step.uniform(&[length])?, step.uniform(&[length])?);
        let tokens = whole.to_float()?;
        let number = |x: f64| builder.constant(x);
        let real = tokens.ne(number(f64::from(PADDING)))?;
        let ratio = self.hiding.mask_ratio;
        let chosen = draw.lt(number(ratio))?.mul(real)?;
        // One draw decides both: the lowest become the mask, the next a random token, the rest stay.
        let masked = draw.lt(number(ratio * MASKED))?.mul(real)?;
        let replaced = draw.lt(number(ratio * (MASKED + RANDOM)))?.mul(real)?;
        // Any token but padding and the mask. A product below the number of tokens rounds to less than that.
        let random = other.scale((mask - 1) as f64)?.floor()?.add(number(1.0))?;
        let seen = masked.select(number(mask as f64), replaced.select(random, tokens)?)?;
        Ok(HiddenTokens {
            whole,
            seen: seen.to_index()?,
            chosen,
        })
    }

    /// Hides tokens of the batch, and lets the model guess them.
    fn guesses<'g>(&self, step: &mut StepGraph<'g, '_>, smoothing: f64) -> Result<Guesses<'g>> {
        let mask = mask_token(step.models())?;
        let hidden = self.hidden(step, mask)?;
        let logits = step.run_first(&[hidden.seen])?;
        let _scope = step.builder().scope("loss");
        let (count, length) = (hidden.whole.shape().elements(), hidden.whole.shape().last());
        let logits = logits.reshape([count, logits.shape().last()])?;
        let tokens = hidden.whole.reshape([count])?;
        let valid = step.batch.valid_rows(length);
        let chosen = hidden.chosen.reshape([count])?.mask_rows(valid)?;
        let losses = logits.softmax_cross_entropy(tokens, valid, smoothing)?;
        let right = logits.argmax()?.to_float()?.eq(tokens.to_float()?)?;
        Ok(Guesses {
            losses: losses.mul(chosen)?,
            chosen,
            right: right.mul(chosen)?.sum_all()?,
        })
    }
}

/// The mask token of the only model, the last of its vocabulary.
fn mask_token(models: &Models) -> Result<usize> {
    let model = models.first()?;
    let input = match model.inputs() {
        [only] => only.spec.tokens(),
        _ => None,
    };
    match input.map(|input| input.vocabulary) {
        Some(vocabulary) if vocabulary > 2 => Ok(vocabulary - 1),
        _ => Err(Error::Config(format!(
            "a masked language model takes the tokens of a text, with a mask token after at least one other, but model {} does not; use the \
             built-in model bert-small",
            model.name()
        ))),
    }
}

impl Task for MaskedLanguageModel {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn masks_tokens(&self) -> bool {
        true
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let (model, shape) = fit.output()?;
        check_input(model, fit)?;
        self.augment.needs_pictures(fit.samples.noun())?;
        let mask = mask_token(fit.models)?;
        let name = model.name();
        let wrong = |what: String| Err(Error::Config(what));
        let known = fit.samples.vocabulary().unwrap_or(0);
        if known != mask + 1 {
            return wrong(format!(
                "the vocabulary has {known} tokens, the last of which is the mask, but model {name} has one of {}; give its input \
                 vocabulary = {known}, or auto = true",
                mask + 1
            ));
        }
        match (shape, model.inputs()[0].spec.tokens()) {
            (&[time, units], Some(input)) if time == input.tokens && units >= known => {}
            _ => {
                return wrong(format!(
                    "the task needs a number for each of the {known} tokens of the vocabulary at each position, but model {name} gives \
                     {shape:?}; leave out what pools over time, and end with a dense layer of units = \"vocabulary\""
                ));
            }
        }
        let mut all = (0..fit.samples.len()).filter_map(|index| fit.samples.tokens(index));
        if !fit.inputs_alone() && all.any(|tokens| tokens.contains(&(mask as u32))) {
            return wrong(format!(
                "the last token of the vocabulary occurs in the {} {}, so it can't be the mask; set data.mask_token = true, which adds one",
                fit.part,
                fit.samples.noun()
            ));
        }
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let found = self.guesses(step, self.label_smoothing)?;
        if let Some(training) = step.training() {
            // The share of the batch times the number of its samples, because the score is a mean over samples.
            let chosen = found.chosen.sum_all()?;
            let share = found
                .right
                .div(chosen.maximum(step.builder().constant(1.0))?)?;
            step.count("score", share.div(training.inverse_valid)?)?;
        }
        Objective::weighted_mean(found.losses, Some(found.chosen))
    }

    /// The probabilities of all tokens at all positions of a text whose hidden tokens are already the mask.
    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let tokens = step.batch.field(field::TOKENS)?;
        let logits = step.run_first(&[tokens])?;
        step.output(PROBABILITIES, logits.softmax()?);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let found = self.guesses(step, 0.0)?;
        step.count(RIGHT, found.right)?;
        step.count(CHOSEN, found.chosen.sum_all()?)?;
        Objective::weighted_mean(found.losses, Some(found.chosen))
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn monitored(&self) -> Option<&'static str> {
        Some("perplexity")
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        _normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let length = models.first()?.inputs()[0].spec.sample()[0];
        let rows = layout.samples * length;
        Ok(layout.tokens(field::TOKENS, rows, 0, length))
    }

    /// A line for each mask of the text, with its most probable tokens.
    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let probabilities = sample.output(PROBABILITIES)?;
        let vocabulary = sample.samples.vocabulary().unwrap_or(1);
        let tokens = sample.samples.tokens(sample.index).unwrap_or_default();
        let name = |token: usize| match &sample.fitted.tokenizer {
            Some(tokenizer) => tokenizer.decode(&[token as u32]).trim().to_string(),
            None => token.to_string(),
        };
        let each = probabilities.chunks_exact(probabilities.len() / tokens.len().max(1));
        let masks = tokens.iter().zip(each).enumerate();
        let masks = masks.filter(|(_, (token, _))| **token as usize + 1 == vocabulary);
        let mut lines: Vec<PredictionLine> = Vec::new();
        for (position, (_, row)) in masks {
            // Neither padding nor the mask.
            let mut best: Vec<usize> = (1..vocabulary.min(row.len()) - 1).collect();
            best.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
            best.truncate(sample.top);
            let top = best
                .iter()
                .map(|&token| json!({ "token": name(token), "probability": row[token] }));
            let text = best
                .iter()
                .map(|&token| format!("{} {:.1}%", name(token), 100.0 * row[token]));
            lines.push(PredictionLine {
                suffix: format!(", mask {}", lines.len() + 1),
                text: text.collect(),
                json: Map::from_iter([
                    ("position".to_string(), position.into()),
                    ("top".to_string(), Value::Array(top.collect())),
                ]),
            });
        }
        if lines.is_empty() {
            lines.push(PredictionLine {
                text: vec![format!(
                    "no {MASK} among its tokens: write it where one is to be predicted"
                )],
                ..PredictionLine::default()
            });
        }
        Ok(Prediction {
            lines,
            files: Vec::new(),
        })
    }

    /// A class of the text says nothing about its hidden tokens.
    fn known(&self, _sample: &Decoded<'_>) -> Vec<Known> {
        Vec::new()
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let mut findings = Findings::default();
        if let Some(chosen) = found.counters.sum(CHOSEN) {
            let line = format!("{chosen} tokens were hidden");
            findings.full.lines.push(line);
            let json = &mut findings.full.json;
            json.insert("hidden_tokens".to_string(), (chosen as u64).into());
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, interpret};
    use crate::data::{Batch, RowSet, Samples, WindowRows};
    use crate::graph::Builder;
    use crate::nn::{Forward, ModelSpec, Network, Training};
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    const BATCH: usize = 16;
    const LENGTH: usize = 64;
    /// The mask of a vocabulary of 51 tokens.
    const LAST: u32 = 50;

    fn settings(own: &str) -> TaskSettings {
        TaskSettings {
            name: Some("masked_language_model".to_string()),
            own: toml::from_str(own).unwrap(),
            ..TaskSettings::default()
        }
    }

    fn task() -> MaskedLanguageModel {
        MaskedLanguageModel::new(&settings("")).unwrap()
    }

    fn model(layers: &str, vocabulary: usize) -> Models {
        let text = format!(
            "name = \"m\"\ninput = {{ tokens = {LENGTH}, vocabulary = {vocabulary}, padded = true }}\nlayer = [{layers}]"
        );
        let spec: ModelSpec = toml::from_str(&text).unwrap();
        Models::one(Network::new(spec).unwrap())
    }

    const LAYERS: &str =
        "{ type = \"embedding\", width = 2 }, { type = \"dense\", units = \"vocabulary\" }";

    fn scalar(value: u32) -> Arc<Tensor<f32>> {
        Arc::new(Tensor::index([], vec![value]))
    }

    /// The tokens of a batch: 1 to 49, and padding in the second half of every other text.
    fn batch() -> Vec<u32> {
        let token = |at: usize| match (at / LENGTH % 2, at % LENGTH) {
            (1, 32..) => PADDING,
            _ => 1 + (at as u32 * 7) % (LAST - 1),
        };
        (0..BATCH * LENGTH).map(token).collect()
    }

    /// What the model sees of [`batch`], and which tokens are chosen, in step or batch number `step`: in training with `seed`, or in an
    /// evaluation if it is absent.
    fn hidden(step: u32, seed: Option<u64>) -> (Vec<u32>, Vec<f32>) {
        let (builder, models) = (Builder::new(), model(LAYERS, LAST as usize + 1));
        let ty = TensorType::u32([BATCH, LENGTH]);
        let fields = Batch::fed(&builder, BATCH, [(field::TOKENS.to_string(), ty)]);
        let forward = match seed {
            None => Forward::evaluation(&builder),
            Some(seed) => Forward::training(
                &builder,
                Training {
                    step: builder.input("step", TensorType::u32([])),
                    valid: fields.valid(),
                    inverse_valid: builder.input("inverse_valid", TensorType::f32([])),
                    seed,
                },
            ),
        };
        let mut graph = StepGraph::new(fields, forward, &models);
        let found = task().hidden(&mut graph, LAST as usize).unwrap();
        graph.output("seen", found.seen);
        graph.output("chosen", found.chosen);
        let graph = builder.finish().unwrap();
        let tokens = Arc::new(Tensor::index([BATCH, LENGTH], batch()));
        let inputs = HashMap::from([
            ("step".to_string(), scalar(step)),
            (field::TOKENS.to_string(), tokens),
        ]);
        let outputs = interpret(&graph, &mut HashMap::new(), &inputs).unwrap();
        (outputs[0].indices().to_vec(), outputs[1].reals().to_vec())
    }

    #[test]
    fn of_15_percent_80_are_masked_10_random_and_10_stay_and_never_padding() {
        let tokens = batch();
        let [mut real, mut chosen, mut masked, mut random, mut stay] = [0.0; 5];
        for step in 0..40 {
            let (seen, picked) = hidden(step, Some(3));
            for ((&token, &seen), &picked) in tokens.iter().zip(&seen).zip(&picked) {
                if token == PADDING {
                    assert_eq!((seen, picked), (PADDING, 0.0));
                    continue;
                }
                real += 1.0;
                if picked == 0.0 {
                    assert_eq!(seen, token);
                    continue;
                }
                chosen += 1.0;
                assert!((1..=LAST).contains(&seen));
                match seen {
                    LAST => masked += 1.0,
                    seen if seen == token => stay += 1.0,
                    _ => random += 1.0,
                }
            }
        }
        // Of some 30,000 tokens: over four standard deviations of each share. A random token is the same in 1 of 49 cases.
        let near = |share: f64, wanted: f64, apart: f64| (share - wanted).abs() < apart;
        assert!(near(chosen / real, 0.15, 0.009), "{}", chosen / real);
        assert!(near(masked / chosen, 0.8, 0.025), "{}", masked / chosen);
        assert!(near(random / chosen, 0.098, 0.019), "{}", random / chosen);
        assert!(near(stay / chosen, 0.102, 0.019), "{}", stay / chosen);
    }

    #[test]
    fn the_choice_follows_from_step_and_seed_and_is_fixed_in_an_evaluation() {
        let first = hidden(3, Some(7));
        assert_eq!(first, hidden(3, Some(7)));
        assert_ne!(first, hidden(4, Some(7)));
        assert_ne!(first, hidden(3, Some(8)));
        assert_eq!(hidden(3, None), hidden(3, None));
        assert_ne!(hidden(3, None), hidden(4, None));
        let texts: Vec<&[f32]> = first.1.chunks(2 * LENGTH).collect();
        assert!((1..texts.len()).all(|at| texts[at] != texts[0]));
    }

    #[test]
    fn invalid_settings_are_named() {
        let refusal = |own: &str| {
            let error = MaskedLanguageModel::new(&settings(own)).unwrap_err();
            error.to_string()
        };
        for own in ["mask_ratio = 0.0", "mask_ratio = 1.0", "mask_ratio = nan"] {
            let message = refusal(own);
            assert!(
                message.contains("task.mask_ratio must be above 0"),
                "{message}"
            );
        }
        assert!(refusal("ratio = 0.5").contains("ratio"));
        let mse = TaskSettings {
            loss: Loss::named("mse").unwrap(),
            ..settings("")
        };
        let message = MaskedLanguageModel::new(&mse).unwrap_err().to_string();
        assert!(message.contains("cross_entropy"), "{message}");
    }

    #[test]
    fn texts_and_models_that_do_not_fit_are_refused() {
        let samples = |tokens: Vec<u32>, vocabulary: usize| {
            Samples::from(RowSet {
                starts: (0..BATCH).map(|index| (index * LENGTH) as u32).collect(),
                random_starts: false,
                rows: WindowRows::Tokens { tokens, vocabulary },
                length: LENGTH,
                targets: Targets::None,
            })
        };
        let refusal = |samples: &Samples, models: &Models| {
            let checked = task().check(&Fit {
                models,
                samples,
                part: "training",
                classes: &[],
                data: "tiny",
                normal: Normalization {
                    mean: &[],
                    std: &[],
                },
            });
            checked.map_err(|error| error.to_string())
        };
        let good = samples(batch(), 51);
        assert_eq!(refusal(&good, &model(LAYERS, 51)), Ok(()));
        let with_mask = samples(vec![LAST; BATCH * LENGTH], 51);
        let pooled = "{ type = \"embedding\", width = 2 }, { type = \"time_pool\", by = \"mean\" }, { type = \"dense\", units = 51 }";
        for (samples, models, message) in [
            (
                &good,
                model(LAYERS, 60),
                "give its input vocabulary = 51, or auto = true",
            ),
            (
                &good,
                model(pooled, 51),
                "end with a dense layer of units = \"vocabulary\"",
            ),
            (
                &with_mask,
                model(LAYERS, 51),
                "set data.mask_token = true, which adds one",
            ),
        ] {
            let error = refusal(samples, &models).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
