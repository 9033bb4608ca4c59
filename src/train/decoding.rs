//! Sequences that a model writes token by token, for the samples of a batch at once: greedily, or by a beam search. Keys and values
//! of earlier positions, and what the model reads of its other inputs, stay on the device.

use crate::cpu::Tensor;
use crate::data::{PADDING, Samples, field};
use crate::device::{Device, ProgramId};
use crate::error::{Error, Result};
use crate::graph::{Builder, Graph};
use crate::nn::{DecodeStep, Forward, Model};
use crate::tasks::{Models, SequenceDecoding};
use crate::tensor::TensorType;
use rayon::prelude::*;

/// The scores of all tokens at the next position, as logarithms of probabilities: `[sequences, vocabulary]`.
const SCORES: &str = "scores";
/// Inputs of a step beside those of the model.
const TOKENS: &str = "step.tokens";
const PLACE: &str = "step.place";
const HERE: &str = "step.here";
const LENGTHS: &str = "step.lengths";
const PARENTS: &str = "step.parents";

/// A program that continues all sequences of a batch by one token.
pub(super) struct Decoder {
    decoding: SequenceDecoding,
    program: ProgramId,
    /// Samples of a batch.
    batch: usize,
    /// Sequences of a sample that are continued.
    pub beam: usize,
    /// Most tokens of a sequence.
    positions: usize,
    /// Size of the vocabulary of the data, whose last two tokens begin and end a sequence.
    vocabulary: usize,
}

/// A sequence that is being written.
#[derive(Clone, Debug, PartialEq)]
struct Sequence {
    tokens: Vec<u32>,
    /// Logarithm of its probability.
    score: f64,
}

/// The sequences of a sample.
#[derive(Debug)]
struct Beam {
    live: Vec<Sequence>,
    /// The sequence of the step before that each of them continues.
    parents: Vec<usize>,
    finished: Vec<Sequence>,
}

/// What a beam search compares.
#[derive(Clone, Copy)]
struct Rules {
    beam: usize,
    length_penalty: f64,
    /// The tokens that begin and end a sequence.
    begin: u32,
    end: u32,
}

impl Decoder {
    /// Prepares the decoding of `samples` in batches of `batch`, with `beam` sequences for each. The graph of the batch, which keeps
    /// the memory ([`StepGraph::remember`](crate::tasks::StepGraph::remember)), must have been prepared.
    ///
    /// # Errors
    /// If the model can't decode, or device memory is too small.
    pub fn new(
        device: &mut dyn Device,
        models: &Models,
        decoding: SequenceDecoding,
        samples: &Samples,
        batch: usize,
        beam: usize,
    ) -> Result<Decoder> {
        let model = models.first()?;
        let known = model.inputs().iter();
        let input = known.filter(|known| known.name == decoding.input);
        let input = input.filter_map(|known| known.spec.tokens()).next();
        let vocabulary = samples.vocabulary().unwrap_or(0);
        let input = input.filter(|_| vocabulary > 2);
        let positions = input.map(|input| input.tokens).ok_or_else(|| {
            let name = model.name();
            Error::Config(format!(
                "model {name} writes no tokens, which the task needs"
            ))
        })?;
        let graph = graph(model, decoding, positions, batch, beam)?;
        let kept = graph.updated(DecodeStep::is_variable);
        let planned = device.plan(graph)?;
        for (name, ty) in kept {
            device.set(&name, &Tensor::zeros(&ty))?;
        }
        Ok(Decoder {
            decoding,
            program: device.prepare(planned)?,
            batch,
            beam,
            positions,
            vocabulary,
        })
    }

