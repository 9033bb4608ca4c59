//! Text generation with a language model, token by token, for several prompts at once.

mod windows;

use self::windows::{Window, Windows};
use super::Sampling;
use crate::data::{Decoder, Tokenizer};
use crate::device::{Device, Engine};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use crate::run::RunParts;

/// A language model on an engine.
pub struct Generator<'e> {
    device: Box<dyn Device + 'e>,
    windows: Windows,
    tokenizer: Tokenizer,
    /// Prompts at once.
    batch: usize,
}

impl<'e> Generator<'e> {
    /// Puts the model of a run, with its weights, on `engine`, for `batch` prompts at once.
    ///
    /// # Errors
    /// If the run is not a language model, or device memory is too small.
    pub fn new(engine: &'e Engine, parts: &RunParts, batch: usize) -> Result<Generator<'e>> {
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
        let mut device = engine.device();
        let values = match &parts.values {
            Some(values) => values.clone(),
            None => parts.models.initial_state(parts.recipe.seed),
        };
        parts.models.put(&mut *device, &values)?;
        let batch = batch.max(1);
        let windows = Windows::new(&mut *device, model, batch, context, true)?;
        Ok(Generator {
            device,
            windows,
            tokenizer,
            batch,
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

    /// Writes `count` tokens after each of `prompts`, passing each piece of text with the number of its prompt, from 0, to `take` as
    /// soon as it is complete. The same prompt at the same place and the same sampling give the same text on the same device.
    ///
    /// # Errors
    /// If a prompt has unknown tokens, or the device or `take` failed.
    pub fn write<E: From<Error>>(
        &mut self,
        prompts: &[String],
        count: usize,
        sampling: &Sampling,
        mut take: impl FnMut(usize, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        sampling.check()?;
        let starts = prompts.iter().map(|prompt| self.tokens_of(prompt));
        let starts = starts.collect::<Result<Vec<_>>>()?;
        let tokenizer = self.tokenizer.clone();
        let context = self.windows.context();
        let mut texts: Vec<Text<'_>> = (0..)
            .zip(prompts)
            .map(|(number, prompt)| Text {
                decoder: Decoder::new(&tokenizer, !prompt.is_empty()),
                stream: Stream::new(sampling.seed, Purpose::Generation.stream(number)),
            })
            .collect();
        let numbers: Vec<usize> = (0..prompts.len()).collect();
        // Padding and what was unknown are no text.
        let first = tokenizer.first_token() as usize;
        for numbers in numbers.chunks(self.batch) {
            let windows = numbers
                .iter()
                .map(|&number| Window::new(&starts[number], context));
            let mut windows: Vec<Window> = windows.collect();
            for _ in 0..count {
                let logits = self.windows.logits(&mut *self.device, &mut windows)?;
                for ((&number, window), logits) in numbers.iter().zip(&mut windows).zip(logits) {
                    let text = &mut texts[number];
                    let known = &logits[..tokenizer.vocabulary()];
                    let token = sampling.choose(known, window.tokens(), first, &mut text.stream)?;
                    self.windows.push(window, token);
                    let piece = text.decoder.push(token);
                    if !piece.is_empty() {
                        take(number, &piece)?;
                    }
                }
            }
        }
        for (number, text) in texts.into_iter().enumerate() {
            let rest = text.decoder.finish();
            if !rest.is_empty() {
                take(number, &rest)?;
            }
        }
        Ok(())
    }
}

/// A text that is written.
struct Text<'t> {
    decoder: Decoder<'t>,
    stream: Stream,
}
