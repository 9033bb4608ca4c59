//! Training steps: the phases of a task, prepared on a device.

use super::graphs::{BatchSource, planned_graphs};
use super::loss_scale::{self, LossScaling};
use super::prepared::{Phase, PreparedSteps};
use super::recipe::Recipe;
use super::scalars::StepInputs;
use crate::cpu::Tensor;
use crate::device::{Device, ProgramId, WatchId};
use crate::error::{Error, Result};
use crate::graph::Precision;
use crate::optim::PlateauState;
use crate::tasks::{Counters, Models, StepGraphCounters, Task};
use crate::tensor::TensorType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The position of a batch in the order of the pass, and the number of its valid samples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub cursor: usize,
    pub valid: usize,
    /// The bucket of its length, if batches have buckets; the last one has no program of its own.
    pub bucket: Option<usize>,
}

/// A batch that a step is about to take.
#[derive(Clone, Copy)]
pub(crate) struct NextBatch<'a> {
    /// The program that computes the gradients of the phase.
    pub program: ProgramId,
    /// Fields that the program reads, if they are fed.
    pub inputs: &'a [String],
    /// Index of the batch in the step.
    pub index: usize,
    /// Whether an earlier phase of the step has already used it.
    pub again: bool,
}

/// A fed batch.
#[derive(Clone, Copy)]
pub struct FedBatch<'a> {
    /// The fields by name, with the batch as the first axis.
    pub fields: &'a [(&'a str, &'a Tensor<f32>)],
    /// Number of valid samples, which come first.
    pub valid: usize,
}

/// Training steps of a task on a device.
pub struct Trainer<'e> {
    device: Box<dyn Device + 'e>,
    task: Arc<dyn Task>,
    models: Models,
    recipe: Recipe,
    source: BatchSource,
    steps: PreparedSteps,
    step: u64,
    plateau: PlateauState,
}

