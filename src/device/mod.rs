//! Devices, on which graphs are computed: one trait for GPU adapters and the CPU reference.
//!
//! [`Engine::open`] chooses between the two, [`Engine::device`] returns a [`Device`] with its own variables and programs.
//! Two devices of one engine only share the adapter.

mod engine;
mod gpu;
mod inputs;
mod reference;
#[cfg(test)]
mod tests;

pub use engine::{DeviceChoice, Engine};

use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::plan::{Plan, Scalar};
use crate::tensor::{DType, TensorType};
use std::fmt;

/// Requests that a watch holds before one must be taken.
const WATCH_DEPTH: usize = 3;

/// A graph that a device has prepared. Means something to that device alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProgramId(usize);

/// A ring of [`Device::watch`], valid only for that device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WatchId(usize);

/// A graph that a device has planned, and given no memory yet ([`Device::plan`]). Means something to that device alone.
pub struct PlannedGraph {
    graph: Graph,
    /// What an adapter launches; nothing in the reference, which walks the graph.
    plan: Option<Plan>,
}

/// The graph, then what is launched.
impl fmt::Display for PlannedGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.graph)?;
        match &self.plan {
            Some(plan) => write!(f, "{plan}"),
            None => Ok(()),
        }
    }
}

impl PlannedGraph {
    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// Computes graphs over variables that it keeps by name.
///
/// All programs of a device read and update the same variables. Submissions run in the order of the calls, which includes
/// [`Device::set`], [`Device::feed`] and [`Device::request`].
pub trait Device: Send {
    /// Name for reports.
    fn name(&self) -> String;

    /// Creates the variable `name`, or replaces its elements.
    ///
    /// # Errors
    /// If memory is too small, or the variable exists with another type.
    fn set(&mut self, name: &str, value: &Tensor<f32>) -> Result<()>;

    /// Reads the variable `name`, after everything that was submitted. Waits for the device.
    ///
    /// # Errors
    /// If there is none of that name, or the device failed.
    fn get(&self, name: &str) -> Result<Tensor<f32>>;

    /// Type of the variable `name`.
    ///
    /// # Errors
    /// If there is none of that name.
    fn ty(&self, name: &str) -> Result<TensorType>;

    /// Whether there is a variable `name`.
    fn has(&self, name: &str) -> bool;

    /// Bytes of the variables on an adapter; 0 in the reference, which has no separate memory.
    fn variable_bytes(&self) -> u64;

    /// Plans a step of `graph` and checks, before anything is allocated, that there is room for it and its variables. A GPU
    /// does not report how much memory it has left: there [`Device::prepare`] may still fail.
    ///
    /// # Errors
    /// If it does not fit the device's limits, or the memory of the computer where that is what the device uses.
    fn plan(&self, graph: Graph) -> Result<PlannedGraph>;

    /// Whether the memory of steps of all of `planned`, and of their variables that do not exist yet, can be allocated in
    /// addition to what is allocated now. An adapter tries it and frees that memory again; the reference, which allocates
    /// while it runs, always has room.
    fn has_room(&self, planned: &[&PlannedGraph]) -> bool;

    /// Makes a planned graph ready to run. The variables that it names must exist.
    ///
    /// # Errors
    /// If a variable is missing, or the device is out of memory.
    fn prepare(&mut self, planned: PlannedGraph) -> Result<ProgramId>;

    /// Bytes that a step of `program` needs in addition to variables on an adapter; 0 in the reference.
    fn workspace_bytes(&self, program: ProgramId) -> u64;

    /// Names of the scalar inputs of `program`, in the order of their values in rows.
    fn scalar_names(&self, program: ProgramId) -> &[String];

    /// Maximum number of steps per call of [`Device::run`].
    fn max_steps(&self) -> usize;

    /// Sets an input of `program` that is not a scalar, for all steps submitted from now on, until it is fed again.
    ///
    /// # Errors
    /// If there is no such input, it is a scalar, or it has another type.
    fn feed(&mut self, program: ProgramId, input: &str, value: &Tensor<f32>) -> Result<()>;