    /// The sequences of the samples from number `at` on, `valid` of them, whose memory the device keeps: of each `positions` tokens,
    /// ended by padding.
    ///
    /// # Errors
    /// If the device failed.
    pub fn run(
        &self,
        device: &mut dyn Device,
        samples: &Samples,
        at: usize,
        valid: usize,
    ) -> Result<Vec<f32>> {
        let (count, time) = (self.batch * self.beam, self.positions);
        let index = |shape: &[usize], values: Vec<u32>| Tensor::<f32>::index(shape, values);
        let mut sources: Vec<u32> = Vec::with_capacity(self.batch * time);
        for sample in (0..self.batch).map(|row| at + row.min(valid - 1)) {
            sources.extend(samples.tokens(sample).unwrap_or_default());
        }
        let length = sources.len() / self.batch;
        let sources = index(&[self.batch, length], sources);
        device.feed(self.program, field::TOKENS, &sources)?;
        let rules = Rules {
            beam: self.beam,
            length_penalty: self.decoding.length_penalty,
            begin: self.vocabulary as u32 - 2,
            end: self.vocabulary as u32 - 1,
        };
        let mut beams: Vec<Beam> = (0..valid).map(|_| Beam::new()).collect();
        for place in 0..time {
            let (mut tokens, mut parents) = (vec![rules.end; count], vec![0; count]);
            for (row, parent) in parents.iter_mut().enumerate() {
                *parent = row as u32;
            }
            for (sample, beam) in beams
                .iter()
                .enumerate()
                .filter(|(_, beam)| !beam.is_done(&rules))
            {
                for (at, (sequence, parent)) in beam.live.iter().zip(&beam.parents).enumerate() {
                    let row = sample * self.beam + at;
                    tokens[row] = sequence.tokens.last().copied().unwrap_or(rules.begin);
                    parents[row] = (sample * self.beam + parent) as u32;
                }
            }
            let mut here = vec![0.0; count * time];
            here.chunks_mut(time).for_each(|row| row[place] = 1.0);
            for (name, value) in [
                (TOKENS, index(&[count, 1], tokens)),
                (PLACE, index(&[count], vec![place as u32; count])),
                (HERE, Tensor::real([count, time, 1], here)),
                (LENGTHS, index(&[count], vec![place as u32 + 1; count])),
                (PARENTS, index(&[count], parents)),
            ] {
                device.feed(self.program, name, &value)?;
            }
            device.run(self.program, 1, &[])?;
            let scores = device.output(self.program, SCORES)?;
            let width = scores.shape.last();
            let rows = scores.reals().par_chunks(self.beam * width);
            beams.par_iter_mut().zip(rows).for_each(|(beam, rows)| {
                let known = rows.chunks(width).map(|row| &row[..self.vocabulary]);
                beam.continue_with(&known.collect::<Vec<_>>(), &rules);
            });
            if beams.iter().all(|beam| beam.is_done(&rules)) {
                break;
            }
        }
        let mut written = Vec::with_capacity(valid * time);
        for beam in beams {
            let tokens = beam.best(&rules);
            let tokens = tokens.into_iter().filter(|&token| token != rules.end);
            let mut row: Vec<f32> = tokens.map(|token| token as f32).collect();
            row.resize(time, PADDING as f32);
            written.extend(row);
        }
        Ok(written)
    }

    /// Most tokens of a sequence.
    pub fn positions(&self) -> usize {
        self.positions
    }
}

/// The graph of a step.
fn graph(
    model: &dyn Model,
    decoding: SequenceDecoding,
    positions: usize,
    batch: usize,
    beam: usize,
) -> Result<Graph> {
    let others = || {
        model
            .inputs()
            .iter()
            .filter(|input| input.name != decoding.input)
    };
    // The types of the memory are known once it is built.
    let scratch = Builder::new();
    let known: Vec<_> = others()
        .map(|input| {
            (
                &*input.name,
                scratch.input(&input.name, input.spec.ty(batch)),
            )
        })
        .collect();
    let mut cx = Forward::evaluation(&scratch);
    let memory = model.memory(&mut cx, decoding.input, &known)?;
    let memory: Vec<(String, TensorType)> = memory
        .into_iter()
        .map(|(name, value)| (name, value.ty()))
        .collect();
    let builder = Builder::new();
    let count = batch * beam;
    let step = DecodeStep {
        positions,
        place: builder.input(PLACE, TensorType::u32([count])),
        here: builder.input(HERE, TensorType::f32([count, positions, 1])),
        lengths: builder.input(LENGTHS, TensorType::u32([count])),
        parents: Some(builder.input(PARENTS, TensorType::u32([count]))),
    };
    let tokens = builder.input(TOKENS, TensorType::u32([count, 1]));
    let known: Vec<_> = others()
        .map(|input| {
            (
                &*input.name,
                builder.input(&input.name, input.spec.ty(batch)),
            )
        })
        .collect();
    let kept = memory.into_iter().map(|(name, ty)| {
        let variable = builder.variable(&DecodeStep::variable(&name), ty)?;
        Ok((name, variable))
    });
    let memory = kept.collect::<Result<Vec<_>>>()?;
    let mut cx = Forward::decoding(&builder, step);
    let outputs = model.decode(&mut cx, (decoding.input, tokens), &known, &memory)?;
    cx.finish()?;
    let logits = outputs.first().copied();
    let logits = logits.ok_or_else(|| Error::Graph("the model has no output".to_string()))?;
    let width = logits.shape().last();
    builder.output(SCORES, logits.reshape([count, width])?.log_softmax()?);
    builder.finish()
}

