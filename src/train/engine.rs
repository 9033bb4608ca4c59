//! One interface over a device and the CPU reference: variables by name, and steps of a training or evaluation graph.

use super::host_memory;
use crate::cpu::{self, Tensor, Variables};
use crate::error::{Error, Result};
use crate::gpu::{AdapterChoice, Gpu, MAX_STEPS_PER_SUBMIT, Program, Readback, Store};
use crate::graph::{Graph, NodeKind};
use crate::plan::{Plan, Scalar};
use crate::settings::{Device, Settings};
use crate::tensor::{DType, TensorType};
use crate::tune::{self, Tuning};
use std::collections::HashMap;
use std::sync::Arc;

/// Where a run computes.
pub enum Engine {
    /// On an adapter.
    Gpu(Box<Gpu>),
    /// In the reference.
    Cpu,
}

/// Opens what `settings` ask for, to plan with the kernel variants that a run `recorded` or else with those that `wgrad tune`
/// found. The second value is something to tell the user: that no adapter was found, say.
///
/// # Errors
/// If an adapter was asked for and there is none.
pub fn open_engine(
    settings: &Settings,
    recorded: Option<Tuning>,
) -> Result<(Engine, Option<String>)> {
    let choice = match &settings.adapter {
        None => AdapterChoice::Best,
        Some(text) => match text.parse() {
            Ok(number) => AdapterChoice::Number(number),
            Err(_) => AdapterChoice::Name(text.clone()),
        },
    };
    match settings.device {
        Device::Cpu => Ok((Engine::Cpu, None)),
        Device::Gpu => Ok(tuned(Gpu::open(&choice)?, recorded)),
        Device::Auto => match Gpu::open(&choice) {
            Ok(gpu) => Ok(tuned(gpu, recorded)),
            // Whoever names an adapter wants no other.
            Err(e) if settings.adapter.is_some() => Err(e),
            Err(e) => {
                let told = format!("computing on the CPU reference, which is slow: {e}");
                Ok((Engine::Cpu, Some(told)))
            }
        },
    }
}

fn tuned(mut gpu: Gpu, recorded: Option<Tuning>) -> (Engine, Option<String>) {
    let told = tune::choose(&mut gpu, recorded);
    (Engine::Gpu(Box::new(gpu)), told)
}

impl Engine {
    /// The kernel variants that it plans with; `None` on the CPU.
    pub fn tuning(&self) -> Option<Tuning> {
        match self {
            Engine::Gpu(gpu) => Some(Tuning::of(gpu)),
            Engine::Cpu => None,
        }
    }

    /// Name for reports.
    pub fn name(&self) -> String {
        match self {
            Engine::Gpu(gpu) => format!("{} ({:?})", gpu.info.name, gpu.info.backend),
            Engine::Cpu => "CPU reference".to_string(),
        }
    }

    /// An empty memory for variables.
    pub fn memory(&self) -> Memory {
        match self {
            Engine::Gpu(_) => Memory::Gpu(Store::new()),
            Engine::Cpu => Memory::Cpu(Variables::new()),
        }
    }

    /// Checks, before anything is allocated, that there is room for a step of `graph` and its variables. What a GPU has
    /// left it does not tell; [`Engine::prepare`] finds out.
    ///
    /// # Errors
    /// If it does not fit the device's limits, or the memory of the computer where that is what the device uses.
    pub fn check(&self, graph: &Graph) -> Result<()> {
        match self {
            Engine::Gpu(gpu) => {
                let plan = Plan::new(graph, &gpu.target)?;
                if gpu.target.software {
                    host_memory::check(plan.workspace_bytes() + plan.variable_bytes())?;
                }
                Ok(())
            }
            Engine::Cpu => {
                host_memory::check(cpu::workspace_bytes(graph) + cpu::variable_bytes(graph))
            }
        }
    }

