//! What a trainer keeps on a device: variables, and the programs of each phase.

use super::graphs::{PhaseGraphs, is_accumulated};
use super::loss_scale;
use super::recipe::Recipe;
use super::scalars::ScalarRows;
use crate::checksum::ContentDigest;
use crate::cpu::Tensor;
use crate::device::{Device, PlannedGraph, ProgramId, WatchId};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeKind, Precision};
use crate::optim::{Average, OptimizerInstance};
use crate::tasks::{Models, StepGraphCounters, Task};
use crate::tensor::TensorType;
use std::fmt::Write as _;

/// A phase whose programs are prepared.
pub(super) struct Phase {
    pub gradients: ProgramId,
    /// Names of the inputs of `gradients` that are not scalars.
    pub inputs: Vec<String>,
    pub rows: ScalarRows,
    pub update: Option<(ProgramId, ScalarRows)>,
    pub optimizer: OptimizerInstance,
    pub lr: f64,
    pub every: u64,
    pub numbers: Vec<f32>,
}

/// Steps that are prepared on a device.
pub(crate) struct PreparedSteps {
    pub(super) phases: Vec<Phase>,
    /// Names of weights, buffers and optimizer state.
    pub(super) state: Vec<String>,
    /// These and the sums of the epoch, which a checkpoint holds.
    pub(super) saved: Vec<String>,
    pub(super) counters: Vec<(String, TensorType)>,
    /// The SHA-256 of the graphs of all phases, and of what is launched for them, in hexadecimal digits.
    pub(super) digest: String,
    /// Parameters with the variables of their averages.
    pub(super) averages: Vec<(String, String)>,
    pub(super) watch: Option<WatchId>,
    /// The only phase for shorter batches, by bucket.
    pub(super) shorter: Vec<(ProgramId, ScalarRows)>,
}

impl PreparedSteps {
    /// Prepares the graphs that [`planned_graphs`](super::planned_graphs) gave, on a device that has the weights, and adds the
    /// state of the optimizers.
    ///
    /// # Errors
    /// If two variables have one name, or the device is out of memory.
    pub fn new(
        device: &mut dyn Device,
        task: &dyn Task,
        models: &Models,
        recipe: &Recipe,
        graphs: Vec<PhaseGraphs<PlannedGraph>>,
    ) -> Result<PreparedSteps> {
        let digest = digest_of_graphs(&graphs);
        let mut state: Vec<String> = models.state().map(|part| part.name.clone()).collect();
        for (name, value) in task
            .variables()?
            .into_iter()
            .chain(task.training_variables()?)
        {
            device.set(&name, &value)?;
        }
        for (name, value) in recipe.anchor.iter().flat_map(|anchor| anchor.variables()) {
            device.set(&name, value)?;
        }
        let mut counters: Vec<(String, TensorType)> = Vec::new();
        let mut averages: Vec<(String, String)> = Vec::new();
        for (phase, task_phase) in graphs.iter().zip(task.phases()) {
            if recipe.average.is_some() {
                for name in phase.optimizer.trained() {
                    let average = Average::name_of(name);
                    let start = device.get(name)?;
                    check_new(&state, &average)?;
                    device.set(&average, &start)?;
                    state.push(average.clone());
                    averages.push((name.to_string(), average));
                }
            }
            if recipe.precision == Precision::Mixed {
                for (name, start) in loss_scale::state(task_phase.name) {
                    check_new(&state, &name)?;
                    device.set(&name, &start)?;
                    state.push(name);
                }
            }
            for (name, ty) in phase.optimizer.state() {
                check_new(&state, &name)?;
                device.set(&name, &Tensor::zeros(&ty))?;
                state.push(name);
            }
            let gradients = phase.gradients.graph();
            for (name, ty) in gradients.updated(is_accumulated) {
                device.set(&name, &Tensor::zeros(&ty))?;
            }
            let counted = phase.graphs().map(PlannedGraph::graph);
            for (name, ty) in counted.flat_map(|graph| graph.updated(StepGraphCounters::is_one)) {
                device.set(&name, &Tensor::zeros(&ty))?;
                if !counters.iter().any(|(known, _)| *known == name) {
                    counters.push((name, ty));
                }
            }
        }
        let every: Vec<u64> = task.phases().iter().map(|phase| phase.every).collect();
        let names: Vec<&str> = task.phases().iter().map(|phase| phase.name).collect();
        let mut phases = Vec::with_capacity(graphs.len());
        for ((graphs, every), name) in graphs.into_iter().zip(every).zip(names) {
            let PhaseGraphs {
                gradients,
                update,
                optimizer,
            } = graphs;
            let mut own = optimizer.scalar_names().to_vec();
            own.extend(recipe.average.as_ref().map(|_| Average::SCALAR.to_string()));
            let mut prepare = |planned| -> Result<(ProgramId, ScalarRows)> {
                let program = device.prepare(planned)?;
                let names = device.scalar_names(program);
                Ok((program, ScalarRows::new(names, &own, task, recipe.seed)?))
            };
            let inputs = tensor_inputs(gradients.graph());
            let (gradients, rows) = prepare(gradients)?;
            let update = update.map(&mut prepare).transpose()?;
            phases.push(Phase {
                gradients,
                inputs,
                rows,
                update,
                numbers: Vec::with_capacity(own.len()),
                lr: recipe.config(name).lr(),
                optimizer,
                every: every.max(1),
            });
        }
        let scalars = counters.iter().filter(|(_, ty)| ty.shape.rank() == 0);
        let watched: Vec<&str> = scalars.map(|(name, _)| name.as_str()).collect();
        let sums = counters.iter().map(|(name, _)| name);
        let saved = state.iter().chain(sums).cloned().collect();
        let watch = match watched.is_empty() {
            true => None,
            false => Some(device.watch(&watched)?),
        };
        Ok(PreparedSteps {
            phases,
            state,
            saved,
            digest,
            counters,
            averages,
            watch,
            shorter: Vec::new(),
        })
    }

