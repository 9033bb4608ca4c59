//! The logits of the tokens that follow several texts, of which a model sees a window each.
//!
//! A model that works position by position, such as a GPT, keeps the keys and values of its attention on the device: a pass over the
//! whole window starts a text, and a pass over one position continues it. Any other model takes a whole pass for every token.

use crate::cpu::Tensor;
use crate::data::PADDING;
use crate::device::{Device, ProgramId};
use crate::error::{Error, Result};
use crate::graph::{Builder, Graph};
use crate::nn::{DecodeStart, DecodeStep, Forward, Model};
use crate::tensor::TensorType;

const LOGITS: &str = "logits";
/// Inputs of both programs: tokens, and the places of the last ones.
const TOKENS: &str = "generate.tokens";
const PLACES: &str = "generate.places";
/// Which texts a pass over whole windows keeps.
const FRESH: &str = "generate.fresh";
/// Other inputs of a pass over one position.
const HERE: &str = "generate.here";
const LENGTHS: &str = "generate.lengths";

/// The end of a text, which a model sees.
#[derive(Clone, Debug)]
pub(super) struct Window {
    tokens: Vec<u32>,
    /// Tokens whose keys and values the device keeps.
    kept: usize,
}

impl Window {
    /// The last `context` of `tokens`.
    pub fn new(tokens: &[u32], context: usize) -> Window {
        Window {
            tokens: tokens[tokens.len().saturating_sub(context)..].to_vec(),
            kept: 0,
        }
    }

    /// The tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }
}

/// The programs of a model for a number of texts.
pub(super) struct Windows {
    /// A pass over whole windows.
    whole: ProgramId,
    /// A pass over one position, if the model can decode.
    next: Option<ProgramId>,
    /// Texts at once.
    count: usize,
    /// Most tokens of a window.
    context: usize,
}

impl Windows {
    /// Prepares the programs for `count` texts; `keeps` says whether keys and values are kept if the model can decode. Its state
    /// must be on `device`.
    ///
    /// # Errors
    /// If device memory is too small.
    pub fn new(
        device: &mut dyn Device,
        model: &dyn Model,
        count: usize,
        context: usize,
        keeps: bool,
    ) -> Result<Windows> {
        let input = model.inputs().first().map(|input| &*input.name);
        let input =
            input.filter(|input| keeps && context > 1 && model.check_decoding(input).is_ok());
        let graph = whole(model, count, context, input.is_some())?;
        let kept = graph.updated(DecodeStep::is_variable);
        let whole = device.plan(graph)?;
        let next = input.map(|input| next(model, input, count, context));
        let next = next.transpose()?;
        let next = next.map(|graph| device.plan(graph)).transpose()?;
        for (name, ty) in kept {
            device.set(&name, &Tensor::zeros(&ty))?;
        }
        Ok(Windows {
            whole: device.prepare(whole)?,
            next: next.map(|planned| device.prepare(planned)).transpose()?,
            count,
            context,
        })
    }

    /// Most tokens of a window.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Adds `token` to `window`. A full window loses its first token or, if keys and values are kept, its older half: they hold for
    /// the places at which they were computed.
    pub fn push(&self, window: &mut Window, token: u32) {
        if window.tokens.len() == self.context {
            let dropped = match self.next {
                Some(_) => self.context.div_ceil(2),
                None => 1,
            };
            window.tokens.drain(..dropped);
            window.kept = 0;
        }
        window.tokens.push(token);
    }

    /// For each of `windows`, at most as many as the programs are for, the logits of the token that follows it.
    ///
    /// # Errors
    /// If one has no tokens, or the device failed.
    pub fn logits(&self, device: &mut dyn Device, windows: &mut [Window]) -> Result<Vec<Vec<f32>>> {
        if windows.is_empty() || windows.len() > self.count {
            let message = format!("{} texts are none or too many", windows.len());
            return Err(Error::Graph(message));
        }
        if windows.iter().any(|window| window.tokens.is_empty()) {
            let message = "a text needs at least one token".to_string();
            return Err(Error::Config(message));
        }
        let starts: Vec<bool> = windows
            .iter()
            .map(|window| self.next.is_none() || window.kept + 1 != window.tokens.len())
            .collect();
        let mut found = vec![Vec::new(); windows.len()];
        let mut take = |output: Tensor<f32>, which: bool| {
            let rows = output.reals().chunks(output.shape.last());
            for ((found, row), &starts) in found.iter_mut().zip(rows).zip(&starts) {
                if starts == which {
                    *found = row.to_vec();
                }
            }
        };
        if starts.contains(&true) {
            take(self.run_whole(device, windows, &starts)?, true);
        }
        if let Some(next) = self.next.filter(|_| starts.contains(&false)) {
            take(self.run_next(device, next, windows, &starts)?, false);
        }
        for window in windows {
            window.kept = window.tokens.len();
        }
        Ok(found)
    }

