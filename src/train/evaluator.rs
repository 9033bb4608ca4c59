//! A pass over a set, which computes counters of a task and outputs of samples.

use super::decoding::Decoder;
use super::graphs::{BatchSource, evaluation_graph, picture_graph, prediction_graph};
use super::loaded::Loaded;
use super::scalars::{ScalarRows, StepInputs};
use crate::cpu::Tensor;
use crate::data::{Mosaic, Normalization, Pass, Samples, SetLayout, field};
use crate::device::{Device, ProgramId};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::nn::DecodeStep;
use crate::tasks::{Counters, Models, Scorer, StepGraphCounters, Task};
use crate::tensor::TensorType;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Outputs of samples: name, shape for one sample, and the values for all of them.
pub type Collected = Vec<(String, Vec<usize>, Vec<f32>)>;

/// The outputs that a pass keeps, besides those of all samples from which the task computes metrics ([`Task::host_outputs`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// Those of this many first samples.
    First(usize),
    /// The same, but of the task's [`reported_outputs`](Task::reported_outputs) those of all samples, up to a bound.
    Reported(usize),
    /// All, except for outputs that are only shown ([`Task::shown_outputs`]), of which only the first few are kept.
    All,
    /// All, also those that are shown, so that the prediction for each sample can be decoded.
    Every,
}

/// Most values of an output that are kept for a report: 256 MiB.
const MOST_REPORTED: usize = 1 << 26;

/// A set on a device, with a graph for evaluation or prediction.
pub struct Evaluator {
    task: Arc<dyn Task>,
    program: ProgramId,
    rows: ScalarRows,
    data: Loaded,
    counters: Vec<(String, TensorType)>,
    outputs: Vec<String>,
    /// Outputs that are only kept for the first samples.
    shown: &'static [&'static str],
    /// Whether targets are known, by which samples are scored.
    scores: bool,
    /// The program that gives images, once they were requested.
    pictures: Option<ProgramId>,
    /// The models, and the programs that write sequences with them, once they were needed.
    models: Models,
    decoders: Vec<Decoder>,
    /// The time that it took to read outputs in the last pass, without the computation.
    reading: Duration,
}

impl Evaluator {
    /// Prepares the evaluation of `samples`. The models' variables must be on the device.
    ///
    /// # Errors
    /// If models and data don't fit together, or device memory is too small.
    pub fn evaluation(
        device: &mut dyn Device,
        task: Arc<dyn Task>,
        models: &Models,
        samples: Samples,
        normal: Normalization<'_>,
        sizes: Sizes,
    ) -> Result<Evaluator> {
        let shown = task.shown_outputs();
        let evaluator = Self::new(
            device,
            task,
            models,
            samples,
            normal,
            sizes,
            evaluation_graph,
        )?;
        Ok(Evaluator {
            shown,
            scores: true,
            ..evaluator
        })
    }

    /// Prepares predictions from `samples`, of which only inputs are known.
    ///
    /// # Errors
    /// If models and data don't fit together, or device memory is too small.
    pub fn prediction(
        device: &mut dyn Device,
        task: Arc<dyn Task>,
        models: &Models,
        samples: Samples,
        normal: Normalization<'_>,
        sizes: Sizes,
    ) -> Result<Evaluator> {
        Self::new(
            device,
            task,
            models,
            samples,
            normal,
            sizes,
            prediction_graph,
        )
    }

