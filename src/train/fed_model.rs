//! A trained model on a device, over whose predictions callers build graphs of their own, with fed batches: what attacks and
//! explanations are made of.

use crate::cpu::Tensor;
use crate::device::{Device, ProgramId};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::nn::ModelInput;
use crate::plan::Scalar;
use crate::tasks::classification::LOGITS;
use crate::tasks::{Models, StepGraph, Task};
use crate::tensor::TensorType;
use std::sync::Arc;

/// See the module.
pub(super) struct FedModel<'e> {
    device: Box<dyn Device + 'e>,
    task: Arc<dyn Task>,
    models: Models,
    /// Samples of a batch.
    pub batch: usize,
}

impl<'e> FedModel<'e> {
    /// Puts `models` with the `values` of their [`state`](Models::state) on `device`, for batches of `batch` samples.
    ///
    /// # Errors
    /// If the values are those of other models, or device memory is too small.
    pub fn new(
        mut device: Box<dyn Device + 'e>,
        task: Arc<dyn Task>,
        models: Models,
        values: &[Tensor<f32>],
        batch: usize,
    ) -> Result<FedModel<'e>> {
        models.put(&mut *device, values)?;
        for (name, value) in task.variables()? {
            device.set(&name, &value)?;
        }
        Ok(FedModel {
            device,
            task,
            models,
            batch,
        })
    }

    /// The models.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// The values of the models' [`state`](Models::state). Waits for the device.
    ///
    /// # Errors
    /// If the device failed.
    pub fn values(&self) -> Result<Vec<Tensor<f32>>> {
        let state = self.models.state();
        state.map(|part| self.device.get(&part.name)).collect()
    }

    /// Replaces the values of the models' [`state`](Models::state).
    ///
    /// # Errors
    /// If they are those of other models.
    pub fn set_values(&mut self, values: &[Tensor<f32>]) -> Result<()> {
        self.models.put(&mut *self.device, values)
    }

    /// Prepares the graph that `build` makes, of whose outputs those are kept whose name `keep` accepts.
    ///
    /// # Errors
    /// If a node can't be built, a variable is missing, or device memory is too small.
    pub fn prepare(
        &mut self,
        keep: impl Fn(&str) -> bool,
        build: impl for<'g> FnOnce(&'g Builder, &dyn Task, &Models) -> Result<()>,
    ) -> Result<ProgramId> {
        let builder = Builder::new();
        build(&builder, &*self.task, &self.models)?;
        let mut graph = builder.finish()?;
        graph.outputs.retain(|known| keep(&known.name));
        let planned = self.device.plan(graph)?;
        self.device.prepare(planned)
    }

    /// Runs `steps` steps of `program`, whose scalar inputs have these values in all of them.
    ///
    /// # Errors
    /// If a scalar has no value, or the device failed.
    pub fn run(
        &mut self,
        program: ProgramId,
        steps: usize,
        scalars: &[(&str, Scalar)],
    ) -> Result<()> {
        let value = |name: &String| {
            let known = scalars.iter().find(|(known, _)| known == name);
            match (known, name.as_str()) {
                (Some(&(_, value)), _) => Ok(value),
                (None, "valid") => Ok(Scalar::from(self.batch)),
                (None, _) => Err(Error::Graph(format!(
                    "the scalar input {name} has no value"
                ))),
            }
        };
        let names = self.device.scalar_names(program);
        let row: Vec<Scalar> = names.iter().map(value).collect::<Result<_>>()?;
        let mut left = steps;
        while left > 0 {
            let now = left.min(self.device.max_steps());
            self.device.run(program, now, &row.repeat(now))?;
            left -= now;
        }
        Ok(())
    }

    /// Feeds `values`, `[samples, ...dims]`, to the input `name` of `program`; fewer samples than a batch are followed by zeros.
    ///
    /// # Errors
    /// If there is no such input, or it is of another type.
    pub fn feed(
        &mut self,
        program: ProgramId,
        name: &str,
        values: &[f32],
        dims: &[usize],
    ) -> Result<()> {
        let value = self.padded(values, dims);
        self.device.feed(program, name, &value)
    }

    /// The same for whole numbers.
    ///
    /// # Errors
    /// As [`FedModel::feed`].
    pub fn feed_indices(
        &mut self,
        program: ProgramId,
        name: &str,
        values: &[u32],
        dims: &[usize],
    ) -> Result<()> {
        let shape = [&[self.batch], dims].concat();
        let mut all = values.to_vec();
        all.resize(shape.iter().product(), 0);
        self.device.feed(program, name, &Tensor::index(shape, all))
    }

    /// Sets the variable `name` to `values`, `[samples, ...dims]`, followed by zeros to a batch.
    ///
    /// # Errors
    /// If device memory is too small.
    pub fn set(&mut self, name: &str, values: &[f32], dims: &[usize]) -> Result<()> {
        let value = self.padded(values, dims);
        self.device.set(name, &value)
    }

    /// The variable `name`. Waits for the device.
    ///
    /// # Errors
    /// If there is none, or the device failed.
    pub fn get(&self, name: &str) -> Result<Vec<f32>> {
        Ok(self.device.get(name)?.reals().to_vec())
    }

    /// The first `count` numbers of an output of the last step of `program`. Waits for the device.
    ///
    /// # Errors
    /// If there is none of that name, or the device failed.
    pub fn output(&self, program: ProgramId, name: &str, count: usize) -> Result<Vec<f32>> {
        let mut values = self.device.output(program, name)?.reals().to_vec();
        values.truncate(count);
        Ok(values)
    }

    fn padded(&self, values: &[f32], dims: &[usize]) -> Tensor<f32> {
        let shape = [&[self.batch], dims].concat();
        let mut all = values.to_vec();
        all.resize(shape.iter().product(), 0.0);
        Tensor::real(shape, all)
    }
}

/// The predictions of `task` in the graph of `step`: logits of classes, or scaled numbers, `[batch, ...]`. At most once in a graph.
///
/// # Errors
/// If the task predicts something else, or a node can't be built.
pub(super) fn predicted<'g>(task: &dyn Task, step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
    task.predict(step)?;
    let builder = step.builder();
    let found = builder.with_graph(|graph| {
        let mut outputs = graph.outputs.iter();
        outputs.find(|known| known.name == LOGITS).map(|o| o.node)
    });
    let node = found.ok_or_else(|| Error::Graph(format!("there is no output {LOGITS}")))?;
    Ok(builder.var(node))
}

/// The shapes of a sample for each of the `inputs` of a model.
pub(super) fn shapes(inputs: &[ModelInput]) -> Vec<Vec<usize>> {
    inputs.iter().map(|input| input.spec.sample()).collect()
}

/// The type of a batch of samples of `dims`.
pub(super) fn batch_type(batch: usize, dims: &[usize]) -> TensorType {
    TensorType::f32([&[batch], dims].concat())
}