impl Beam {
    fn new() -> Beam {
        Beam {
            live: vec![Sequence {
                tokens: Vec::new(),
                score: 0.0,
            }],
            parents: vec![0],
            finished: Vec::new(),
        }
    }

    /// Whether as many sequences have ended as are searched for.
    fn is_done(&self, rules: &Rules) -> bool {
        self.finished.len() >= rules.beam || self.live.is_empty()
    }

    /// Continues every live sequence by a token. `scores` has a row for each, the logarithms of the probabilities of all tokens. Of
    /// the best continuations those that end are finished, if they are among the `beam` best, and the next ones live on. Of equal
    /// ones the first sequence and the lowest token win.
    fn continue_with(&mut self, scores: &[&[f32]], rules: &Rules) {
        if self.is_done(rules) {
            return;
        }
        let most = 2 * rules.beam;
        let mut best: Vec<(f64, usize, u32)> = Vec::with_capacity(most + 1);
        for (at, (sequence, row)) in self.live.iter().zip(scores).enumerate() {
            for (token, &score) in (0..).zip(*row) {
                if token == PADDING || token == rules.begin {
                    continue;
                }
                let score = sequence.score + f64::from(score);
                if best.len() == most && best.last().is_some_and(|last| score <= last.0) {
                    continue;
                }
                let place = best.partition_point(|known| known.0 >= score);
                best.insert(place, (score, at, token));
                best.truncate(most);
            }
        }
        let (mut live, mut parents) = (Vec::new(), Vec::new());
        for (rank, (score, at, token)) in best.into_iter().enumerate() {
            let mut tokens = self.live[at].tokens.clone();
            tokens.push(token);
            let sequence = Sequence { tokens, score };
            if token == rules.end {
                if rank < rules.beam {
                    self.finished.push(sequence);
                }
            } else if live.len() < rules.beam {
                live.push(sequence);
                parents.push(at);
            }
        }
        (self.live, self.parents) = (live, parents);
    }