    fn new(
        device: &mut dyn Device,
        task: Arc<dyn Task>,
        models: &Models,
        samples: Samples,
        normal: Normalization<'_>,
        sizes: Sizes,
        graph: fn(&dyn Task, &Models, &BatchSource) -> Result<Graph>,
    ) -> Result<Evaluator> {
        let batch = sizes.batch.min(samples.len());
        let streamed = sizes.streamed(&samples, device.max_tensor_bytes());
        let layout = SetLayout::of("test", &samples, normal, batch, streamed);
        let graph = graph(&*task, models, &BatchSource::Set(layout.clone()))?;
        let counters = graph.updated(StepGraphCounters::is_one);
        let kept = graph.updated(DecodeStep::is_variable);
        let outputs = graph.outputs.iter().map(|o| o.name.clone()).collect();
        let planned = device.plan(graph)?;
        for (name, ty) in counters.iter().chain(&kept) {
            device.set(name, &Tensor::zeros(ty))?;
        }
        for (name, value) in task.variables()? {
            device.set(&name, &value)?;
        }
        let data = Loaded::new(device, layout, streamed, samples)?;
        let program = device.prepare(planned)?;
        let rows = ScalarRows::new(device.scalar_names(program), &[], &*task, 0)?;
        Ok(Evaluator {
            task,
            program,
            rows,
            data,
            counters,
            outputs,
            shown: &[],
            scores: false,
            pictures: None,
            models: models.clone(),
            decoders: Vec::new(),
            reading: Duration::ZERO,
        })
    }

    /// The samples, without pixels if these are on the device.
    pub fn samples(&self) -> &Arc<Samples> {
        &self.data.set
    }

    /// The task.
    pub fn task(&self) -> &Arc<dyn Task> {
        &self.task
    }

    /// Bytes that a step needs in addition to variables.
    pub fn workspace_bytes(&self, device: &dyn Device) -> u64 {
        device.workspace_bytes(self.program)
    }

    /// Passes over the set, keeping the requested outputs.
    ///
    /// # Errors
    /// If the device failed.
    pub fn run(&mut self, device: &mut dyn Device, keep: Outputs) -> Result<(Counters, Collected)> {
        let (samples, batch) = (self.data.set.len(), self.data.layout.batch);
        for (name, ty) in &self.counters {
            device.set(name, &Tensor::zeros(ty))?;
        }
        let mut collected: Collected = Vec::new();
        let scorer = self.scores.then(|| self.task.scorer(&self.data.set));
        let mut scorer = scorer.flatten();
        self.reading = Duration::ZERO;
        let stream = self.data.begin(device, Pass::in_order(samples), 0)?;
        for at in (0..samples).step_by(batch) {
            let valid = batch.min(samples - at);
            self.rows.clear();
            let inputs = StepInputs {
                cursor: self.data.cursor(at),
                valid,
                total: valid,
                step: (at / batch) as u64,
            };
            self.rows.push(inputs, &[], &*self.task);
            if let Some(stream) = &stream {
                self.data.feed(device, stream)?;
            }
            device.run(self.program, 1, self.rows.values())?;
            self.collect(device, &mut collected, at, valid, keep)?;
            if let Some(scorer) = &mut scorer {
                self.score(device, &mut **scorer, at, valid)?;
            }
            self.decode(device, &mut collected, at, valid, keep)?;
        }
        let read = |(name, _): &(String, TensorType)| {
            let short = StepGraphCounters::short(name).to_string();
            Ok((short, device.get(name)?))
        };
        let values = self.counters.iter().map(read);
        let mut values = values.collect::<Result<BTreeMap<String, Tensor<f32>>>>()?;
        if let Some(scorer) = &mut scorer {
            let scored = scorer.counters()?.into_iter();
            values.extend(scored.map(|(name, value)| (name.to_string(), value)));
        }
        Ok((Counters::new(samples as u64, values), collected))
    }

    /// The time that the last pass spent on reading outputs, without the computation.
    pub fn reading_time(&self) -> Duration {
        self.reading
    }