    /// Runs `steps` steps one after another, up to [`Device::max_steps`]. `scalars` holds a row for each, with values in
    /// the order of [`Device::scalar_names`]. On an adapter, it submits and does not wait.
    ///
    /// # Errors
    /// If there are too many steps, the rows do not fit, an input was never fed, or the device failed.
    fn run(&mut self, program: ProgramId, steps: usize, scalars: &[Scalar]) -> Result<()>;

    /// Runs one step as [`Device::run`] does, and returns the names of its kernels with their milliseconds, in the order in which
    /// they ran; the reference has no kernels. Waits for the device.
    ///
    /// # Errors
    /// As [`Device::run`].
    fn run_timed(&mut self, program: ProgramId, scalars: &[Scalar]) -> Result<Vec<(String, f64)>>;

    /// The output `name` of the last step of `program`. Waits for the device.
    ///
    /// # Errors
    /// If there is none of that name, `program` has not run, or the device failed.
    fn output(&self, program: ProgramId, name: &str) -> Result<Tensor<f32>>;

    /// A ring that reads the `f32` variables `names` while the device works on.
    ///
    /// # Errors
    /// If there are no names, one does not exist or is not `f32`, or the device is out of memory.
    fn watch(&mut self, names: &[&str]) -> Result<WatchId>;

    /// Whether the ring has room for another [`Device::request`].
    fn watch_has_room(&self, watch: WatchId) -> bool;

    /// Requests the values as of everything submitted so far.
    ///
    /// # Errors
    /// If the ring is full.
    fn request(&mut self, watch: WatchId) -> Result<()>;

    /// Takes the oldest requested values, those of all variables one after another. `None` if they have not arrived yet, or (the
    /// only case with `wait`) none were requested.
    ///
    /// # Errors
    /// If the device failed.
    fn take(&mut self, watch: WatchId, wait: bool) -> Result<Option<&[f32]>>;

    /// Waits for everything that was submitted.
    ///
    /// # Errors
    /// If the device failed.
    fn wait(&self) -> Result<()>;

    /// Total number of bytes allocated on the device, if known.
    fn allocated_bytes(&self) -> Option<u64>;

    /// Largest tensor that a kernel can read at once, in bytes.
    fn max_tensor_bytes(&self) -> u64;
}

/// Sets the weights and buffers `names` of a model on `device` to `values`, one each.
///
/// # Errors
/// If there are more or fewer values, or the device has no room.
pub fn set_all<'n>(
    device: &mut dyn Device,
    names: impl IntoIterator<Item = &'n str>,
    values: &[Tensor<f32>],
) -> Result<()> {
    let names: Vec<&str> = names.into_iter().collect();
    if names.len() != values.len() {
        return Err(Error::Config(format!(
            "the model has {} weights and buffers, but {} values were given",
            names.len(),
            values.len()
        )));
    }
    let mut each = names.iter().zip(values);
    each.try_for_each(|(name, value)| device.set(name, value))
}

fn unknown_program(program: ProgramId) -> Error {
    Error::Graph(format!("this device has no program {}", program.0))
}

fn unknown_watch(watch: WatchId) -> Error {
    Error::Graph(format!("this device has no watch {}", watch.0))
}

fn unknown_output(name: &str) -> Error {
    Error::Graph(format!("there is no output {name}"))
}

fn never_ran(name: &str) -> Error {
    Error::Graph(format!(
        "output {name} has no value; run the program before reading it"
    ))
}

/// Checks that variables of these names and types can be watched.
fn check_watch(names: &[&str], ty: impl Fn(&str) -> Result<TensorType>) -> Result<()> {
    if names.is_empty() {
        return Err(Error::Graph(
            "a watch needs the name of a variable".to_string(),
        ));
    }
    for name in names {
        let ty = ty(name)?;
        if ty.dtype != DType::F32 {
            return Err(Error::Graph(format!(
                "variable {name} is a {ty}; only f32 variables can be watched"
            )));
        }
    }
    Ok(())
}
