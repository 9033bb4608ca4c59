//! The training loop: epochs of steps, checkpoints, and what is told about them.

mod evaluate;

use super::augment::Mix;
use super::engine::{Engine, Memory, Runner};
use super::fit::{check_fit, check_set, samples_of_epoch, suggest_batch};
use super::graphs::{
    DataShape, Target, details, evaluation_graph, metrics, optimizer, training_graph,
};
use super::loaded::{Loaded, load};
use super::pace::Pace;
use super::reports::{EpochReport, Evaluation, Measure, Observer, StepReport, epoch_line};
use super::run_folder::RunFolder;
use super::scalars::{Rows, StepInputs};
use super::source::Pass;
use super::weights::{self, Checkpoint};
use crate::cpu::Tensor;
use crate::data::{Dataset, Samples};
use crate::error::{Error, Result};
use crate::gpu::Readback;
use crate::graph::Graph;
use crate::nn::Network;
use crate::optim::OptimizerInstance;
use crate::settings::Settings;
use crate::tensor::TensorType;
use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

/// A network with its data on an engine.
pub struct Session<'e> {
    engine: &'e Engine,
    settings: Settings,
    network: Network,
    memory: Memory,
    train: Option<Stage>,
    test: Stage,
    state: Vec<String>,
    metrics: Option<Readback>,
    epoch: u32,
    step: u64,
    peak_bytes: u64,
    /// Training samples of an epoch.
    epoch_samples: usize,
}

/// A step that is ready to run, the set that it reads, and its scalar inputs.
struct Stage {
    runner: Runner,
    data: Loaded,
    rows: Rows,
}

impl Stage {
    fn new(
        engine: &Engine,
        memory: &Memory,
        optimizer: OptimizerInstance,
        graph: Graph,
        data: Loaded,
    ) -> Result<Stage> {
        let runner = engine.prepare(graph, memory)?;
        let rows = Rows::new(runner.scalar_names(), optimizer)?;
        Ok(Stage { runner, data, rows })
    }
}