    fn run_whole(
        &self,
        device: &mut dyn Device,
        windows: &[Window],
        starts: &[bool],
    ) -> Result<Tensor<f32>> {
        let (count, context) = (self.count, self.context);
        let mut tokens = vec![PADDING; count * context];
        let (mut places, mut fresh) = (vec![0; count], vec![0.0; count]);
        for (row, (window, &starts)) in windows.iter().zip(starts).enumerate() {
            let at = row * context;
            tokens[at..at + window.tokens.len()].copy_from_slice(&window.tokens);
            places[row] = (at + window.tokens.len() - 1) as u32;
            fresh[row] = f32::from(u8::from(starts));
        }
        let program = self.whole;
        device.feed(program, TOKENS, &Tensor::index([count, context], tokens))?;
        device.feed(program, PLACES, &Tensor::index([count], places))?;
        if self.next.is_some() {
            device.feed(program, FRESH, &Tensor::real([count, 1, 1], fresh))?;
        }
        device.run(program, 1, &[])?;
        device.output(program, LOGITS)
    }

    fn run_next(
        &self,
        device: &mut dyn Device,
        program: ProgramId,
        windows: &[Window],
        starts: &[bool],
    ) -> Result<Tensor<f32>> {
        let (count, context) = (self.count, self.context);
        let (mut tokens, mut places) = (vec![PADDING; count], vec![0; count]);
        let (mut here, mut lengths) = (vec![0.0; count * context], vec![1; count]);
        let rows = here.chunks_mut(context).zip(windows.iter().zip(starts));
        for (row, (here, (window, _))) in rows.enumerate().filter(|(_, (_, (_, starts)))| !**starts)
        {
            let place = window.tokens.len() - 1;
            tokens[row] = window.tokens[place];
            places[row] = place as u32;
            lengths[row] = place as u32 + 1;
            here[place] = 1.0;
        }
        for (name, value) in [
            (TOKENS, Tensor::index([count, 1], tokens)),
            (PLACES, Tensor::index([count], places)),
            (HERE, Tensor::real([count, context, 1], here)),
            (LENGTHS, Tensor::index([count], lengths)),
        ] {
            device.feed(program, name, &value)?;
        }
        device.run(program, 1, &[])?;
        device.output(program, LOGITS)
    }
}

/// The pass over whole windows; it keeps keys and values if `keeps`. A language model is causal, so what follows a text has no effect.
fn whole(model: &dyn Model, count: usize, context: usize, keeps: bool) -> Result<Graph> {
    let builder = Builder::new();
    let tokens = builder.input(TOKENS, TensorType::u32([count, context]));
    let places = builder.input(PLACES, TensorType::u32([count]));
    let mut cx = match keeps {
        true => {
            let fresh = builder.input(FRESH, TensorType::f32([count, 1, 1]));
            Forward::decoding_from(&builder, DecodeStart { fresh })
        }
        false => Forward::evaluation(&builder),
    };
    let outputs = model.forward_one(&mut cx, tokens)?;
    cx.finish()?;
    let vocabulary = outputs.shape().last();
    let rows = outputs.reshape([count * context, vocabulary])?;
    builder.output(LOGITS, rows.gather(places)?);
    builder.finish()
}