impl<'e> Trainer<'e> {
    /// Puts weights and optimizer state on `device` and prepares the steps. `values` are those of [`Models::state`], in its
    /// order. For a set on the device, its variables must already exist.
    ///
    /// # Errors
    /// If models, data and recipe don't fit together, or device memory is too small.
    pub fn new(
        mut device: Box<dyn Device + 'e>,
        task: Arc<dyn Task>,
        models: Models,
        recipe: Recipe,
        source: BatchSource,
        values: Vec<Tensor<f32>>,
    ) -> Result<Trainer<'e>> {
        let graphs = planned_graphs(&*device, &*task, &models, &recipe, &source)?;
        models.put(&mut *device, &values)?;
        let steps = PreparedSteps::new(&mut *device, &*task, &models, &recipe, graphs)?;
        Ok(Self::of(device, task, models, recipe, source, steps))
    }

    /// The trainer of steps that were prepared on `device`.
    pub(crate) fn of(
        device: Box<dyn Device + 'e>,
        task: Arc<dyn Task>,
        models: Models,
        recipe: Recipe,
        source: BatchSource,
        steps: PreparedSteps,
    ) -> Trainer<'e> {
        Trainer {
            device,
            task,
            models,
            recipe,
            source,
            steps,
            step: 0,
            plateau: PlateauState::default(),
        }
    }

    /// The SHA-256 of the graphs of a step, and of what the device launches for them, in hexadecimal digits.
    pub(crate) fn step_digest(&self) -> &str {
        &self.steps.digest
    }

    /// The device, with all variables.
    pub fn device(&self) -> &(dyn Device + 'e) {
        &*self.device
    }

    /// Mutable access to the device, to set variables or evaluate on it.
    pub fn device_mut(&mut self) -> &mut (dyn Device + 'e) {
        &mut *self.device
    }

    /// The models.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The task.
    pub fn task(&self) -> &Arc<dyn Task> {
        &self.task
    }

    /// How steps are taken.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Steps done so far.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// Continues as after `steps` steps.
    pub(crate) fn set_steps_done(&mut self, steps: u64) {
        self.step = steps;
    }

    /// Sets the total number of steps for schedules.
    pub fn set_planned_steps(&mut self, steps: u64) {
        self.recipe.steps = steps;
    }

    /// The state of a plateau schedule.
    pub(crate) fn plateau(&self) -> &PlateauState {
        &self.plateau
    }

    /// Restores the state of a plateau schedule.
    pub(crate) fn set_plateau(&mut self, plateau: PlateauState) {
        self.plateau = plateau;
    }

    /// The learning rate of the next step, in the first phase.
    pub fn lr(&self) -> f64 {
        self.lr_after(self.step)
    }

    /// The learning rate of the step that follows `steps` steps, in the first phase.
    pub(crate) fn lr_after(&self, steps: u64) -> f64 {
        let base = self.steps.phases.first().map_or(0.0, |phase| phase.lr);
        self.recipe.lr(&self.plateau, base, steps)
    }

    /// Weights, or their moving averages if the recipe has them, and buffers, in the order of [`Models::state`]: the values that are
    /// saved and evaluated. Waits for the device.
    ///
    /// # Errors
    /// If the device failed.
    pub fn values(&self) -> Result<Vec<Tensor<f32>>> {
        let read = |name: &String| {
            let average = self
                .steps
                .averages
                .iter()
                .find(|(parameter, _)| parameter == name);
            self.device
                .get(average.map_or(name, |(_, average)| average))
        };
        self.models.state().map(|part| read(&part.name)).collect()
    }

    /// Sets weights and buffers to `values`, in the order of [`Models::state`], and everything else that steps keep to zero, as before the
    /// first step.
    ///
    /// # Errors
    /// If the device failed, or a value is of another type.
    pub(crate) fn restart(&mut self, values: &[Tensor<f32>]) -> Result<()> {
        let own: Vec<&str> = self.models.state().map(|part| part.name.as_str()).collect();
        for name in self
            .steps
            .state
            .iter()
            .filter(|name| !own.contains(&name.as_str()))
        {
            let zeros = Tensor::zeros(&self.device.ty(name)?);
            self.device.set(name, &zeros)?;
        }
        for (name, value) in own.iter().zip(values) {
            self.device.set(name, value)?;
        }
        Ok(())
    }

    /// Exchanges parameters with their moving averages, if they have any.
    ///
    /// # Errors
    /// If the device failed.
    pub(crate) fn exchange_averages(&mut self) -> Result<()> {
        for (parameter, average) in &self.steps.averages {
            let [own, other] = [self.device.get(parameter)?, self.device.get(average)?];
            self.device.set(parameter, &other)?;
            self.device.set(average, &own)?;
        }
        Ok(())
    }

    /// Takes one step over a fed batch: `fields` are its fields by name, with the batch as the first axis; the first `valid` samples
    /// count. [`Trainer::step_over`] takes several batches whose gradients are accumulated.
    ///
    /// # Errors
    /// If a field is missing, unknown or of another type, the trainer was made for data on the device, or the device failed.
    pub fn step(&mut self, fields: &[(&str, &Tensor<f32>)], valid: usize) -> Result<()> {
        self.step_over(&[FedBatch { fields, valid }])
    }

    /// Takes one step over fed batches with accumulated gradients: [`Recipe::accumulate`] batches, or fewer.
    ///
    /// # Errors
    /// As [`Trainer::step`], or if there are none or more batches than that.
    pub fn step_over(&mut self, batches: &[FedBatch<'_>]) -> Result<()> {
        let BatchSource::Fed {
            size,
            fields: known,
        } = &self.source
        else {
            return Err(Error::Training(
                "this trainer takes its batches from data on the device; create one with fed batches to feed it"
                    .to_string(),
            ));
        };
        let most = self.recipe.accumulate;
        if batches.is_empty() || batches.len() > most {
            return Err(Error::Training(format!(
                "a step was given {} batches; give it 1 to {most}, the value of accumulate",
                batches.len()
            )));
        }
        for batch in batches {
            check_fed(*batch, *size, known)?;
        }
        let place = |_, index: usize| Place {
            cursor: 0,
            bucket: None,
            valid: batches.get(index).map_or(0, |batch| batch.valid),
        };
        self.advance(1, &place, &mut |device, next| {
            let fields = batches
                .get(next.index)
                .map_or(&[][..], |batch| batch.fields);
            for (name, value) in fields {
                if next.inputs.iter().any(|input| input == name) {
                    device.feed(next.program, name, value)?;
                }
            }
            Ok(())
        })
    }

    /// Takes `count` steps: `place` returns the position of batch k of the i-th step, and `before` is called before each batch of
    /// each phase. On an adapter, it submits and does not wait.
    ///
    /// # Errors
    /// If the device or `before` failed.
    pub(crate) fn advance(
        &mut self,
        count: u64,
        place: &dyn Fn(u64, usize) -> Place,
        before: &mut dyn FnMut(&mut dyn Device, NextBatch<'_>) -> Result<()>,
    ) -> Result<()> {
        if let Some((program, bucket)) = self.begin_steps(count, place, before)? {
            let rows = self.steps.rows(bucket).values();
            self.device.run(program, count as usize, rows)?;
            self.step += count;
            return Ok(());
        }
        for i in 0..count {
            self.step_by_phases(&|batch| place(i, batch), before)?;
            self.step += 1;
        }
        Ok(())
    }

    /// Takes one step as [`Trainer::advance`] does, and returns the names of its kernels with their milliseconds, in the order in
    /// which they ran: none on the reference, or if a step consists of several programs. Waits for the device.
    ///
    /// # Errors
    /// As [`Trainer::advance`].
    pub(crate) fn advance_timed(
        &mut self,
        place: &dyn Fn(u64, usize) -> Place,
        before: &mut dyn FnMut(&mut dyn Device, NextBatch<'_>) -> Result<()>,
    ) -> Result<Vec<(String, f64)>> {
        let Some((program, bucket)) = self.begin_steps(1, place, before)? else {
            self.advance(1, place, before)?;
            return Ok(Vec::new());
        };
        let rows = self.steps.rows(bucket).values();
        let times = self.device.run_timed(program, rows)?;
        self.step += 1;
        Ok(times)
    }

    /// Fills the rows of scalars of the next `count` steps, all of one bucket, and calls `before`, if a step is a single program, which
    /// is returned with the bucket, if that has a program of its own.
    fn begin_steps(
        &mut self,
        count: u64,
        place: &dyn Fn(u64, usize) -> Place,
        before: &mut dyn FnMut(&mut dyn Device, NextBatch<'_>) -> Result<()>,
    ) -> Result<Option<(ProgramId, Option<usize>)>> {
        let PreparedSteps {
            phases, shorter, ..
        } = &mut self.steps;
        let ([only], false) = (&mut phases[..], self.recipe.has_own_update()) else {
            return Ok(None);
        };
        let bucket = place(0, 0).bucket.filter(|&bucket| bucket < shorter.len());
        let mut own = bucket.and_then(|bucket| shorter.get_mut(bucket));
        let program = own.as_ref().map_or(only.gradients, |(program, _)| *program);
        match &mut own {
            Some((_, rows)) => rows.clear(),
            None => only.rows.clear(),
        }
        for i in 0..count {
            let step = self.step + i;
            numbers(only, &self.recipe, &self.plateau, step);
            let rows = match &mut own {
                Some((_, rows)) => rows,
                None => &mut only.rows,
            };
            rows.push(inputs(place(i, 0), step), &only.numbers, &*self.task);
        }
        let next = NextBatch {
            program,
            inputs: &only.inputs,
            index: 0,
            again: false,
        };
        before(&mut *self.device, next)?;
        Ok(Some((program, bucket)))
    }

    fn step_by_phases(
        &mut self,
        place: &dyn Fn(usize) -> Place,
        before: &mut dyn FnMut(&mut dyn Device, NextBatch<'_>) -> Result<()>,
    ) -> Result<()> {
        let (step, batches) = (self.step, self.recipe.accumulate);
        let total: usize = (0..batches).map(|batch| place(batch).valid).sum();
        let mut again = false;
        for phase in &mut self.steps.phases {
            if !step.is_multiple_of(phase.every) {
                continue;
            }
            numbers(phase, &self.recipe, &self.plateau, step);
            for index in 0..batches {
                let place = place(index);
                if place.valid == 0 {
                    break;
                }
                let next = NextBatch {
                    program: phase.gradients,
                    inputs: &phase.inputs,
                    index,
                    again,
                };
                before(&mut *self.device, next)?;
                let mut inputs = inputs(place, step * batches as u64 + index as u64);
                inputs.total = total;
                phase.rows.clear();
                phase.rows.push(inputs, &phase.numbers, &*self.task);
                self.device.run(phase.gradients, 1, phase.rows.values())?;
            }
            again = true;
            if let Some((program, rows)) = &mut phase.update {
                rows.clear();
                rows.push(inputs(Place::default(), step), &phase.numbers, &*self.task);
                self.device.run(*program, 1, rows.values())?;
            }
        }
        Ok(())
    }

    /// Resets all counters, at the start of an epoch.
    ///
    /// # Errors
    /// If the device failed.
    pub fn reset_counters(&mut self) -> Result<()> {
        for (name, ty) in &self.steps.counters {
            self.device.set(name, &Tensor::zeros(ty))?;
        }
        Ok(())
    }

    /// The counters of the steps since [`Trainer::reset_counters`], over `samples` samples. Waits for the device.
    ///
    /// # Errors
    /// If the device failed.
    pub fn counters(&self, samples: u64) -> Result<Counters> {
        let read = |(name, _): &(String, TensorType)| {
            let short = StepGraphCounters::short(name).to_string();
            Ok((short, self.device.get(name)?))
        };
        let values = self.steps.counters.iter().map(read);
        Ok(Counters::new(
            samples,
            values.collect::<Result<BTreeMap<_, _>>>()?,
        ))
    }

    /// How the loss was scaled since [`Trainer::reset_counters`], in mixed precision. Waits for the device.
    ///
    /// # Errors
    /// If the device failed.
    pub fn loss_scaling(&self) -> Result<Option<LossScaling>> {
        match (self.recipe.precision, self.task.phases().first()) {
            (Precision::Mixed, Some(phase)) => {
                loss_scale::read(&*self.device, phase.name).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The ring that reads the counters while the device works on.
    pub(crate) fn watch(&self) -> Option<WatchId> {
        self.steps.watch
    }

    /// Position of the counter `name` among the values of [`Trainer::watch`].
    pub(crate) fn watched(&self, name: &str) -> Option<usize> {
        let scalars = self
            .steps
            .counters
            .iter()
            .filter(|(_, ty)| ty.shape.rank() == 0);
        let mut names = scalars.map(|(full, _)| StepGraphCounters::short(full));
        names.position(|known| known == name)
    }

    /// Names of the variables that a checkpoint holds: weights, buffers, optimizer state, and the sums since
    /// [`Trainer::reset_counters`].
    pub fn saved(&self) -> &[String] {
        &self.steps.saved
    }

    /// For each trained parameter whose optimizer keeps a running mean of its squared gradients: the parameter, the variable with
    /// that mean, and the factor that corrects its start at zero.
    pub(crate) fn squared_gradients(&self) -> Vec<(&str, String, f64)> {
        let phases = self.steps.phases.iter();
        let kept = phases.flat_map(|phase| {
            let taken = self.step.div_ceil(phase.every);
            phase.optimizer.squared_gradients(taken)
        });
        kept.collect()
    }

    /// Whether the variable `name` is one of these sums.
    pub(crate) fn is_sum(name: &str) -> bool {
        StepGraphCounters::is_one(name)
    }

    /// Names of weights, buffers and optimizer state.
    pub fn state(&self) -> &[String] {
        &self.steps.state
    }

    /// Bytes that the steps need in addition to variables.
    pub(crate) fn workspace_bytes(&self) -> u64 {
        let programs = self.steps.phases.iter().flat_map(|phase| {
            let update = phase.update.as_ref().map(|(program, _)| *program);
            [phase.gradients].into_iter().chain(update)
        });
        let shorter = self.steps.shorter.iter().map(|(program, _)| *program);
        programs
            .chain(shorter)
            .map(|program| self.device.workspace_bytes(program))
            .sum()
    }

    /// Maximum number of samples per step; the mean one in private training.
    pub fn samples_of_step(&self) -> usize {
        self.recipe.samples_of_step()
    }
}

/// Checks a fed batch against the fields of the trainer.
fn check_fed(batch: FedBatch<'_>, size: usize, known: &[(String, TensorType)]) -> Result<()> {
    let wrong = |what: String| Err(Error::Training(what));
    if batch.valid == 0 || batch.valid > size {
        return wrong(format!(
            "a step was given {} valid samples; give it 1 to {size}",
            batch.valid
        ));
    }
    let given = |name: &str| batch.fields.iter().find(|(given, _)| *given == name);
    for (name, ty) in known {
        match given(name) {
            None => {
                return wrong(format!(
                    "a step needs the field {name}, a {ty}, which was not fed"
                ));
            }
            Some((_, value)) if value.ty() != *ty => {
                return wrong(format!(
                    "the field {name} is a {ty}, but a {} was fed",
                    value.ty()
                ));
            }
            Some(_) => {}
        }
    }
    let unknown = |(name, _): &&(&str, &Tensor<f32>)| !known.iter().any(|(known, _)| known == name);
    match batch.fields.iter().find(unknown) {
        Some((name, _)) => {
            let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            wrong(format!(
                "a step was fed the field {name}, but the trainer takes {}",
                names.join(", ")
            ))
        }
        None => Ok(()),
    }
}

/// Computes the optimizer's scalars of step number `step`, from 0.
fn numbers(phase: &mut Phase, recipe: &Recipe, plateau: &PlateauState, step: u64) {
    let lr = recipe.lr(plateau, phase.lr, step);
    phase.numbers.clear();
    phase.optimizer.scalars(step + 1, lr, &mut phase.numbers);
    if let Some(average) = &recipe.average {
        phase.numbers.push(average.scalar(step + 1));
    }
}

fn inputs(place: Place, step: u64) -> StepInputs {
    StepInputs {
        cursor: place.cursor,
        valid: place.valid,
        total: place.valid,
        step,
    }
}