    /// Makes `graph` ready to run. Its variables must be in `memory`.
    ///
    /// # Errors
    /// If it does not fit the device.
    pub fn prepare(&self, graph: Graph, memory: &Memory) -> Result<Runner> {
        match (self, memory) {
            (Engine::Gpu(gpu), Memory::Gpu(store)) => {
                let plan = Plan::new(&graph, &gpu.target)?;
                Ok(Runner::Gpu(Box::new(Program::new(gpu, &plan, store)?)))
            }
            _ => {
                let names = graph.nodes.iter().filter_map(|node| match &node.kind {
                    NodeKind::Input(name) if node.ty.shape.rank() == 0 => {
                        Some((name.to_string(), node.ty.dtype))
                    }
                    _ => None,
                });
                let (names, types) = names.unzip();
                Ok(Runner::Cpu {
                    graph: Box::new(graph),
                    names,
                    types,
                    outputs: Vec::new(),
                })
            }
        }
    }

    /// Waits for what was submitted.
    ///
    /// # Errors
    /// If the device failed.
    pub fn wait(&self) -> Result<()> {
        match self {
            Engine::Gpu(gpu) => gpu.wait(),
            Engine::Cpu => Ok(()),
        }
    }

    /// Bytes that the device has allocated, where it can tell.
    pub fn allocated_bytes(&self) -> Option<u64> {
        match self {
            Engine::Gpu(gpu) => gpu.allocated_bytes(),
            Engine::Cpu => None,
        }
    }

    /// Largest tensor that a kernel can read at once, in bytes.
    pub fn max_tensor_bytes(&self) -> u64 {
        match self {
            Engine::Gpu(gpu) => gpu.target.max_binding_bytes,
            Engine::Cpu => u64::MAX,
        }
    }
}

/// Variables of a run.
pub enum Memory {
    /// On the device.
    Gpu(Store),
    /// On the host.
    Cpu(Variables<f32>),
}

impl Memory {
    /// Creates or replaces a variable.
    ///
    /// # Errors
    /// If the device has no room for it.
    pub fn set(&mut self, engine: &Engine, name: &str, value: &Tensor<f32>) -> Result<()> {
        match (self, engine) {
            (Memory::Gpu(store), Engine::Gpu(gpu)) => store.set(gpu, name, value),
            (Memory::Cpu(variables), _) => {
                variables.insert(name.to_string(), Arc::new(value.clone()));
                Ok(())
            }
            _ => Err(mismatch()),
        }
    }

    /// Bytes that the variables take on a device.
    pub fn bytes(&self) -> u64 {
        match self {
            Memory::Gpu(store) => store.bytes(),
            Memory::Cpu(_) => 0,
        }
    }

    /// Reads a variable back, after everything submitted.
    ///
    /// # Errors
    /// If there is none of that name, or the device failed.
    pub fn get(&self, engine: &Engine, name: &str) -> Result<Tensor<f32>> {
        match (self, engine) {
            (Memory::Gpu(store), Engine::Gpu(gpu)) => store.read(gpu, name),
            (Memory::Cpu(variables), _) => {
                let found = variables.get(name).map(|value| (**value).clone());
                found.ok_or_else(|| Error::Graph(format!("there is no variable {name}")))
            }
            _ => Err(mismatch()),
        }
    }

    /// Type of a variable.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn ty(&self, name: &str) -> Result<TensorType> {
        match self {
            Memory::Gpu(store) => store.get(name).map(|(ty, _)| ty.clone()),
            Memory::Cpu(variables) => {
                let found = variables.get(name).map(|value| value.ty());
                found.ok_or_else(|| Error::Graph(format!("there is no variable {name}")))
            }
        }
    }

    /// A ring that reads the variables `names` without stopping the device; `None` on the CPU, where reading is free.
    ///
    /// # Errors
    /// If one does not exist, or the device is out of memory.
    pub fn readback(&self, engine: &Engine, names: &[&str]) -> Result<Option<Readback>> {
        match (self, engine) {
            (Memory::Gpu(store), Engine::Gpu(gpu)) => {
                let sources = names
                    .iter()
                    .map(|name| store.get(name).cloned())
                    .collect::<Result<Vec<_>>>()?;
                Readback::new(gpu, sources, 3).map(Some)
            }
            _ => Ok(None),
        }
    }
}

