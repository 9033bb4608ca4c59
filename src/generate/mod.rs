//! Writing text with a model of language: it is asked for the token after those there are, again and again.

mod sampling;

pub use sampling::Sampling;

use crate::cpu::Tensor;
use crate::data::{Decoder, Tokenizer};
use crate::error::{Error, Result};
use crate::graph::{Builder, Graph};
use crate::nn::{Forward, Model, Network};
use crate::random::{Purpose, Stream};
use crate::settings::Settings;
use crate::tensor::TensorType;
use crate::train::{Engine, Memory, Runner, weights};

/// Variables of a step: the tokens so far, filled up with padding, and the place of the last.
const TOKENS: &str = "generate.tokens";
const PLACE: &str = "generate.place";

/// A model of language on an engine, ready to write.
pub struct Generator<'e> {
    engine: &'e Engine,
    memory: Memory,
    runner: Runner,
    tokenizer: Tokenizer,
    /// The most tokens that it sees.
    context: usize,
}

/// A step: the logits of the token after the one at `PLACE`. A model of language sees at a place only what is before it, so
/// whatever stands after `PLACE` changes nothing.
fn graph(network: &Network, context: usize) -> Result<Graph> {
    let builder = Builder::new();
    let tokens = builder.variable(TOKENS, TensorType::u32([1, context]))?;
    let place = builder.variable(PLACE, TensorType::u32([1]))?;
    let outputs = network.forward_one(&mut Forward::evaluation(&builder), tokens)?;
    let vocabulary = outputs.shape().last();
    let logits = outputs.reshape([context, vocabulary])?.gather(place)?;
    builder.output("logits", logits);
    builder.finish()
}

impl<'e> Generator<'e> {
    /// Puts the weights `settings.init` of `network` on `engine`.
    ///
    /// # Errors
    /// If the run that the settings are of learned no language, or the whole does not fit the device.
    pub fn new(
        engine: &'e Engine,
        settings: &Settings,
        network: &Network,
    ) -> Result<Generator<'e>> {
        let name = &network.spec.name;
        let no_language = |why: &str| {
            Error::Config(format!(
                "model {name} writes no text: {why}; name a run that was trained on a text, as by examples/shakespeare.toml"
            ))
        };
        let tokenizer = settings.data.tokenizer.clone();
        let tokenizer = tokenizer.ok_or_else(|| no_language("it did not learn from texts"))?;
        if !settings.data.classes.is_empty() {
            return Err(no_language("it tells texts apart"));
        }
        let input = network.spec.input.tokens().filter(|_| network.per_token());
        let input = input.ok_or_else(|| no_language("it gives no logits for every token"))?;
        let context = input.tokens;
        if network.classes() < tokenizer.vocabulary() {
            return Err(Error::Config(format!(
                "model {name} gives {} numbers for a token, but its tokenizer has {} tokens: model and tokenizer.json are of \
                 different runs",
                network.classes(),
                tokenizer.vocabulary()
            )));
        }
        let graph = graph(network, context)?;
        engine.check(&graph)?;
        let mut memory = engine.memory();
        let values = match &settings.init {
            Some(path) => weights::load(path, network.state())?,
            None => network.initial_state(settings.seed),
        };
        for (part, value) in network.state().zip(values) {
            memory.set(engine, &part.name, &value)?;
        }
        for (name, length) in [(TOKENS, [1, context].to_vec()), (PLACE, vec![1])] {
            memory.set(engine, name, &Tensor::zeros(&TensorType::u32(length)))?;
        }
        let runner = engine.prepare(graph, &memory)?;
        Ok(Generator {
            engine,
            memory,
            runner,
            tokenizer,
            context,
        })
    }

    /// The tokens of `prompt`; of an empty one a new line, or where the tokenizer has none its first token.
    ///
    /// # Errors
    /// Names the first character or word that the tokenizer does not know.
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
                "the prompt holds {unknown:?}, which the text that the model learned from did not; leave it out"
            )));
        }
        self.tokenizer.encoder().encode(prompt, &mut tokens);
        if tokens.is_empty() {
            return Err(Error::Config(
                "the prompt holds nothing that the model's tokenizer keeps; give it a word"
                    .to_string(),
            ));
        }
        Ok(tokens)
    }

    /// The logits of the token that follows `tokens`, of which a model sees the last alone if there are more than its context.
    ///
    /// # Errors
    /// If there are none, or the device failed.
    pub fn logits(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let seen = &tokens[tokens.len().saturating_sub(self.context)..];
        let place = seen.len().checked_sub(1);
        let place = place.ok_or_else(|| Error::Config("a text begins with a token".to_string()))?;
        let mut padded = seen.to_vec();
        padded.resize(self.context, crate::data::PADDING);
        let (engine, memory) = (self.engine, &mut self.memory);
        memory.set(engine, TOKENS, &Tensor::index([1, self.context], padded))?;
        memory.set(engine, PLACE, &Tensor::index([1], vec![place as u32]))?;
        self.runner.run(engine, memory, 1, &[])?;
        Ok(self.runner.output(engine, "logits")?.reals().to_vec())
    }

    /// Writes `count` tokens after `prompt`, handing each piece of text to `take` as soon as it is whole. The same prompt and
    /// sampling give the same text on the same device.
    ///
    /// # Errors
    /// If the prompt holds what the model does not know, or the device or `take` failed.
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
            let token = sampling.choose(known, first, &mut stream)?;
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