    /// The bytes of the images of these samples, one after another, with the shape of one; `None` if samples have no image. The device
    /// gathers them where the host no longer has them.
    ///
    /// # Errors
    /// If the device failed.
    pub fn pictures(
        &mut self,
        device: &mut dyn Device,
        samples: &[usize],
    ) -> Result<Option<(Vec<usize>, Vec<u8>)>> {
        let set = &self.data.set;
        let Some(shape) = set.picture_shape() else {
            return Ok(None);
        };
        let shape = shape.to_vec();
        if self.data.streamed {
            let mut bytes = Vec::new();
            for &at in samples {
                bytes.extend_from_slice(&set.picture(at)?.unwrap_or_default());
            }
            return Ok(Some((shape, bytes)));
        }
        let program = match self.pictures {
            Some(program) => program,
            None => {
                let planned = device.plan(picture_graph(&self.data.layout, &shape)?)?;
                *self.pictures.insert(device.prepare(planned)?)
            }
        };
        let mut rows = ScalarRows::new(device.scalar_names(program), &[], &*self.task, 0)?;
        let mut order: Vec<u32> = samples.iter().map(|&at| at as u32).collect();
        order.resize(set.len(), 0);
        let pass = Pass {
            order,
            starts: None,
        };
        self.data.begin(device, pass, 0)?;
        let mut bytes = Vec::new();
        for cursor in 0..samples.len().min(set.len()) {
            rows.clear();
            let inputs = StepInputs {
                cursor,
                valid: 1,
                ..StepInputs::default()
            };
            rows.push(inputs, &[], &*self.task);
            device.run(program, 1, rows.values())?;
            let value = device.output(program, field::IMAGE)?;
            bytes.extend(value.reals().iter().map(|&x| x.round() as u8));
        }
        Ok(Some((shape, bytes)))
    }

    /// Passes the outputs of the last batch, whose `valid` samples begin with number `at`, to `scorer`.
    fn score(
        &self,
        device: &dyn Device,
        scorer: &mut dyn Scorer,
        at: usize,
        valid: usize,
    ) -> Result<()> {
        let mut needed: Vec<(&str, Tensor<f32>)> = Vec::new();
        for name in self.outputs.iter().filter(|name| scorer.needs(name)) {
            needed.push((name, device.output(self.program, name)?));
        }
        for sample in 0..valid {
            let outputs = needed.iter().map(|(name, value)| {
                let shape = value.dims().get(1..).unwrap_or_default();
                let each = shape.iter().product::<usize>();
                let own = value.reals().get(sample * each..(sample + 1) * each);
                (*name, shape, own.unwrap_or_default())
            });
            let outputs: Vec<(&str, &[usize], &[f32])> = outputs.collect();
            scorer.add(&self.data.set, at + sample, &outputs)?;
        }
        Ok(())
    }

    /// Writes the sequences of the last batch, if the task does, and stores them: of all samples, whatever else is kept.
    fn decode(
        &mut self,
        device: &mut dyn Device,
        collected: &mut Collected,
        at: usize,
        valid: usize,
        keep: Outputs,
    ) -> Result<()> {
        let Some(decoding) = self.task.decoding() else {
            return Ok(());
        };
        let beam = match keep {
            Outputs::All | Outputs::Every => decoding.beam,
            Outputs::First(_) | Outputs::Reported(_) => 1,
        };
        let (samples, batch) = (&self.data.set, self.data.layout.batch);
        let place = self
            .decoders
            .iter()
            .position(|decoder| decoder.beam == beam);
        let place = match place {
            Some(place) => place,
            None => {
                let models = &self.models;
                let made = Decoder::new(device, models, decoding, samples, batch, beam)?;
                self.decoders.push(made);
                self.decoders.len() - 1
            }
        };
        let decoder = &self.decoders[place];
        let tokens = decoder.run(device, samples, at, valid)?;
        match collected
            .iter_mut()
            .find(|(known, ..)| known == decoding.output)
        {
            Some((_, _, all)) => all.extend(tokens),
            None => {
                let shape = vec![decoder.positions()];
                collected.push((decoding.output.to_string(), shape, tokens));
            }
        }
        Ok(())
    }

