//! Text generation with a language model, token by token.

use super::Sampling;
use crate::cpu::Tensor;
use crate::data::{Decoder, Tokenizer};
use crate::device::{Device, Engine, ProgramId};
use crate::error::{Error, Result};
use crate::graph::{Builder, Graph};
use crate::nn::{Forward, Model};
use crate::random::{Purpose, Stream};
use crate::run::RunParts;
use crate::tensor::TensorType;

/// Variables of a step: the tokens so far, padded, and the position of the last.
const TOKENS: &str = "generate.tokens";
const PLACE: &str = "generate.place";

/// A language model on an engine.
pub struct Generator<'e> {
    device: Box<dyn Device + 'e>,
    program: ProgramId,
    tokenizer: Tokenizer,
    /// Context length in tokens.
    context: usize,
}

/// A step: the logits for the token after the one at `PLACE`. A language model is causal, so tokens after `PLACE` have no effect.
fn graph(model: &dyn Model, context: usize) -> Result<Graph> {
    let builder = Builder::new();
    let tokens = builder.variable(TOKENS, TensorType::u32([1, context]))?;
    let place = builder.variable(PLACE, TensorType::u32([1]))?;
    let mut forward = Forward::evaluation(&builder);
    let outputs = model.forward_one(&mut forward, tokens)?;
    forward.finish()?;
    let vocabulary = outputs.shape().last();
    let logits = outputs.reshape([context, vocabulary])?.gather(place)?;
    builder.output("logits", logits);
    builder.finish()
}

impl<'e> Generator<'e> {
    /// Puts the model of a run, with its weights, on `engine`.
    ///
    /// # Errors
    /// If the run is not a language model, or device memory is too small.
    pub fn new(engine: &'e Engine, parts: &RunParts) -> Result<Generator<'e>> {
        let model = parts.models.first()?;
        let name = model.name();
        let no_language = |why: &str| {
            Error::Config(format!(
                "model {name} can't generate text: {why}; name a run of a language model, such as one trained by examples/shakespeare.toml"
            ))
        };
        let tokenizer = parts.fitted.tokenizer.clone();
        let tokenizer = tokenizer.ok_or_else(|| no_language("it was not trained on text"))?;
        if !parts.task.writes_text() {
            return Err(no_language("it classifies texts"));
        }
        let input = model.inputs().first().and_then(|input| input.spec.tokens());
        let units = match (model.outputs().first(), input) {
            (Some(output), Some(input)) if output.shape.len() == 2 => {
                Some((output.shape[1], input))
            }
            _ => None,
        };
        let (units, input) =
            units.ok_or_else(|| no_language("it does not give logits for every token"))?;
        let context = input.tokens;
        if units < tokenizer.vocabulary() {
            return Err(Error::Config(format!(
                "model {name} gives {units} logits per token, but its tokenizer has {} tokens: model and tokenizer.json are from \
                 different runs",
                tokenizer.vocabulary()
            )));
        }
        let graph = graph(model, context)?;
        let mut device = engine.device();
        let planned = device.plan(graph)?;
        let values = match &parts.values {
            Some(values) => values.clone(),
            None => parts.models.initial_state(parts.recipe.seed),
        };
        parts.models.put(&mut *device, &values)?;
        for (name, length) in [(TOKENS, [1, context].to_vec()), (PLACE, vec![1])] {
            device.set(name, &Tensor::zeros(&TensorType::u32(length)))?;
        }
        let program = device.prepare(planned)?;
        Ok(Generator {
            device,
            program,
            tokenizer,
            context,
        })
    }

    /// The tokens of `prompt`. An empty prompt gives a new line or, if the tokenizer has none, its first token.
    ///
    /// # Errors
    /// Names the first character or word that is not in the vocabulary.
    pub fn tokens_of(&self, prompt: &str) -> Result<Vec<u32>> {
        let mut tokens = Vec::new();
        if prompt.is_empty() {
            self.tokenizer.encoder().encode("\n", &mut tokens);
            if tokens.is_empty() || self.tokenizer.unknown("\n").is_some() {
                tokens = vec![self.tokenizer.first_token()];
            }
            return Ok(tokens);
        }
        if let Some(unknown) = self.tokenizer.unknown(prompt) {
            return Err(Error::Config(format!(
                "the prompt contains {unknown:?}, which did not occur in the training text; leave it out"
            )));
        }
        self.tokenizer.encoder().encode(prompt, &mut tokens);
        if tokens.is_empty() {
            return Err(Error::Config(
                "the prompt has no token for the model's tokenizer; add a word".to_string(),
            ));
        }
        Ok(tokens)
    }

    /// The logits for the token that follows `tokens`, of which only the last ones that fit the context are used.
    ///
    /// # Errors
    /// If there are none, or the device failed.
    pub fn logits(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let seen = &tokens[tokens.len().saturating_sub(self.context)..];
        let place = seen.len().checked_sub(1);
        let place =
            place.ok_or_else(|| Error::Config("a text needs at least one token".to_string()))?;
        let mut padded = seen.to_vec();
        padded.resize(self.context, crate::data::PADDING);
        self.device
            .set(TOKENS, &Tensor::index([1, self.context], padded))?;
        self.device
            .set(PLACE, &Tensor::index([1], vec![place as u32]))?;
        self.device.run(self.program, 1, &[])?;
        let logits = self.device.output(self.program, "logits")?;
        Ok(logits.reals().to_vec())
    }

    /// Writes `count` tokens after `prompt`, passing each piece of text to `take` as soon as it is complete. The same prompt and
    /// sampling give the same text on the same device.
    ///
    /// # Errors
    /// If the prompt has unknown tokens, or the device or `take` failed.
    pub fn write<E: From<Error>>(
        &mut self,
        prompt: &str,
        count: usize,
        sampling: &Sampling,
        mut take: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        sampling.check()?;
        let mut tokens = self.tokens_of(prompt)?;
        let tokenizer = self.tokenizer.clone();
        let mut decoder = Decoder::new(&tokenizer, !prompt.is_empty());
        let mut stream = Stream::new(sampling.seed, Purpose::Generation.stream(0));
        // Padding and what was unknown are no text.
        let first = tokenizer.first_token() as usize;
        for _ in 0..count {
            let logits = self.logits(&tokens)?;
            let known = &logits[..tokenizer.vocabulary()];
            let token = sampling.choose(known, &tokens, first, &mut stream)?;
            tokens.push(token);
            if tokens.len() > self.context {
                tokens.remove(0);
            }
            let text = decoder.push(token);
            if !text.is_empty() {
                take(&text)?;
            }
        }
        match decoder.finish() {
            text if text.is_empty() => Ok(()),
            text => take(&text),
        }
    }
}