impl<'e> Session<'e> {
    /// Puts weights, optimizer state and both sets on `engine` and prepares training and evaluation.
    ///
    /// # Errors
    /// If the data does not fit the network, or the whole does not fit the device.
    pub fn training(
        engine: &'e Engine,
        mut settings: Settings,
        network: Network,
        dataset: impl Into<Dataset<Samples>>,
    ) -> Result<Session<'e>> {
        if settings.schedule.plateau().is_some() {
            return Err(Error::Config(
                "[schedule] name = \"plateau\" is not followed by this training loop; take another schedule"
                    .to_string(),
            ));
        }
        let mut dataset = dataset.into();
        let epoch_samples = samples_of_epoch(&mut dataset.train, &settings)?;
        settings.loss.learn(&dataset.train, dataset.classes.len());
        check_fit(&network, &dataset, &settings)?;
        let (train, test) = (dataset.train, dataset.test);
        let (data, most) = (&settings.data, engine.max_tensor_bytes());
        let (shape, streamed) = DataShape::of_samples("train", &train, data, settings.batch, most);
        let graph = training_graph(&network, &settings, &shape)
            .and_then(|graph| engine.check(&graph).map(|()| graph))
            .map_err(|e| suggest_batch(e, engine, &network, &settings, &shape))?;
        let mut session = Self::prepare(engine, settings, network, test)?;
        let data = load(engine, &mut session.memory, shape, streamed, train)?;
        let optimizer = optimizer(&session.network, &session.settings, epoch_samples)?;
        for (name, ty) in optimizer.state() {
            session.memory.set(engine, &name, &Tensor::zeros(&ty))?;
            session.state.push(name);
        }
        session.epoch_samples = epoch_samples;
        let stage = Stage::new(engine, &session.memory, optimizer, graph, data)?;
        session.train = Some(stage);
        let metrics = metrics(&session.settings);
        session.metrics = session.memory.readback(engine, metrics)?;
        session.note_memory();
        Ok(session)
    }

    /// Puts weights and a test set on `engine` for evaluation alone.
    ///
    /// # Errors
    /// If the data does not fit the network, or the whole does not fit the device.
    pub fn evaluation(
        engine: &'e Engine,
        settings: Settings,
        network: Network,
        test: impl Into<Samples>,
    ) -> Result<Session<'e>> {
        let test = test.into();
        check_set(&network, &test, "test", &settings)?;
        Self::prepare(engine, settings, network, test)
    }

    fn prepare(
        engine: &'e Engine,
        settings: Settings,
        network: Network,
        test: Samples,
    ) -> Result<Session<'e>> {
        let batch = settings.batch.min(test.len());
        let (data, most) = (&settings.data, engine.max_tensor_bytes());
        let (shape, streamed) = DataShape::of_samples("test", &test, data, batch, most);
        let graph = evaluation_graph(&network, &settings, &shape)?;
        engine.check(&graph)?;
        let mut memory = engine.memory();
        let values = match &settings.init {
            Some(path) => weights::load(path, network.state())?,
            None => network.initial_state(settings.seed),
        };
        let mut state = Vec::new();
        for (part, value) in network.state().zip(values) {
            memory.set(engine, &part.name, &value)?;
            state.push(part.name.clone());
        }
        if let Some((name, values)) = settings.loss.variable()? {
            let value = Tensor::real([values.len()], values);
            memory.set(engine, name, &value)?;
        }
        zero_metrics(engine, &mut memory, &settings)?;
        for (name, ty) in details(&shape.target, settings.loss.classes(network.classes)) {
            memory.set(engine, name, &Tensor::zeros(&ty))?;
        }
        let data = load(engine, &mut memory, shape, streamed, test)?;
        let optimizer = optimizer(&network, &settings, data.set.len())?;
        let test = Stage::new(engine, &memory, optimizer, graph, data)?;
        Ok(Session {
            engine,
            settings,
            network,
            memory,
            train: None,
            test,
            state,
            metrics: None,
            epoch: 0,
            step: 0,
            peak_bytes: 0,
            epoch_samples: 0,
        })
    }

    fn note_memory(&mut self) {
        self.peak_bytes = self
            .peak_bytes
            .max(self.engine.allocated_bytes().unwrap_or(0));
    }

    /// Most bytes that the device had allocated; 0 where it can't tell.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// Bytes that weights, state, data and the steps' workspace take by plan, on a device.
    pub fn planned_bytes(&self) -> u64 {
        let stages = self.train.iter().chain([&self.test]);
        let steps: u64 = stages.map(|stage| stage.runner.workspace_bytes()).sum();
        self.memory.bytes() + steps
    }

    /// Makes the run end after `epochs` epochs in all.
    pub fn extend(&mut self, epochs: u32) {
        self.settings.epochs = epochs;
    }

    /// What the scores in the reports are.
    pub fn measure(&self) -> Measure {
        match self.test.data.shape.target {
            Target::Class => Measure::Accuracy,
            Target::NextToken => Measure::TokenAccuracy,
            Target::Values { .. } => Measure::MeanAbsoluteError,
        }
    }

    /// Steps done so far.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Settings with everything resolved.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Goes on from `checkpoint`.
    ///
    /// # Errors
    /// If it is of another model or optimizer.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<()> {
        let other = |what: String| {
            Error::Config(format!(
                "the checkpoint is of another model or optimizer: {what}; resume with the run.toml that it was made with"
            ))
        };
        for name in &self.state {
            let found = checkpoint.variables.iter().find(|(n, _)| n == name);
            let (_, value) = found.ok_or_else(|| other(format!("it lacks {name}")))?;
            let (have, want) = (value.ty(), self.memory.ty(name)?);
            if have != want {
                return Err(other(format!("its {name} is {have}, this run's is {want}")));
            }
        }
        for (name, value) in checkpoint.variables {
            if !self.state.contains(&name) {
                return Err(other(format!(
                    "it holds {name}, which this run does not have"
                )));
            }
            self.memory.set(self.engine, &name, &value)?;
        }
        (self.epoch, self.step) = (checkpoint.epoch, checkpoint.step);
        Ok(())
    }

    /// Everything needed to go on later.
    ///
    /// # Errors
    /// If the device failed.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let read = |name: &String| Ok((name.clone(), self.memory.get(self.engine, name)?));
        let variables = self.state.iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(Checkpoint {
            variables,
            epoch: self.epoch,
            step: self.step,
        })
    }

    /// Writes weights and buffers in PyTorch's layouts.
    ///
    /// # Errors
    /// If the device failed, or the file can't be written.
    pub fn save_model(&self, path: &Path) -> Result<()> {
        let read = |p: &crate::nn::Parameter| self.memory.get(self.engine, &p.name);
        let values = self.network.state().map(read).collect::<Result<Vec<_>>>()?;
        weights::save(path, &self.network, &values, self.step)
    }

    /// Trains until the settings' epochs, or steps, are done. After every epoch `observer` is told, and `folder`, if there is
    /// one, gets a checkpoint and the weights, as it does when the observer stops the training.
    ///
    /// # Errors
    /// If the device failed, the loss is no number, the folder can't be written, or the observer stopped the training.
    pub fn run(
        &mut self,
        observer: &mut dyn Observer,
        folder: Option<&RunFolder>,
    ) -> Result<Evaluation> {
        if let (Some(folder), Some(tuning)) = (folder, self.engine.tuning()) {
            folder.record_variants(&tuning)?;
        }
        let mut last = None;
        while !self.is_done() {
            let Some(report) = self.run_epoch(observer)? else {
                return Err(self.stopped(folder)?);
            };
            if let Some(folder) = folder {
                folder.add_metrics(&epoch_line(&report))?;
                folder.add_checkpoint(&self.checkpoint()?)?;
                self.save_model(&folder.model_path())?;
                folder.write_report(
                    &self.title(),
                    &self.engine.name(),
                    &self.details()?,
                    &self.settings.data.classes,
                )?;
            }
            observer.epoch(&report)?;
            last = Some(report.test);
        }
        match last {
            Some(evaluation) => Ok(evaluation),
            None => {
                let evaluation = self.evaluate()?;
                if let Some(folder) = folder {
                    self.save_model(&folder.model_path())?;
                }
                Ok(evaluation)
            }
        }
    }

    /// Writes what a stopped run needs to go on, and gives the words for it.
    fn stopped(&self, folder: Option<&RunFolder>) -> Result<Error> {
        let what = format!(
            "stopped after step {} of {}",
            self.step,
            self.planned_steps()
        );
        let Some(folder) = folder else {
            return Ok(Error::Stopped(what));
        };
        folder.add_checkpoint(&self.checkpoint()?)?;
        self.save_model(&folder.model_path())?;
        let path = folder.path.display();
        Ok(Error::Stopped(format!(
            "{what}; go on by: wgrad train --resume {path}"
        )))
    }

    fn title(&self) -> String {
        let data = Path::new(&self.settings.data.source);
        let data = data.file_name().unwrap_or(data.as_os_str());
        format!("{} on {}", self.settings.model.name, data.display())
    }

    /// Whether the epochs of the settings are done, or the steps where they say how many.
    pub fn is_done(&self) -> bool {
        match self.settings.steps {
            Some(steps) => self.step >= steps,
            None => self.epoch >= self.settings.epochs,
        }
    }

    /// Trains and evaluates; `None` if the observer stopped it before the epoch's steps were done.
    fn run_epoch(&mut self, observer: &mut dyn Observer) -> Result<Option<EpochReport>> {
        let start = Instant::now();
        let mut train = self
            .train
            .take()
            .ok_or_else(|| Error::Training("this session was made for evaluation".to_string()))?;
        let totals = self.train_steps(&mut train, observer, start);
        self.train = Some(train);
        let Some(totals) = totals? else {
            return Ok(None);
        };
        let seconds = start.elapsed().as_secs_f64();
        let epoch = self.epoch + 1;
        if self.step.is_multiple_of(self.steps_of_epoch()) {
            self.epoch = epoch;
        }
        self.note_memory();
        let count = totals.samples.max(1) as f64;
        let test = self.evaluate()?;
        if !test.loss.is_finite() {
            return Err(self.diverged("test loss", epoch));
        }
        Ok(Some(EpochReport {
            epoch,
            epochs: self.planned_epochs(),
            train_loss: totals.mean_loss(),
            train_score: totals.score / count,
            test,
            samples_per_s: count / seconds,
            seconds,
        }))
    }

    fn train_steps(
        &mut self,
        train: &mut Stage,
        observer: &mut dyn Observer,
        start: Instant,
    ) -> Result<Option<Totals>> {
        let Stage { runner, data, rows } = train;
        let (engine, samples, batch) = (self.engine, self.epoch_samples, self.settings.batch);
        let pass = match self.settings.shuffle {
            true => Pass::of_epoch(&data.set, self.settings.seed, self.epoch),
            false => Pass::in_order(data.set.len()),
        };
        // A run whose steps ended within an epoch goes on there.
        let full = self.steps_of_epoch();
        let first = self.step % full;
        let steps = full.min(
            self.settings
                .steps
                .map_or(full, |most| first + most.saturating_sub(self.step)),
        );
        let skipped = first as usize * batch;
        zero_metrics(engine, &mut self.memory, &self.settings)?;
        let stream = data.begin(engine, &mut self.memory, pass, skipped)?;
        let planned = self.planned_steps();
        let mut pace = Pace::new(if data.streamed { 1 } else { runner.max_steps() });
        let mut asked: VecDeque<u64> = VecDeque::new();
        let mut done = first;
        let mut latest = Totals::default();
        while done < steps && !observer.stops() {
            let count = pace.steps().min(steps - done);
            rows.clear();
            for i in 0..count {
                let at = (done + i) as usize * batch;
                let valid = batch.min(samples - at);
                let cursor = data.cursor(at);
                rows.push(&inputs(
                    &self.settings,
                    planned,
                    self.step + i,
                    cursor,
                    valid,
                    &data.shape.sample,
                ));
            }
            if let Some(stream) = &stream {
                data.feed(engine, &mut self.memory, stream)?;
            }
            runner.run(engine, &mut self.memory, count as usize, rows.values())?;
            done += count;
            self.step += count;
            let seen = samples.min(done as usize * batch) - skipped;
            match &mut self.metrics {
                Some(ring) => {
                    if let (Engine::Gpu(gpu), true) = (engine, !ring.has_room()) {
                        let values = ring.take(gpu, true)?;
                        latest = totals(values, asked.pop_front());
                    }
                    if let Engine::Gpu(gpu) = engine {
                        ring.request(gpu)?;
                        asked.push_back(seen as u64);
                        while let Some(values) = ring.take(gpu, false)? {
                            latest = totals(Some(values), asked.pop_front());
                        }
                    }
                }
                None => latest = self.read_totals(seen as u64)?,
            }
            let finished = latest.samples.div_ceil(batch as u64);
            pace.finished(finished);
            if latest.samples > 0 {
                self.check_loss(&latest)?;
                observer.step(&self.step_report(&latest, first..first + finished, steps, start));
            }
        }
        if let (Some(ring), Engine::Gpu(gpu)) = (&mut self.metrics, engine) {
            while ring.take(gpu, true)?.is_some() {}
        }
        if done < steps {
            return Ok(None);
        }
        let seen = samples.min(steps as usize * batch) - skipped;
        let latest = self.read_totals(seen as u64)?;
        self.check_loss(&latest)?;
        observer.step(&self.step_report(&latest, first..steps, steps, start));
        Ok(Some(latest))
    }

    /// Steps of a whole epoch.
    fn steps_of_epoch(&self) -> u64 {
        self.epoch_samples.div_ceil(self.settings.batch) as u64
    }

    /// Steps that the whole run will have.
    fn planned_steps(&self) -> u64 {
        let all = u64::from(self.settings.epochs) * self.steps_of_epoch();
        self.settings.steps.unwrap_or(all)
    }

    /// Epochs that the whole run will have, the last perhaps cut short.
    fn planned_epochs(&self) -> u32 {
        let epochs = self.planned_steps().div_ceil(self.steps_of_epoch().max(1));
        u32::try_from(epochs).unwrap_or(u32::MAX)
    }

    fn read_totals(&self, samples: u64) -> Result<Totals> {
        let value = |name: &&str| Ok(self.memory.get(self.engine, name)?.reals()[0]);
        let values = metrics(&self.settings).iter().map(value);
        let values = values.collect::<Result<Vec<f32>>>()?;
        Ok(totals(Some(&values), Some(samples)))
    }

    fn check_loss(&self, totals: &Totals) -> Result<()> {
        if totals.loss.is_finite() {
            return Ok(());
        }
        Err(self.diverged("loss", self.epoch + 1))
    }

    fn diverged(&self, what: &str, epoch: u32) -> Error {
        Error::Training(format!(
            "the {what} is no longer a number in epoch {epoch}, at or before step {}; lower the learning rate (it is {:?}) or clip the gradients (clip_norm)",
            self.step,
            self.settings.optimizer.lr()
        ))
    }

    /// After the steps `done` of an epoch that will have gone to `steps`.
    fn step_report(
        &self,
        totals: &Totals,
        done: Range<u64>,
        steps: u64,
        start: Instant,
    ) -> StepReport {
        let elapsed = start.elapsed().as_secs_f64();
        let count = totals.samples.max(1) as f64;
        let each = elapsed / (done.end - done.start).max(1) as f64;
        let finished = u64::from(self.epoch) * self.steps_of_epoch() + done.end;
        let left = self.planned_steps().saturating_sub(finished);
        StepReport {
            epoch: self.epoch + 1,
            epochs: self.planned_epochs(),
            step: done.end,
            steps,
            loss: totals.mean_loss(),
            score: totals.score / count,
            measure: self.measure(),
            samples_per_second: count / elapsed,
            time_left: Duration::from_secs_f64((each * left as f64).min(1e9)),
        }
    }
}

