//! The CPU reference as a device.

use super::inputs::TensorInputs;
use super::{
    Device, PlannedGraph, ProgramId, WATCH_DEPTH, WatchId, check_watch, never_ran, unknown_output,
    unknown_program, unknown_watch,
};
use crate::cpu::{self, Tensor, Variables};
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, NodeKind};
use crate::host_memory;
use crate::plan::Scalar;
use crate::tensor::{DType, TensorType};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Variables and programs on the host.
#[derive(Default)]
pub(super) struct Reference {
    /// Whether a result that is not finite is an error that names its operation.
    checks: bool,
    variables: Variables<f32>,
    programs: Vec<Prepared>,
    watches: Vec<Watch>,
}

/// A graph with its inputs and outputs.
struct Prepared {
    graph: Graph,
    /// Names and element types of the scalar inputs.
    scalars: (Vec<String>, Vec<DType>),
    tensors: TensorInputs,
    /// Values of the inputs, scalars of the current step included.
    fed: HashMap<String, Arc<Tensor<f32>>>,
    /// Outputs of the last step.
    outputs: Option<Vec<Arc<Tensor<f32>>>>,
}

/// Requested values, which are read at once.
struct Watch {
    names: Vec<String>,
    asked: VecDeque<Vec<f32>>,
    /// The values taken last.
    taken: Vec<f32>,
}

impl Reference {
    /// A reference on which a result that is not finite is an error that names its operation.
    pub fn checked() -> Reference {
        Reference {
            checks: true,
            ..Reference::default()
        }
    }

    fn variable(&self, name: &str) -> Result<&Tensor<f32>> {
        let found = self.variables.get(name);
        found
            .map(|value| &**value)
            .ok_or_else(|| Error::Graph(format!("there is no variable {name}")))
    }

    /// Checks that the variable `name` is what a graph expects.
    fn check_variable(&self, name: &str, expected: &TensorType) -> Result<()> {
        let known = self.variable(name)?.ty();
        if known != *expected {
            return Err(Error::Graph(format!(
                "variable {name} is a {known}, the graph expects a {expected}"
            )));
        }
        Ok(())
    }

    fn program(&self, id: ProgramId) -> Result<&Prepared> {
        self.programs.get(id.0).ok_or_else(|| unknown_program(id))
    }
}

impl Device for Reference {
    fn name(&self) -> String {
        "CPU reference".to_string()
    }

