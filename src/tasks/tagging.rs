//! Tagging: a tag for every word of a sentence, such as the named entities that it belongs to or its part of speech. The loss is the
//! cross-entropy of the words; padding counts neither there nor in a score.

mod entities;

use self::entities::{Agreement, Tags, compare};
use super::fit::{check_input, inputs};
use super::metric::{Counters, Metric};
use super::{
    AugmentSettings, Decoded, Evaluated, Findings, Fit, Known, Models, Need, Objective, Prediction,
    PredictionLine, Registered, Section, StepGraph, Task, TaskCase, TaskSettings, case,
};
use crate::data::{
    Field, FieldValues, Normalization, PADDING, Samples, SetLayout, Starts, WindowRows, field,
};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::html::{escape, shortened};
use crate::nn::Averaging;
use crate::schema::empty_table;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

/// The tag that the model gives each word, an index of a class as a float: `[tokens]`.
const TAGS: &str = "tags";
/// Its probability, `[tokens]`.
const CONFIDENCE: &str = "confidence";
/// Words of a pass that were tagged right, and all.
const RIGHT: &str = "right";
const WORDS: &str = "words";
/// Most rows of a table of types, and most characters of the name of one.
const MOST_TYPES: usize = 100;
const MOST_NAME: usize = 40;

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "tagging",
    about: "a tag for every word of a sentence",
    needs: &[
        Need {
            field: field::TOKENS,
            about: "the words of the sentence",
            input: true,
        },
        Need {
            field: field::TAGS,
            about: "the tag of each word",
            input: false,
        },
    ],
    metrics,
    suits: |samples| samples.field(field::TAGS).is_some(),
    suits_model: |model| {
        let vocabulary = model.inputs().first().and_then(|input| input.spec.tokens());
        let output = model.outputs().first().map(|output| &output.shape[..]);
        matches!((vocabulary, output), (Some(input), Some(&[_, tags])) if tags < input.vocabulary)
    },
    settings: empty_table,
    make: |settings| {
        settings.no_own("tagging")?;
        Ok(Box::new(Tagging::new(settings)?))
    },
    sample,
};

fn sample() -> Result<TaskCase> {
    const LENGTH: usize = 6;
    // The tag of a word follows from it, but for one that depends on the word before. The last words of a sentence are padding.
    let words = case::noise(5).map(|x| 1 + (7.0 * x) as u32);
    let mut tokens: Vec<u32> = words.take(12 * LENGTH).collect();
    let mut tags = Vec::new();
    for (index, sentence) in tokens.chunks_mut(LENGTH).enumerate() {
        let real = LENGTH - index % 3;
        sentence[real..].fill(PADDING);
        let mut before = 0;
        for &word in &*sentence {
            tags.push(match (word, before) {
                (6.., _) => 1,
                (5, 6..) => 2,
                _ => 0,
            });
            before = word;
        }
    }
    let windows = |name, tokens, vocabulary| Field {
        name,
        values: FieldValues::Windows {
            rows: Arc::new(WindowRows::Tokens { tokens, vocabulary }),
            offset: 0,
            length: LENGTH,
        },
    };
    let fields = vec![
        windows(field::TOKENS, tokens, 8),
        windows(field::TAGS, tags, 3),
    ];
    let starts = Starts {
        first: (0..12).map(|index| (index * LENGTH) as u32).collect(),
        anywhere: false,
        span: LENGTH,
        rows: 12 * LENGTH,
    };
    let mut case = TaskCase::new("tagging", Samples::new(12, fields, Some(starts)))?
        .classes(&["O", "B-x", "I-x"])
        .model(
            "",
            r#"
            name = "tiny"
            input = { tokens = 6, vocabulary = 8, padded = true }
            layer = [
                { type = "embedding", width = 8 },
                { type = "lstm", units = 8, bidirectional = true },
                { type = "dense", units = 3 },
            ]
            "#,
        )?;
    case.reaches = ("f1", 0.95);
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    let accuracy = |c: &Counters| match c.sum(WORDS) {
        Some(words) => Some(c.sum(RIGHT)? / words.max(1.0)),
        None => c.mean("score"),
    };
    vec![
        Metric::share("accuracy", accuracy).in_epoch_line(),
        Metric::share("f1", |c| c.computed("f1")).in_epoch_line(),
        Metric::share("precision", |c| c.computed("precision")),
        Metric::share("recall", |c| c.computed("recall")),
    ]
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Tagging {
    label_smoothing: f64,
    augment: AugmentSettings,
}

/// The words of a batch as rows.
struct WordRows<'g> {
    /// `[words, tags]`.
    logits: Var<'g>,
    /// The tag of each, `u32 [words]`.
    tags: Var<'g>,
    /// 1 for a word, 0 for padding, `[words]`.
    counts: Var<'g>,
    /// Words of the samples that count, with their padding.
    valid: Var<'g>,
}