    /// Stores the outputs of the last batch that are kept; its `valid` samples begin with number `at`.
    fn collect(
        &mut self,
        device: &dyn Device,
        collected: &mut Collected,
        at: usize,
        valid: usize,
        keep: Outputs,
    ) -> Result<()> {
        for name in &self.outputs {
            let most = match keep {
                _ if self.task.host_outputs().contains(&&**name) => usize::MAX,
                Outputs::Reported(_) if self.task.reported_outputs().contains(&&**name) => {
                    let known = collected.iter().find(|(known, ..)| known == name);
                    let each = known.map_or(1, |(_, shape, _)| shape.iter().product());
                    MOST_REPORTED / each.max(1)
                }
                Outputs::First(count) | Outputs::Reported(count) => count,
                Outputs::All if self.shown.contains(&&**name) => self.task.shown_samples(),
                Outputs::All | Outputs::Every => usize::MAX,
            };
            let count = most.saturating_sub(at).min(valid);
            if count == 0 {
                continue;
            }
            device.wait()?;
            let start = Instant::now();
            let value = device.output(self.program, name)?;
            self.reading += start.elapsed();
            let shape = value.dims().get(1..).unwrap_or_default();
            let each = shape.iter().product::<usize>();
            let values = &value.reals()[..count * each];
            if matches!(keep, Outputs::All | Outputs::Every)
                && let Some(place) = values.iter().position(|x| !x.is_finite())
            {
                return Err(Error::Training(format!(
                    "{name} of sample {} (counting from 0) is {}, which is not finite: the model overflows on its values; check \
                     that sample",
                    at + place / each.max(1),
                    values[place]
                )));
            }
            match collected.iter_mut().find(|(known, ..)| known == name) {
                Some((_, _, all)) => all.extend_from_slice(values),
                None => collected.push((name.clone(), shape.to_vec(), values.to_vec())),
            }
        }
        Ok(())
    }
}

/// The outputs of the sample `index` that were kept. If `samples` are tiles, those of their image, which the tile `index` begins: blended
/// from the outputs of its tiles.
///
/// # Errors
/// If an output has no values for each pixel of a tile.
pub fn outputs_of(collected: &Collected, samples: &Samples, index: usize) -> Result<Collected> {
    let Some((tiles, (_, image))) = samples
        .tiles()
        .and_then(|tiles| Some((tiles, tiles.image(index)?)))
    else {
        return Ok(outputs_of_sample(collected, index));
    };
    let mut blended = Vec::new();
    for (name, shape, values) in collected {
        let each = shape.iter().product::<usize>();
        let (of, depth) = (tiles.of_same_image(index), shape.last().copied());
        let (Some(depth), true) = (depth, values.len() >= of.end * each) else {
            continue;
        };
        let mut mosaic = Mosaic::new(image, depth);
        for tile in of {
            mosaic.add(tiles, tile, &values[tile * each..][..each])?;
        }
        let shape = vec![image[0], image[1], depth];
        blended.push((name.clone(), shape, mosaic.into_values()));
    }
    Ok(blended)
}

fn outputs_of_sample(collected: &Collected, index: usize) -> Collected {
    let own = collected.iter().filter_map(|(name, shape, values)| {
        let each = shape.iter().product::<usize>();
        let own = values.get(index * each..(index + 1) * each)?;
        Some((name.clone(), shape.clone(), own.to_vec()))
    });
    own.collect()
}

/// How a set is cut into batches.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Maximum batch size.
    pub batch: usize,
    /// Whether to stream batches; if absent, only if the set does not fit the device.
    pub stream: Option<bool>,
}

impl Sizes {
    /// Whether `samples` are streamed to a device whose kernels read up to `most_bytes` of a tensor. Those whose images are on disk
    /// always are.
    pub fn streamed(&self, samples: &Samples, most_bytes: u64) -> bool {
        let fits = || SetLayout::fits(samples, most_bytes);
        samples.are_on_disk() || self.stream.unwrap_or_else(|| !fits())
    }
}