fn mismatch() -> Error {
    Error::Graph("variables of one engine were used with another".to_string())
}

/// A graph that is ready to run.
pub enum Runner {
    /// On the device.
    Gpu(Box<Program>),
    /// In the reference.
    Cpu {
        /// The graph, as built.
        graph: Box<Graph>,
        /// Its scalar inputs.
        names: Vec<String>,
        /// Their element types.
        types: Vec<DType>,
        /// Outputs of the last step.
        outputs: Vec<Arc<Tensor<f32>>>,
    },
}

impl Runner {
    /// Names of the scalar inputs, in the order in which rows give their values.
    pub fn scalar_names(&self) -> &[String] {
        match self {
            Runner::Gpu(program) => program.scalar_names(),
            Runner::Cpu { names, .. } => names,
        }
    }

    /// Steps that one call of [`Runner::run`] takes at most.
    pub fn max_steps(&self) -> usize {
        match self {
            Runner::Gpu(_) => MAX_STEPS_PER_SUBMIT,
            Runner::Cpu { .. } => 1,
        }
    }

    /// Runs `steps` steps with their rows of scalars, one after another. On a device, submits and does not wait.
    ///
    /// # Errors
    /// If the device failed, or the rows do not fit.
    pub fn run(
        &mut self,
        engine: &Engine,
        memory: &mut Memory,
        steps: usize,
        scalars: &[Scalar],
    ) -> Result<()> {
        match (self, engine, memory) {
            (Runner::Gpu(program), Engine::Gpu(gpu), _) => {
                program.run(gpu, steps, scalars).map(|_| ())
            }
            (
                Runner::Cpu {
                    graph,
                    names,
                    types,
                    outputs,
                },
                _,
                Memory::Cpu(variables),
            ) => {
                for step in 0..steps {
                    let row = &scalars[step * names.len()..][..names.len()];
                    let inputs: HashMap<String, Arc<Tensor<f32>>> = names
                        .iter()
                        .zip(types.iter().zip(row))
                        .map(|(name, (dtype, scalar))| {
                            (name.clone(), Arc::new(scalar_tensor(*dtype, *scalar)))
                        })
                        .collect();
                    *outputs = cpu::interpret(graph, variables, &inputs)?;
                }
                Ok(())
            }
            _ => Err(mismatch()),
        }
    }

    /// An output of the last step.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn output(&self, engine: &Engine, name: &str) -> Result<Tensor<f32>> {
        match (self, engine) {
            (Runner::Gpu(program), Engine::Gpu(gpu)) => program.read(gpu, name),
            (Runner::Cpu { graph, outputs, .. }, _) => {
                let at = graph.outputs.iter().position(|o| o.name == name);
                let found = at
                    .and_then(|at| outputs.get(at))
                    .map(|value| (**value).clone());
                found.ok_or_else(|| Error::Graph(format!("there is no output {name}")))
            }
            _ => Err(mismatch()),
        }
    }

    /// Bytes that the step needs beside variables, on a device.
    pub fn workspace_bytes(&self) -> u64 {
        match self {
            Runner::Gpu(program) => program.workspace_bytes(),
            Runner::Cpu { .. } => 0,
        }
    }
}

fn scalar_tensor(dtype: DType, scalar: Scalar) -> Tensor<f32> {
    match (dtype, scalar) {
        (DType::U32, Scalar::U32(x)) => Tensor::index([], vec![x]),
        (_, Scalar::U32(x)) => Tensor::real([], vec![x as f32]),
        (_, Scalar::I32(x)) => Tensor::real([], vec![x as f32]),
        (_, Scalar::F32(x)) => Tensor::real([], vec![x]),
    }
}