impl Tagging {
    /// From the settings of a run.
    ///
    /// # Errors
    /// If the loss is none for classes, or has weights.
    pub fn new(settings: &TaskSettings) -> Result<Tagging> {
        settings.loss.check_tokens()?;
        Ok(Tagging {
            label_smoothing: settings.label_smoothing,
            augment: settings.augment.clone(),
        })
    }

    /// The tags that the model gives and their probabilities, as outputs. Returns the logits, `[batch, tokens, tags]`.
    fn outputs<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
        let x = inputs(step, field::TOKENS)?;
        let logits = step.run_first(&x)?;
        step.output(TAGS, logits.argmax()?.to_float()?);
        step.output(CONFIDENCE, logits.softmax()?.max(&[2])?);
        Ok(logits)
    }

    /// The words of the batch, with their `logits`.
    fn words<'g>(&self, step: &StepGraph<'g, '_>, logits: Var<'g>) -> Result<WordRows<'g>> {
        let tokens = step.batch.field(field::TOKENS)?;
        let (words, length) = (tokens.shape().elements(), tokens.shape().last());
        let valid = step.batch.valid_rows(length);
        Ok(WordRows {
            logits: logits.reshape([words, logits.shape().last()])?,
            tags: step.batch.field(field::TAGS)?.reshape([words])?,
            counts: tokens.reshape([words])?.counted(valid, PADDING)?,
            valid,
        })
    }

    /// The mean loss of the words.
    fn objective<'g>(&self, of: &WordRows<'g>, smoothing: f64) -> Result<Objective<'g>> {
        let losses = of
            .logits
            .softmax_cross_entropy(of.tags, of.valid, smoothing)?;
        Objective::weighted_mean(losses.mul(of.counts)?, Some(of.counts))
    }

    /// The number of words whose tag the model gives.
    fn right<'g>(&self, of: &WordRows<'g>) -> Result<Var<'g>> {
        let right = of.logits.argmax()?.to_float()?.eq(of.tags.to_float()?)?;
        right.mul(of.counts)?.sum_all()
    }
}

/// The number of words of a sample, without padding.
fn length(samples: &Samples, index: usize) -> usize {
    let tokens = samples.tokens(index).unwrap_or_default();
    tokens.iter().take_while(|&&token| token != PADDING).count()
}

/// The words of a sample: those of its text if it is known, or else its tokens.
fn words(sample: &Decoded<'_>) -> Vec<String> {
    let count = length(sample.samples, sample.index);
    if let Value::String(text) = sample.samples.name(sample.index).value {
        return text.split(' ').take(count).map(str::to_string).collect();
    }
    let tokens = sample.samples.tokens(sample.index).unwrap_or_default();
    let word = |&token: &u32| match &sample.fitted.tokenizer {
        Some(tokenizer) => tokenizer.decode(&[token]),
        None => token.to_string(),
    };
    tokens.iter().take(count).map(word).collect()
}

/// The name of a tag.
fn name(classes: &[String], tag: usize) -> String {
    classes.get(tag).cloned().unwrap_or_else(|| tag.to_string())
}