    /// The tokens of the sequence with the best score for its length: of those that ended, or else of those that did not.
    fn best(self, rules: &Rules) -> Vec<u32> {
        let score = |sequence: &Sequence| {
            let length = sequence.tokens.len().max(1) as f64;
            sequence.score / length.powf(rules.length_penalty)
        };
        let all = match self.finished.is_empty() {
            true => self.live,
            false => self.finished,
        };
        let better = |best: Option<Sequence>, next: Sequence| match best {
            Some(best) if score(&best) >= score(&next) => Some(best),
            _ => Some(next),
        };
        let best = all.into_iter().fold(None, better);
        best.map(|best| best.tokens).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Engine;
    use crate::nn::Network;

    const RULES: Rules = Rules {
        beam: 1,
        length_penalty: 1.0,
        begin: 4,
        end: 5,
    };

    /// Logarithms of the probabilities of tokens 0 to 5.
    fn row(probabilities: [f32; 6]) -> Vec<f32> {
        probabilities.map(f32::ln).to_vec()
    }

    /// Both a pass over whole translations and one token after another, with several sequences for each sentence.
    #[test]
    fn positions_that_are_decoded_have_the_scores_of_the_whole_sequence() {
        let case = crate::tasks::named("translation").unwrap();
        let case = (case.sample)().unwrap();
        let network = Network::new(case.models[0].1.clone()).unwrap();
        let models = Models::one(network.clone());
        let engine = Engine::Cpu;
        let mut device = engine.device();
        models.put(&mut *device, &models.initial_state(3)).unwrap();
        let (batch, beam, time) = (2, 2, 5);
        let sources = Tensor::<f32>::index([batch, time], vec![1, 2, 9, 0, 0, 3, 4, 5, 6, 9]);
        let written = [
            [8, 1, 2, 3, 4],
            [8, 5, 6, 7, 1],
            [8, 2, 2, 2, 2],
            [8, 7, 3, 1, 5],
        ];
        let builder = Builder::new();
        let tokens = builder.input("tokens", TensorType::u32([batch, time]));
        let mut cx = Forward::evaluation(&builder);
        let memory = network.memory(&mut cx, "target_tokens", &[("tokens", tokens)]);
        let memory = memory.unwrap();
        assert_eq!(memory.len(), 1);
        for (name, value) in memory {
            let name = DecodeStep::variable(&name);
            let kept = builder.variable(&name, value.ty()).unwrap();
            builder.update(kept, value).unwrap();
            device.set(&name, &Tensor::zeros(&value.ty())).unwrap();
        }
        // Each sequence beside its own sentence.
        for (row, sequence) in written.iter().enumerate() {
            let own = row / beam;
            let target = builder.input(&format!("target{row}"), TensorType::u32([batch, time]));
            let inputs = [target, tokens];
            let logits = network.forward(&mut cx, &inputs).unwrap()[0];
            builder.output(&format!("whole{row}"), logits.log_softmax().unwrap());
            assert!(sequence.len() == time && own < batch);
        }
        let planned = device.plan(builder.finish().unwrap()).unwrap();
        let whole = device.prepare(planned).unwrap();
        device.feed(whole, "tokens", &sources).unwrap();
        for (row, sequence) in written.iter().enumerate() {
            let both = Tensor::index([batch, time], [&sequence[..], &sequence[..]].concat());
            device.feed(whole, &format!("target{row}"), &both).unwrap();
        }
        device.run(whole, 1, &[]).unwrap();

        let decoding = SequenceDecoding {
            input: "target_tokens",
            output: "translation",
            beam,
            length_penalty: 1.0,
        };
        let graph = graph(&network, decoding, time, batch, beam).unwrap();
        for (name, ty) in graph.updated(DecodeStep::is_variable) {
            device.set(&name, &Tensor::zeros(&ty)).unwrap();
        }
        let planned = device.plan(graph).unwrap();
        let step = device.prepare(planned).unwrap();
        let count = batch * beam;
        device.feed(step, "tokens", &sources).unwrap();
        // The sequences of a sentence change places after every step.
        let swapped = |row: usize, place: usize| row - row % beam + (row + place) % beam;
        for place in 0..time {
            let rows = (0..count).map(|row| written[swapped(row, place)][place]);
            let tokens = Tensor::index([count, 1], rows.collect());
            let parents = (0..count).map(|row| (row - row % beam + (row + 1) % beam) as u32);
            let mut here = vec![0.0; count * time];
            here.chunks_mut(time).for_each(|row| row[place] = 1.0);
            let lengths = vec![place as u32 + 1; count];
            for (name, value) in [
                (TOKENS, tokens),
                (PLACE, Tensor::index([count], vec![place as u32; count])),
                (HERE, Tensor::real([count, time, 1], here)),
                (LENGTHS, Tensor::index([count], lengths)),
                (PARENTS, Tensor::index([count], parents.collect())),
            ] {
                device.feed(step, name, &value).unwrap();
            }
            device.run(step, 1, &[]).unwrap();
            let scores = device.output(step, SCORES).unwrap();
            let width = scores.shape.last();
            for row in 0..count {
                let sequence = swapped(row, place);
                let known = device.output(whole, &format!("whole{sequence}")).unwrap();
                let at = ((row / beam) * time + place) * width;
                let known = &known.reals()[at..at + width];
                let own = &scores.reals()[row * width..(row + 1) * width];
                let apart = own.iter().zip(known).map(|(a, b)| (a - b).abs());
                let apart = apart.fold(0.0, f32::max);
                assert!(apart < 1e-5, "row {row} at {place}: {apart}");
            }
        }
    }

    #[test]
    fn shorter_batches_have_the_scores_of_padded_ones() {
        let case = crate::tasks::named("translation").unwrap();
        let case = (case.sample)().unwrap();
        let network = Network::new(case.models[0].1.clone()).unwrap();
        let shorter = network.shortened(3).unwrap();
        let models = Models::one(network.clone());
        let engine = Engine::Cpu;
        let mut device = engine.device();
        models.put(&mut *device, &models.initial_state(3)).unwrap();
        let mut scores = |model: &dyn Model, tokens: Vec<u32>, target: Vec<u32>| -> Vec<f32> {
            let time = tokens.len();
            let builder = Builder::new();
            let ty = || TensorType::u32([1, time]);
            let inputs = [builder.input("target", ty()), builder.input("source", ty())];
            let mut cx = Forward::evaluation(&builder);
            let logits = model.forward(&mut cx, &inputs).unwrap()[0];
            builder.output("logits", logits);
            let planned = device.plan(builder.finish().unwrap()).unwrap();
            let program = device.prepare(planned).unwrap();
            for (name, tokens) in [("source", tokens), ("target", target)] {
                let value = Tensor::index([1, time], tokens);
                device.feed(program, name, &value).unwrap();
            }
            device.run(program, 1, &[]).unwrap();
            device.output(program, "logits").unwrap().reals().to_vec()
        };
        let whole = scores(&network, vec![1, 2, 9, 0, 0], vec![8, 3, 4, 0, 0]);
        let short = scores(&*shorter, vec![1, 2, 9], vec![8, 3, 4]);
        let apart = short.iter().zip(&whole).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-5);
        // A mean over time would depend on the number of positions, but not its weights; there are no fewer tokens than one.
        assert!(network.shortened(6).is_err());
    }