/// The pass over one position of each text, of a model whose input is called `input`.
fn next(model: &dyn Model, input: &str, count: usize, context: usize) -> Result<Graph> {
    let builder = Builder::new();
    let step = DecodeStep {
        positions: context,
        place: builder.input(PLACES, TensorType::u32([count])),
        here: builder.input(HERE, TensorType::f32([count, context, 1])),
        lengths: builder.input(LENGTHS, TensorType::u32([count])),
        parents: None,
    };
    let tokens = builder.input(TOKENS, TensorType::u32([count, 1]));
    let mut cx = Forward::decoding(&builder, step);
    let outputs = model.decode(&mut cx, (input, tokens), &[], &[])?;
    cx.finish()?;
    let logits = outputs.first().copied();
    let logits = logits.ok_or_else(|| Error::Graph("the model has no output".to_string()))?;
    builder.output(LOGITS, logits.reshape([count, logits.shape().last()])?);
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Engine;
    use crate::nn::Network;
    use crate::tasks::Models;

    /// Two blocks of causal attention, with positions that are learned, computed, or rotations.
    fn model(positions: &str, rotary: &str) -> Network {
        let attention =
            format!("{{ type = \"self_attention\", heads = 2, causal = true{rotary} }}");
        let text = format!(
            r#"
            name = "tiny"
            input = {{ tokens = 6, vocabulary = 9 }}
            layer = [
                {{ type = "embedding", width = 8 }},
                {positions}
                {attention},
                {{ type = "layer_norm" }},
                {attention},
                {{ type = "dense", units = 9 }},
            ]
            "#
        );
        Network::new(toml::from_str(&text).unwrap()).unwrap()
    }

    fn device<'e>(engine: &'e Engine, network: &Network) -> Box<dyn Device + 'e> {
        let models = Models::one(network.clone());
        let mut device = engine.device();
        models.put(&mut *device, &models.initial_state(3)).unwrap();
        device
    }

    /// Texts of different lengths in one batch, far beyond the context, against one whole pass for each token of one text.
    #[test]
    fn kept_keys_and_values_give_the_logits_of_whole_passes() {
        let positions = "{ type = \"positions\", kind = \"learned\" },";
        let engine = Engine::Cpu;
        for (positions, rotary) in [(positions, ""), ("", ", rotary = 10000.0")] {
            let network = model(positions, rotary);
            let (mut kept, mut whole) = (device(&engine, &network), device(&engine, &network));
            let windows = Windows::new(&mut *kept, &network, 3, 6, true).unwrap();
            let alone = Windows::new(&mut *whole, &network, 1, 6, false).unwrap();
            assert!(windows.next.is_some() && alone.next.is_none());
            let mut texts = [vec![1, 2, 3], vec![4], vec![5, 6, 7, 8, 1, 2, 3]]
                .map(|tokens: Vec<u32>| Window::new(&tokens, 6));
            let mut steps = 0;
            for _ in 0..12 {
                let starts = texts
                    .iter()
                    .filter(|text| text.kept + 1 != text.tokens.len());
                steps += texts.len() - starts.count();
                let found = windows.logits(&mut *kept, &mut texts).unwrap();
                for (text, found) in texts.iter_mut().zip(found) {
                    let own = &mut [Window::new(&text.tokens, 6)];
                    let known = alone.logits(&mut *whole, own).unwrap().remove(0);
                    let apart = found.iter().zip(&known).map(|(a, b)| (a - b).abs());
                    let apart = apart.fold(0.0, f32::max);
                    assert!(apart < 1e-5, "{:?}: {apart}", text.tokens);
                    let best = (1..9).max_by(|&a, &b| known[a].total_cmp(&known[b]));
                    windows.push(text, best.unwrap() as u32);
                }
            }
            assert!(
                steps > 18,
                "only {steps} of 36 passes were over one position"
            );
        }
    }

    #[test]
    fn other_models_take_whole_passes() {
        let text = r#"
            name = "tiny"
            input = { tokens = 4, vocabulary = 9 }
            layer = [
                { type = "embedding", width = 8 },
                { type = "gru", units = 8 },
                { type = "dense", units = 9 },
            ]
            "#;
        let network = Network::new(toml::from_str(text).unwrap()).unwrap();
        let engine = Engine::Cpu;
        let mut device = device(&engine, &network);
        let windows = Windows::new(&mut *device, &network, 2, 4, true).unwrap();
        assert!(windows.next.is_none());
        let mut window = Window::new(&[1, 2, 3, 4], 4);
        windows.push(&mut window, 5);
        assert_eq!(window.tokens(), [2, 3, 4, 5]);
        let logits = windows.logits(&mut *device, &mut [window]).unwrap();
        assert_eq!((logits.len(), logits[0].len()), (1, 9));
        assert!(windows.logits(&mut *device, &mut []).is_err());
        let empty = Window::new(&[], 4);
        assert!(windows.logits(&mut *device, &mut [empty]).is_err());
    }
}
