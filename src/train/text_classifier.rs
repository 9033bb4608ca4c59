//! A trained classifier of texts as a function of tokens, with its gradients with respect to their embeddings: what explanations of
//! texts are made of.

use super::fed_model::{FedModel, predicted, shapes};
use crate::autodiff::vjp;
use crate::cpu::Tensor;
use crate::data::{Batch, field};
use crate::device::{Device, ProgramId};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::nn::layers::TimePoolKind;
use crate::nn::{Forward, Observed};
use crate::tasks::classification::LOGITS;
use crate::tasks::{Models, StepGraph, Task};
use crate::tensor::TensorType;
use std::sync::Arc;

const SHARE: &str = "share";
const UPSTREAM: &str = "upstream";
const PRODUCT: &str = "product";
/// Prefix of what the attention layer of a number reads.
const READ: &str = "attention:";

/// See the module.
pub struct TextClassifier<'e> {
    model: FedModel<'e>,
    /// Tokens of a text.
    tokens: usize,
    classes: usize,
    /// Logits, and products of embeddings and gradients, along the way from zero.
    path: ProgramId,
    attention: Option<(ProgramId, AttentionLayout)>,
}

/// The attention layers of a classifier.
#[derive(Clone)]
struct AttentionLayout {
    layers: Vec<AttentionLayer>,
    pooling: Option<TimePoolKind>,
}

#[derive(Clone)]
struct AttentionLayer {
    name: String,
    heads: usize,
    causal: bool,
    /// Extent of queries, keys and values together.
    width: usize,
}

/// What an attention layer read of one text.
#[derive(Clone, Debug)]
pub struct AttentionInput {
    /// Name of the layer.
    pub name: String,
    /// Queries, keys and values of each position, `[time, 3 width]`: all queries of a position, head by head, then keys, then values.
    pub qkv: Vec<f32>,
    /// Number of positions.
    pub positions: usize,
    /// Number of heads.
    pub heads: usize,
    /// Whether a position only attends to itself and earlier ones.
    pub causal: bool,
}