    #[test]
    fn a_greedy_search_takes_the_best_token_until_the_end() {
        let mut beam = Beam::new();
        // Padding and the beginning are no continuation.
        let first = row([0.4, 0.1, 0.2, 0.1, 0.19, 0.01]);
        beam.continue_with(&[&first], &RULES);
        assert_eq!(beam.live[0].tokens, [2]);
        let second = row([0.0, 0.1, 0.2, 0.1, 0.2, 0.4]);
        beam.continue_with(&[&second], &RULES);
        assert!(beam.is_done(&RULES));
        assert_eq!(beam.best(&RULES), [2, 5]);
    }

    #[test]
    fn a_beam_finds_what_a_greedy_search_misses() {
        let rules = Rules { beam: 2, ..RULES };
        let mut beam = Beam::new();
        // The better first token has no good continuation.
        beam.continue_with(&[&row([0.0, 0.0, 0.6, 0.4, 0.0, 0.0])], &rules);
        assert_eq!(beam.parents, [0, 0]);
        let after_two = row([0.0, 0.3, 0.3, 0.3, 0.0, 0.1]);
        let after_three = row([0.0, 0.05, 0.0, 0.0, 0.0, 0.95]);
        beam.continue_with(&[&after_two, &after_three], &rules);
        assert_eq!(beam.finished[0].tokens, [3, 5]);
        assert_eq!(beam.parents, [0, 0]);
        assert_eq!(
            (&beam.live[0].tokens[..], &beam.live[1].tokens[..]),
            (&[2, 1][..], &[2, 2][..])
        );
        let end = row([0.0, 0.1, 0.1, 0.1, 0.0, 0.7]);
        beam.continue_with(&[&end, &end], &rules);
        assert!(beam.is_done(&rules));
        // 0.38 by a root of 2 tokens is more than 0.126 by one of 3.
        assert_eq!(beam.best(&rules), [3, 5]);
    }
}