/// Sums since the epoch began.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    loss: f64,
    score: f64,
    samples: u64,
    /// What the loss is divided by: the samples, or the sum of their weights.
    weight: f64,
}

impl Totals {
    fn mean_loss(&self) -> f64 {
        match self.weight > 0.0 {
            true => self.loss / self.weight,
            false => self.loss,
        }
    }
}

/// Of the values of [`metrics`], over so many samples.
fn totals(values: Option<&[f32]>, samples: Option<u64>) -> Totals {
    match (values, samples) {
        (Some(&[loss, score, ref weight @ ..]), Some(samples)) => Totals {
            loss: f64::from(loss),
            score: f64::from(score),
            samples,
            weight: weight.first().map_or(samples as f64, |&w| f64::from(w)),
        },
        _ => Totals::default(),
    }
}

/// What the scalar inputs of step number `step`, from 0, of `planned` are computed from.
fn inputs(
    settings: &Settings,
    planned: u64,
    step: u64,
    cursor: usize,
    valid: usize,
    sample: &[usize],
) -> StepInputs {
    let lr = settings
        .schedule
        .lr(settings.optimizer.lr(), step + 1, planned);
    let mix = match sample {
        &[height, width, _] if settings.augment.mixes() => {
            settings.augment.mix(settings.seed, step, [height, width])
        }
        _ => Mix::default(),
    };
    StepInputs {
        cursor,
        valid,
        tokens: sample[0],
        step,
        mix,
        lr,
    }
}

fn zero_metrics(engine: &Engine, memory: &mut Memory, settings: &Settings) -> Result<()> {
    metrics(settings)
        .iter()
        .try_for_each(|name| memory.set(engine, name, &Tensor::zeros(&TensorType::f32([]))))
}