    fn set(&mut self, name: &str, value: &Tensor<f32>) -> Result<()> {
        match self.variables.get_mut(name) {
            Some(known) => {
                if (known.dtype(), &known.shape) != (value.dtype(), &value.shape) {
                    return Err(Error::Graph(format!(
                        "variable {name} is a {}, not a {}",
                        known.ty(),
                        value.ty()
                    )));
                }
                *known = Arc::new(value.clone());
            }
            None => {
                self.variables
                    .insert(name.to_string(), Arc::new(value.clone()));
            }
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Tensor<f32>> {
        self.variable(name).cloned()
    }

    fn ty(&self, name: &str) -> Result<TensorType> {
        self.variable(name).map(Tensor::ty)
    }

    fn has(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    fn variable_bytes(&self) -> u64 {
        0
    }

    fn plan(&self, graph: Graph) -> Result<PlannedGraph> {
        host_memory::check_step(cpu::workspace_bytes(&graph) + cpu::variable_bytes(&graph))?;
        Ok(PlannedGraph { graph, plan: None })
    }

    fn has_room(&self, _: &[&PlannedGraph]) -> bool {
        true
    }

    fn prepare(&mut self, planned: PlannedGraph) -> Result<ProgramId> {
        let graph = planned.graph;
        let (read, updated) = (graph.use_counts(), &graph.updates);
        for id in graph.ids() {
            let used = read[id.index()] > 0 || updated.iter().any(|update| update.variable == id);
            if let (true, NodeKind::Variable(name)) = (used, &graph.node(id).kind) {
                self.check_variable(name, graph.ty(id))?;
            }
        }
        self.programs.push(Prepared::new(graph)?);
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn workspace_bytes(&self, _: ProgramId) -> u64 {
        0
    }

    fn scalar_names(&self, program: ProgramId) -> &[String] {
        self.program(program)
            .map_or(&[], |prepared| &prepared.scalars.0)
    }

    fn max_steps(&self) -> usize {
        1
    }

    fn feed(&mut self, program: ProgramId, input: &str, value: &Tensor<f32>) -> Result<()> {
        let prepared = self.programs.get_mut(program.0);
        let prepared = prepared.ok_or_else(|| unknown_program(program))?;
        prepared.tensors.feed(input, value)?;
        prepared
            .fed
            .insert(input.to_string(), Arc::new(value.clone()));
        Ok(())
    }

    fn run(&mut self, program: ProgramId, steps: usize, scalars: &[Scalar]) -> Result<()> {
        let most = self.max_steps();
        let prepared = self.programs.get_mut(program.0);
        let prepared = prepared.ok_or_else(|| unknown_program(program))?;
        let (names, types) = &prepared.scalars;
        if steps > most || scalars.len() != steps * names.len() {
            return Err(Error::Graph(format!(
                "the reference takes up to {most} row of {} scalars, not {steps} steps with {}",
                names.len(),
                scalars.len()
            )));
        }
        prepared.tensors.check()?;
        if steps == 0 {
            return Ok(());
        }
        for ((name, dtype), scalar) in names.iter().zip(types).zip(scalars) {
            let value = Arc::new(scalar_tensor(*dtype, *scalar));
            prepared.fed.insert(name.clone(), value);
        }
        let (graph, variables) = (&prepared.graph, &mut self.variables);
        let outputs = match self.checks {
            false => cpu::interpret(graph, variables, &prepared.fed)?,
            true => {
                cpu::interpret_with(graph, variables, &prepared.fed, &|id, operands, value| {
                    check_finite(graph, id, operands, value)
                })?
            }
        };
        prepared.outputs = Some(outputs);
        Ok(())
    }

    fn run_timed(&mut self, program: ProgramId, scalars: &[Scalar]) -> Result<Vec<(String, f64)>> {
        self.run(program, 1, scalars)?;
        Ok(Vec::new())
    }

    fn output(&self, program: ProgramId, name: &str) -> Result<Tensor<f32>> {
        let prepared = self.program(program)?;
        let mut known = prepared.graph.outputs.iter();
        let at = known.position(|output| output.name == name);
        let at = at.ok_or_else(|| unknown_output(name))?;
        let outputs = prepared.outputs.as_ref().ok_or_else(|| never_ran(name))?;
        Ok((*outputs[at]).clone())
    }

    fn watch(&mut self, names: &[&str]) -> Result<WatchId> {
        check_watch(names, |name| self.ty(name))?;
        self.watches.push(Watch {
            names: names.iter().map(|name| name.to_string()).collect(),
            asked: VecDeque::with_capacity(WATCH_DEPTH),
            taken: Vec::new(),
        });
        Ok(WatchId(self.watches.len() - 1))
    }

    fn watch_has_room(&self, watch: WatchId) -> bool {
        self.watches.get(watch.0).is_some_and(Watch::has_room)
    }

    fn request(&mut self, watch: WatchId) -> Result<()> {
        let found = self.watches.get(watch.0);
        let found = found.ok_or_else(|| unknown_watch(watch))?;
        if !found.has_room() {
            return Err(Error::Device("the readback ring is full".to_string()));
        }
        let mut values = Vec::new();
        for name in &found.names {
            values.extend_from_slice(self.variable(name)?.reals());
        }
        self.watches[watch.0].asked.push_back(values);
        Ok(())
    }

    fn take(&mut self, watch: WatchId, _: bool) -> Result<Option<&[f32]>> {
        let found = self.watches.get_mut(watch.0);
        let found = found.ok_or_else(|| unknown_watch(watch))?;
        let Some(values) = found.asked.pop_front() else {
            return Ok(None);
        };
        found.taken = values;
        Ok(Some(&found.taken))
    }

    fn wait(&self) -> Result<()> {
        Ok(())
    }

    fn allocated_bytes(&self) -> Option<u64> {
        None
    }

    fn max_tensor_bytes(&self) -> u64 {
        u64::MAX
    }
}

/// Fails if the result `value` of the operation `id` is not finite.
fn check_finite(
    graph: &Graph,
    id: NodeId,
    operands: &[&Tensor<f32>],
    value: &Tensor<f32>,
) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    let reals = value.reals();
    let count = reals.iter().filter(|x| !x.is_finite()).count();
    let first = reals.iter().find(|x| !x.is_finite()).unwrap_or(&f32::NAN);
    let node = graph.node(id);
    let inputs = node.inputs.iter().zip(operands).map(|(input, operand)| {
        let largest = match operand.dtype() {
            DType::F32 => operand.reals().iter().fold(0.0_f32, |m, x| m.max(x.abs())),
            DType::U32 => return graph.node(*input).label(),
        };
        format!("{} (up to {largest:e})", graph.node(*input).label())
    });
    Err(Error::Diverged(format!(
        "{} gives {first} in {count} of {} elements of a {}, from {}",
        node.label(),
        reals.len(),
        node.ty,
        inputs.collect::<Vec<_>>().join(", ")
    )))
}

impl Prepared {
    /// # Errors
    /// If two inputs of one name have different types.
    fn new(graph: Graph) -> Result<Prepared> {
        let uses = graph.use_counts();
        let (mut names, mut types) = (Vec::new(), Vec::new());
        let mut read = HashSet::new();
        for (node, uses) in graph.nodes.iter().zip(uses) {
            let NodeKind::Input(name) = &node.kind else {
                continue;
            };
            if uses > 0 {
                read.insert(name.clone());
            }
            if node.ty.shape.rank() == 0 && !names.iter().any(|known| *known == **name) {
                names.push(name.to_string());
                types.push(node.ty.dtype);
            }
        }
        Ok(Prepared {
            tensors: TensorInputs::new(&graph, |name| read.contains(name))?,
            graph,
            scalars: (names, types),
            fed: HashMap::new(),
            outputs: None,
        })
    }
}

impl Watch {
    fn has_room(&self) -> bool {
        self.asked.len() < WATCH_DEPTH
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