/// Words with their tags, as text: those without one stand alone.
fn in_words(words: &[String], tags: &[String]) -> String {
    let pairs = words.iter().zip(tags).map(|(word, tag)| match &**tag {
        "O" => word.clone(),
        tag => format!("{word}/{tag}"),
    });
    pairs.collect::<Vec<_>>().join(" ")
}

/// How well the entities of each type are found, of all samples; `None` without tags or predictions.
fn agreement(found: &Evaluated<'_>) -> Option<(Tags, Vec<Agreement>)> {
    found.samples.field(field::TAGS)?;
    let (predicted, each) = found.output(TAGS)?;
    if predicted.len() != each * found.samples.len() {
        return None;
    }
    let tags = Tags::of(&found.fitted.classes);
    let mut types = vec![Agreement::default(); tags.types.len()];
    for (index, predicted) in predicted.chunks_exact(each).enumerate() {
        let words = length(found.samples, index);
        let known = found
            .samples
            .indices(field::TAGS, index)?
            .iter()
            .take(words);
        let known = tags.entities(known.map(|&tag| tag as usize));
        let predicted = tags.entities(predicted.iter().take(words).map(|&tag| tag as usize));
        compare(&mut types, &known, &predicted);
    }
    Some((tags, types))
}

impl Task for Tagging {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let (model, shape) = fit.output()?;
        check_input(model, fit)?;
        let (name, known) = (model.name(), fit.classes.len());
        let wrong = |what: String| Err(Error::Config(what));
        match (shape, model.inputs()[0].spec.tokens()) {
            (&[time, tags], Some(input)) if time == input.tokens && tags >= known => {}
            (&[time, tags], Some(input)) if time == input.tokens => {
                return wrong(format!(
                    "the data have {known} tags but model {name} ends in {tags} units; give its last layer units = \"targets\""
                ));
            }
            _ => {
                return wrong(format!(
                    "the task needs one prediction for each word but model {name} gives {shape:?}; leave out what pools over time, and \
                     end with a dense layer of units = \"targets\""
                ));
            }
        }
        if fit.part == "training" && known < 2 {
            return Err(Error::Data(format!(
                "the words of {} have {known} different tags, but tagging needs at least two",
                fit.data
            )));
        }
        fit.not_empty()?;
        self.augment.needs_pictures(fit.samples.noun())
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let x = inputs(step, field::TOKENS)?;
        let logits = step.run_first(&x)?;
        let _scope = step.builder().scope("loss");
        let of = self.words(step, logits)?;
        if let Some(training) = step.training() {
            // The share of the batch times the number of its samples, because the score is a mean over samples.
            let words = of.counts.sum_all()?.maximum(step.builder().constant(1.0))?;
            let share = self.right(&of)?.div(words)?;
            step.count("score", share.div(training.inverse_valid)?)?;
        }
        self.objective(&of, self.label_smoothing)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        self.outputs(step).map(|_| ())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let logits = self.outputs(step)?;
        let _scope = step.builder().scope("loss");
        let of = self.words(step, logits)?;
        step.count(RIGHT, self.right(&of)?)?;
        step.count(WORDS, of.counts.sum_all()?)?;
        self.objective(&of, 0.0)
    }

    fn averaging(&self) -> Option<Averaging> {
        Some(Averaging::Probabilities)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    fn monitored(&self) -> Option<&'static str> {
        Some("f1")
    }

    fn host_outputs(&self) -> &'static [&'static str] {
        &[TAGS]
    }

    fn host_metrics(&self, found: &Evaluated<'_>) -> Vec<(&'static str, f64)> {
        let Some((_, types)) = agreement(found) else {
            return Vec::new();
        };
        let total = Agreement::total(&types);
        vec![
            ("f1", total.f1()),
            ("precision", total.precision()),
            ("recall", total.recall()),
        ]
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        _normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let length = models.first()?.inputs()[0].spec.sample()[0];
        let rows = layout.samples * length;
        Ok(layout
            .tokens(field::TOKENS, rows, 0, length)
            .tokens(field::TAGS, rows, 0, length))
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        let words = words(sample);
        let (tags, confidence) = (sample.output(TAGS)?, sample.output(CONFIDENCE)?);
        let tags: Vec<usize> = tags
            .iter()
            .take(words.len())
            .map(|&tag| tag as usize)
            .collect();
        let classes = &sample.fitted.classes;
        let known = Tags::of(classes);
        let entities: Vec<Value> = known
            .entities(tags.iter().copied())
            .into_iter()
            .map(|entity| {
                let own = words.get(entity.first..=entity.last).unwrap_or_default();
                json!({
                    "type": known.types.get(entity.kind),
                    "text": own.join(" "),
                    "first": entity.first,
                    "last": entity.last,
                })
            })
            .collect();
        let names: Vec<String> = tags.iter().map(|&tag| name(classes, tag)).collect();
        let text = in_words(&words, &names);
        let confidence: Vec<f32> = confidence.iter().take(words.len()).copied().collect();
        Ok(Prediction {
            lines: vec![PredictionLine {
                suffix: String::new(),
                text: vec![text.clone()],
                json: Map::from_iter([
                    ("tagged".to_string(), text.into()),
                    ("words".to_string(), words.into()),
                    ("tags".to_string(), names.into()),
                    ("confidence".to_string(), confidence.into()),
                    ("entities".to_string(), entities.into()),
                ]),
            }],
            files: Vec::new(),
        })
    }

    /// The known tags.
    fn known(&self, sample: &Decoded<'_>) -> Vec<Known> {
        let words = words(sample);
        let Some(tags) = sample.samples.indices(field::TAGS, sample.index) else {
            return Vec::new();
        };
        let tags = tags.iter().take(words.len());
        let names: Vec<String> = tags
            .map(|&tag| name(&sample.fitted.classes, tag as usize))
            .collect();
        vec![Known {
            text: format!("target {}", in_words(&words, &names)),
            json: Map::from_iter([("target".to_string(), names.into())]),
        }]
    }

    fn findings(&self, found: &Evaluated<'_>) -> Findings {
        let mut findings = Findings::default();
        let Some((tags, types)) = agreement(found) else {
            return findings;
        };
        let total = Agreement::total(&types);
        let full = &mut findings.full;
        full.lines.push(format!(
            "precision {:.2}%, recall {:.2}%, {} entities",
            100.0 * total.precision(),
            100.0 * total.recall(),
            total.known
        ));
        let rows = || tags.types.iter().zip(&types);
        full.lines.extend(rows().map(|(name, each)| {
            format!(
                "{name}: f1 {:.2}%, precision {:.2}%, recall {:.2}% of {}",
                100.0 * each.f1(),
                100.0 * each.precision(),
                100.0 * each.recall(),
                each.known
            )
        }));
        let by_type = rows().map(|(name, each)| {
            json!({
                "type": name,
                "f1": each.f1(),
                "precision": each.precision(),
                "recall": each.recall(),
                "count": each.known,
            })
        });
        full.json.insert("types".to_string(), by_type.collect());
        findings
    }

    fn report(&self, found: &Evaluated<'_>) -> Vec<Section> {
        let Some((tags, types)) = agreement(found) else {
            return Vec::new();
        };
        let mut html =
            "<table>\n<tr><th class=\"name\">type<th>entities<th>F1<th>precision<th>recall\n"
                .to_string();
        let total = ("all".to_string(), Agreement::total(&types));
        let each = tags.types.iter().cloned().zip(types);
        for (name, each) in each.take(MOST_TYPES).chain([total]) {
            let _ = writeln!(
                html,
                "<tr><td class=\"name\">{}<td>{}<td>{:.2}%<td>{:.2}%<td>{:.2}%",
                escape(&shortened(&name, MOST_NAME)),
                each.known,
                100.0 * each.f1(),
                100.0 * each.precision(),
                100.0 * each.recall()
            );
        }
        html.push_str("</table>\n");
        vec![Section {
            title: "Entities".to_string(),
            html,
        }]
    }
}