impl<'e> TextClassifier<'e> {
    /// Puts `models` with the `values` of their [`state`](Models::state) on `device`, for at most `batch` texts at once.
    ///
    /// # Errors
    /// If the task is no classification of texts, the model has no embedding layer, or device memory is too small.
    pub fn new(
        device: Box<dyn Device + 'e>,
        task: Arc<dyn Task>,
        models: Models,
        values: &[Tensor<f32>],
        batch: usize,
    ) -> Result<TextClassifier<'e>> {
        let model = models.first()?;
        let name = model.name().to_string();
        let tokens = match model.inputs() {
            [input] if task.judged_as() == "classification" => input.spec.tokens(),
            _ => None,
        };
        let Some(tokens) = tokens.map(|input| input.tokens) else {
            return Err(Error::Config(format!(
                "the run is of the task {} and its model {name} takes {:?}, but this is for classifiers of texts; name a run of one",
                task.registered().name,
                shapes(model.inputs())
            )));
        };
        let mut model = FedModel::new(device, task, models, values, batch)?;
        let mut classes = 0;
        let keep = |name: &str| [LOGITS, PRODUCT].contains(&name);
        let path = model.prepare(keep, |builder, task, models| {
            let share = builder.input(SHARE, TensorType::f32([batch, 1, 1]));
            let (logits, observed) =
                observed(builder, (task, models), tokens, batch, Observed::along(share))?;
            classes = logits.shape().last();
            let upstream = builder.input(UPSTREAM, logits.ty());
            let taken: Vec<Var<'_>> = observed.embeddings.iter().map(|own| own.taken).collect();
            let mut product: Option<Var<'_>> = None;
            for (own, slope) in observed.embeddings.iter().zip(vjp(logits, upstream, &taken)?) {
                let each = own.whole.mul(slope)?.sum(&[2])?;
                product = Some(match product {
                    Some(sum) => sum.add(each)?,
                    None => each,
                });
            }
            let product = product.ok_or_else(|| {
                Error::Config(format!(
                    "the model {name} has no embedding layer, through which texts are explained; name a run of another model"
                ))
            })?;
            builder.output(PRODUCT, product);
            Ok(())
        })?;
        Ok(TextClassifier {
            model,
            tokens,
            classes,
            path,
            attention: None,
        })
    }

    /// Tokens of a text, with its padding.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Most points of [`TextClassifier::along`] at once.
    pub fn batch(&self) -> usize {
        self.model.batch
    }

    /// For one text, whose embeddings are multiplied by each of at most a batch of `shares`: the logits, `[shares, classes]`, and for each
    /// token the product of its embedding with the gradient of the logit of `class` with respect to what the other layers take in its
    /// place, `[shares, tokens]`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn along(
        &mut self,
        text: &[u32],
        shares: &[f32],
        class: u32,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let (program, count, classes) = (self.path, shares.len(), self.classes);
        let mut upstream = vec![0.0; count * classes];
        let own = upstream.iter_mut().skip(class as usize);
        own.step_by(classes.max(1)).for_each(|x| *x = 1.0);
        let model = &mut self.model;
        model.feed_indices(program, field::TOKENS, &text.repeat(count), &[self.tokens])?;
        model.feed(program, SHARE, shares, &[1, 1])?;
        model.feed(program, UPSTREAM, &upstream, &[classes])?;
        model.run(program, 1, &[])?;
        Ok((
            model.output(program, LOGITS, count * classes)?,
            model.output(program, PRODUCT, count * self.tokens)?,
        ))
    }

    /// What each attention layer reads of one text, in their order, and how the sequence becomes one row.
    ///
    /// # Errors
    /// If the device failed.
    pub fn attention(
        &mut self,
        text: &[u32],
    ) -> Result<(Vec<AttentionInput>, Option<TimePoolKind>)> {
        let (program, layout) = self.attention_program()?;
        if layout.layers.is_empty() {
            return Ok((Vec::new(), layout.pooling));
        }
        let model = &mut self.model;
        model.feed_indices(program, field::TOKENS, text, &[self.tokens])?;
        model.run(program, 1, &[])?;
        let read = |(place, layer): (usize, AttentionLayer)| {
            let count = self.tokens * layer.width;
            Ok(AttentionInput {
                qkv: model.output(program, &read_name(place), count)?,
                positions: self.tokens,
                name: layer.name,
                heads: layer.heads,
                causal: layer.causal,
            })
        };
        let layers = layout.layers.into_iter().enumerate().map(read);
        Ok((layers.collect::<Result<_>>()?, layout.pooling))
    }

    fn attention_program(&mut self) -> Result<(ProgramId, AttentionLayout)> {
        if let Some((program, layout)) = &self.attention {
            return Ok((*program, layout.clone()));
        }
        let (tokens, batch) = (self.tokens, self.model.batch);
        let mut layout = AttentionLayout {
            layers: Vec::new(),
            pooling: None,
        };
        let keep = |name: &str| name == LOGITS || name.starts_with(READ);
        let program = self.model.prepare(keep, |builder, task, models| {
            let seen = Observed::default();
            let (_, seen) = observed(builder, (task, models), tokens, batch, seen)?;
            layout.pooling = seen.pooling;
            let of_text = |qkv: &Var<'_>| qkv.shape().dims().get(1) == Some(&tokens);
            let attention = seen.attention.into_iter();
            let attention = attention.filter(|layer| of_text(&layer.qkv));
            for (place, layer) in attention.enumerate() {
                builder.output(&read_name(place), layer.qkv);
                layout.layers.push(AttentionLayer {
                    name: layer.name,
                    heads: layer.heads,
                    causal: layer.causal,
                    width: layer.qkv.shape().last(),
                });
            }
            Ok(())
        })?;
        self.attention = Some((program, layout.clone()));
        Ok((program, layout))
    }
}

/// The output that holds what the attention layer of this number reads.
fn read_name(place: usize) -> String {
    format!("{READ}{place}")
}

/// The logits of a batch of texts that are fed, with what explanations look at.
fn observed<'g>(
    builder: &'g Builder,
    (task, models): (&dyn Task, &Models),
    tokens: usize,
    batch: usize,
    observed: Observed<'g>,
) -> Result<(Var<'g>, Observed<'g>)> {
    let fields = [(field::TOKENS.to_string(), TensorType::u32([batch, tokens]))];
    let batch = Batch::fed(builder, batch, fields);
    let mut step = StepGraph::new(batch, Forward::observing(builder, observed), models);
    let logits = predicted(task, &mut step)?;
    let observed = step.forward.observed().cloned().unwrap_or_default();
    Ok((logits, observed))
}