    /// The rows of scalars of the only phase, or of its program for a bucket.
    pub(super) fn rows(&self, bucket: Option<usize>) -> &ScalarRows {
        let shorter = bucket.and_then(|bucket| self.shorter.get(bucket));
        shorter.map_or(&self.phases[0].rows, |(_, rows)| rows)
    }

    /// Adds the steps of the only phase for shorter batches, in the order of their buckets. They share all variables.
    ///
    /// # Errors
    /// If the device is out of memory.
    pub fn add_shorter(
        &mut self,
        device: &mut dyn Device,
        task: &dyn Task,
        recipe: &Recipe,
        graphs: Vec<PhaseGraphs<PlannedGraph>>,
    ) -> Result<()> {
        for phase in graphs {
            let mut own = phase.optimizer.scalar_names().to_vec();
            own.extend(recipe.average.as_ref().map(|_| Average::SCALAR.to_string()));
            let program = device.prepare(phase.gradients)?;
            let names = device.scalar_names(program);
            let rows = ScalarRows::new(names, &own, task, recipe.seed)?;
            self.shorter.push((program, rows));
        }
        Ok(())
    }
}

/// The SHA-256 of the text of all graphs, in hexadecimal digits.
fn digest_of_graphs(graphs: &[PhaseGraphs<PlannedGraph>]) -> String {
    let mut digest = ContentDigest::default();
    for graph in graphs.iter().flat_map(PhaseGraphs::graphs) {
        // Writing into a digest never fails.
        let _ = write!(digest, "{graph}");
    }
    digest.digits()
}

/// Checks that the optimizer's variable `name` is none of the model's or of another optimizer.
fn check_new(state: &[String], name: &String) -> Result<()> {
    match state.contains(name) {
        true => Err(Error::Config(format!(
            "the model has a variable {name}, which is the name of one of the optimizer's; give the layer another name"
        ))),
        false => Ok(()),
    }
}

/// Names of the inputs of a graph that are not scalars.
fn tensor_inputs(graph: &Graph) -> Vec<String> {
    let inputs = graph.nodes.iter().filter_map(|node| match &node.kind {
        NodeKind::Input(name) if node.ty.shape.rank() > 0 => Some(name.to_string()),
        _ => None,
    });
    inputs.collect()
}
