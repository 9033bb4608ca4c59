//! An adapter as a device.

use super::inputs::TensorInputs;
use super::{
    Device, PlannedGraph, ProgramId, WATCH_DEPTH, WatchId, check_watch, never_ran, unknown_program,
    unknown_watch,
};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, MAX_STEPS_PER_SUBMIT, Program, Readback, Store, has_room};
use crate::graph::Graph;
use crate::host_memory;
use crate::plan::{Plan, Scalar};
use crate::tensor::TensorType;

/// Variables, programs and watches on an adapter.
pub(super) struct GpuDevice<'g> {
    gpu: &'g Gpu,
    store: Store,
    programs: Vec<Prepared>,
    watches: Vec<Readback>,
}

struct Prepared {
    program: Program,
    inputs: TensorInputs,
    has_run: bool,
}

impl<'g> GpuDevice<'g> {
    /// Nothing on `gpu` yet.
    pub fn new(gpu: &'g Gpu) -> Self {
        GpuDevice {
            gpu,
            store: Store::new(),
            programs: Vec::new(),
            watches: Vec::new(),
        }
    }

    fn program(&self, id: ProgramId) -> Result<&Prepared> {
        self.programs.get(id.0).ok_or_else(|| unknown_program(id))
    }

    fn program_mut(&mut self, id: ProgramId) -> Result<&mut Prepared> {
        self.programs
            .get_mut(id.0)
            .ok_or_else(|| unknown_program(id))
    }

    fn ring(&mut self, id: WatchId) -> Result<&mut Readback> {
        self.watches.get_mut(id.0).ok_or_else(|| unknown_watch(id))
    }
}

impl Device for GpuDevice<'_> {
    fn name(&self) -> String {
        format!("{} ({:?})", self.gpu.info.name, self.gpu.info.backend)
    }

    fn set(&mut self, name: &str, value: &Tensor<f32>) -> Result<()> {
        self.store.set(self.gpu, name, value)
    }

    fn get(&self, name: &str) -> Result<Tensor<f32>> {
        self.store.read(self.gpu, name)
    }

    fn ty(&self, name: &str) -> Result<TensorType> {
        self.store.get(name).map(|(ty, _)| ty.clone())
    }

    fn has(&self, name: &str) -> bool {
        self.store.get(name).is_ok()
    }

    fn variable_bytes(&self) -> u64 {
        self.store.bytes()
    }

    fn plan(&self, graph: Graph) -> Result<PlannedGraph> {
        let plan = Plan::new(&graph, &self.gpu.target)?;
        if self.gpu.target.software {
            host_memory::check_step(plan.workspace_bytes() + plan.variable_bytes())?;
        }
        let plan = Some(plan);
        Ok(PlannedGraph { graph, plan })
    }

    fn has_room(&self, planned: &[&PlannedGraph]) -> bool {
        let plans = planned.iter().filter_map(|planned| planned.plan.as_ref());
        has_room(self.gpu, plans, &self.store)
    }

    fn prepare(&mut self, planned: PlannedGraph) -> Result<ProgramId> {
        let PlannedGraph { graph, plan } = planned;
        let plan = plan.ok_or_else(|| {
            Error::Graph("the graph was planned by another device; plan it by this one".to_string())
        })?;
        let program = Program::new(self.gpu, &plan, &self.store)?;
        let inputs = TensorInputs::new(&graph, |name| program.has_input(name))?;
        self.programs.push(Prepared {
            program,
            inputs,
            has_run: false,
        });
        Ok(ProgramId(self.programs.len() - 1))
    }

    fn workspace_bytes(&self, program: ProgramId) -> u64 {
        self.program(program)
            .map_or(0, |prepared| prepared.program.workspace_bytes())
    }

    fn scalar_names(&self, program: ProgramId) -> &[String] {
        self.program(program)
            .map_or(&[], |prepared| prepared.program.scalar_names())
    }

    fn max_steps(&self) -> usize {
        MAX_STEPS_PER_SUBMIT
    }

    fn feed(&mut self, program: ProgramId, input: &str, value: &Tensor<f32>) -> Result<()> {
        let gpu = self.gpu;
        let prepared = self.program_mut(program)?;
        prepared.inputs.feed(input, value)?;
        // The plan leaves out what no kernel reads.
        if prepared.program.has_input(input) {
            prepared.program.feed(gpu, input, value)?;
        }
        Ok(())
    }

    fn run(&mut self, program: ProgramId, steps: usize, scalars: &[Scalar]) -> Result<()> {
        let gpu = self.gpu;
        let prepared = self.program_mut(program)?;
        prepared.inputs.check()?;
        prepared.program.run(gpu, steps, scalars)?;
        prepared.has_run |= steps > 0;
        Ok(())
    }

    fn run_timed(&mut self, program: ProgramId, scalars: &[Scalar]) -> Result<Vec<(String, f64)>> {
        let gpu = self.gpu;
        let prepared = self.program_mut(program)?;
        prepared.inputs.check()?;
        prepared.has_run = true;
        prepared.program.run_kernels_timed(gpu, scalars)
    }

    fn output(&self, program: ProgramId, name: &str) -> Result<Tensor<f32>> {
        let prepared = self.program(program)?;
        if !prepared.has_run && prepared.program.has_output(name) {
            return Err(never_ran(name));
        }
        prepared.program.read(self.gpu, name)
    }

    fn watch(&mut self, names: &[&str]) -> Result<WatchId> {
        check_watch(names, |name| self.ty(name))?;
        let sources = names
            .iter()
            .map(|name| self.store.get(name).cloned())
            .collect::<Result<Vec<_>>>()?;
        self.watches
            .push(Readback::new(self.gpu, sources, WATCH_DEPTH)?);
        Ok(WatchId(self.watches.len() - 1))
    }

    fn watch_has_room(&self, watch: WatchId) -> bool {
        self.watches.get(watch.0).is_some_and(Readback::has_room)
    }

    fn request(&mut self, watch: WatchId) -> Result<()> {
        let gpu = self.gpu;
        self.ring(watch)?.request(gpu)
    }

    fn take(&mut self, watch: WatchId, wait: bool) -> Result<Option<&[f32]>> {
        let gpu = self.gpu;
        self.ring(watch)?.take(gpu, wait)
    }

    fn wait(&self) -> Result<()> {
        self.gpu.wait()
    }

    fn allocated_bytes(&self) -> Option<u64> {
        self.gpu.allocated_bytes()
    }

    fn max_tensor_bytes(&self) -> u64 {
        self.gpu.target.max_binding_bytes
    }
}
