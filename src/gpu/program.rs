//! A plan prepared for execution: pipelines, buffers and bind groups are created once; a step only encodes and submits.

use super::allocation::{Buffers, allocate};
use super::commands::{Command, encode};
use super::pieces::{self, Division, PiecedLaunch, Untimed, Work};
use super::pipelines::{self, Pipeline};
use super::scalars::{MAX_STEPS_PER_SUBMIT, ScalarTable};
use super::timestamps::{Span, Timestamps};
use super::{Gpu, Store, store};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::plan::resolve::{Resolved, resolve};
use crate::plan::{Launch, Plan, Scalar, Step, ValueKind};
use crate::shader::Reflections;
use crate::tensor::TensorType;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

/// A plan prepared for a device.
pub struct Program {
    /// For each step of the plan, what it does.
    works: Vec<Work>,
    division: Division,
    /// How the division is found, until it was.
    untimed: Option<Untimed>,
    scalars: ScalarTable,
    inputs: BTreeMap<String, (TensorType, wgpu::Buffer)>,
    outputs: BTreeMap<String, (TensorType, wgpu::Buffer)>,
    slots: Vec<wgpu::Buffer>,
    workspace_bytes: u64,
    /// The name of the kernel of each step of the plan.
    kernels: Vec<String>,
}

fn kernel_of(step: &Step) -> String {
    match step {
        Step::Launch(launch) => launch.shader.name.clone(),
        Step::Copy { .. } => "copy".to_string(),
        Step::Texture(_) => "texture view".to_string(),
    }
}

/// Checks that `store` holds every variable that `plan` names. Several threads create pipelines in no fixed order;
/// without this check, thread timing would decide which of several missing variables the error names.
fn check_variables(plan: &Plan, store: &Store) -> Result<()> {
    for value in &plan.values {
        if let ValueKind::Variable(name) = &value.kind {
            let (ty, _) = store.get(name)?;
            if *ty != value.ty {
                return Err(Error::Graph(format!(
                    "variable {name} is a {ty}, the plan expects a {}",
                    value.ty
                )));
            }
        }
    }
    Ok(())
}

impl Program {
    /// Prepares `plan` on `gpu`. `store` must hold every variable that the plan names.
    ///
    /// # Errors
    /// If the device is out of memory, a shader does not compile or does not match its launch, or a variable is missing.
    pub fn new(gpu: &Gpu, plan: &Plan, store: &Store) -> Result<Program> {
        check_variables(plan, store)?;
        let launches: Vec<&Launch> = plan.launches().collect();
        let mut reflections = Reflections::default();
        let resolved = launches
            .iter()
            .map(|launch| resolve(launch, &mut reflections))
            .collect::<Result<Vec<_>>>()?;
        let keys: Vec<pipelines::Key> = launches
            .iter()
            .zip(&resolved)
            .map(|(launch, resolved)| pipelines::key(resolved, &launch.shader.constants()))
            .collect();
        let wanted: Vec<_> = keys
            .iter()
            .zip(launches.iter().zip(&resolved))
            .map(|(key, (launch, r))| (key.clone(), launch.shader.name.clone(), &*r.reflection))
            .collect();
        let scalars = ScalarTable::new(gpu, plan)?;
        let memory = allocate(gpu, plan, store)?;
        let starts: Vec<_> = launches.iter().map(|l| pieces::starts(plan, l)).collect();
        let uniforms = Uniforms::new(gpu, &starts, &resolved)?;
        let bound = |at: usize, pipeline: &Pipeline, offset: u64| {
            let params = uniforms.binding(offset, resolved[at].params.len());
            bind(
                gpu,
                &memory,
                &scalars,
                launches[at],
                &resolved[at],
                pipeline,
                params,
            )
        };
        let pipelines = gpu.pipelines.get(gpu, &wanted, |at, pipeline| {
            if gpu.target.software {
                let bind_group = bound(at, pipeline, uniforms.offsets[at][0])?;
                warm_up(gpu, pipeline, &bind_group)?;
            }
            Ok(())
        })?;
        let mut works = Vec::with_capacity(plan.steps.len());
        let mut at = 0;
        for step in &plan.steps {
            works.push(match step {
                Step::Launch(launch) => {
                    let pipeline = pipelines[at].clone();
                    let pieces = starts[at].iter().zip(&uniforms.offsets[at]);
                    let pieces = pieces
                        .map(|(&first, &offset)| Ok((first, bound(at, &pipeline, offset)?)))
                        .collect::<Result<_>>()?;
                    at += 1;
                    Work::Launch(PiecedLaunch {
                        pipeline,
                        pieces,
                        workgroups: launch.workgroups,
                        cost: pieces::cost(plan, launch),
                    })
                }
                Step::Copy { from, to } => {
                    let bytes = plan.values[to.index()].bytes;
                    let (from, offset) = memory.buffer(&scalars, *from)?;
                    let (to, _) = memory.buffer(&scalars, *to)?;
                    Work::Copy(Command::Copy {
                        from: from.clone(),
                        offset,
                        to: to.clone(),
                        bytes,
                    })
                }
                Step::Texture(value) => {
                    let (buffer, _) = memory.buffer(&scalars, *value)?;
                    let texture = plan.texture_of[value.index()].ok_or_else(|| {
                        Error::Graph(format!(
                            "{} has no texture",
                            plan.values[value.index()].label
                        ))
                    })?;
                    Work::Copy(Command::Fill {
                        buffer: buffer.clone(),
                        texture: memory.textures[texture.index()].clone(),
                        vec4s: (plan.values[value.index()].bytes / 16) as u32,
                    })
                }
            });
        }
        let outputs = plan
            .outputs
            .iter()
            .map(|(name, value, ty)| {
                let (buffer, _) = memory.buffer(&scalars, *value)?;
                Ok((name.clone(), (ty.clone(), buffer.clone())))
            })
            .collect::<Result<_>>()?;
        let Buffers { inputs, slots, .. } = memory;
        let workspace_bytes = plan.workspace_bytes();
        Ok(Program {
            division: Division::whole(&works, gpu.target.max_workgroups)?,
            untimed: Untimed::new(plan, &works),
            works,
            scalars,
            inputs,
            outputs,
            slots,
            workspace_bytes,
            kernels: plan.steps.iter().map(kernel_of).collect(),
        })
    }

    /// Names of the scalar inputs, in the order in which [`Program::run`] takes their values.
    pub fn scalar_names(&self) -> &[String] {
        &self.scalars.names
    }

    /// Whether there is a non-scalar input `name`. The plan omits inputs that no kernel reads.
    pub fn has_input(&self, name: &str) -> bool {
        self.inputs.contains_key(name)
    }

    /// Whether there is an output `name`.
    pub fn has_output(&self, name: &str) -> bool {
        self.outputs.contains_key(name)
    }

    /// Sets a non-scalar input for all steps submitted from now on.
    ///
    /// # Errors
    /// If there is no such input, it has another type, or the device failed.
    pub fn feed(&self, gpu: &Gpu, name: &str, value: &Tensor<f32>) -> Result<()> {
        let (ty, buffer) = self
            .inputs
            .get(name)
            .ok_or_else(|| Error::Graph(format!("there is no input {name}")))?;
        if (ty.dtype, &ty.shape) != (value.dtype(), &value.shape) {
            return Err(Error::Graph(format!(
                "input {name} is a {ty}, but a {} was given",
                value.ty()
            )));
        }
        gpu.write(buffer, store::bytes(value))
    }

    /// Submits `steps` steps, at most [`MAX_STEPS_PER_SUBMIT`], without waiting, except for the first step of a program that may
    /// be too long for one submission: its parts are timed. `scalars` holds one row per step, with the values in the order of
    /// [`Program::scalar_names`].
    ///
    /// # Errors
    /// If there are too many steps, the number of scalars does not match, or the device failed.
    pub fn run(&mut self, gpu: &Gpu, steps: usize, scalars: &[Scalar]) -> Result<()> {
        self.upload(gpu, steps, scalars)?;
        let mut first = 0;
        if steps > 0
            && let Some(untimed) = self.untimed.take()
        {
            self.run_untimed(gpu, &untimed)?;
            first = 1;
        }
        if !self.is_divided() {
            if first < steps {
                gpu.submit(|encoder| self.encode_steps(encoder, first..steps))?;
            }
            return Ok(());
        }
        for row in first..steps {
            gpu.submit(|encoder| self.scalars.encode(encoder, row as u64))?;
            for range in self.division.submitted() {
                gpu.submit(|encoder| encode(encoder, self.division.commands[range].iter()))?;
            }
        }
        Ok(())
    }

    /// Runs the step of the first row, timing its parts, and divides steps by the times from then on. Waits for the device.
    fn run_untimed(&mut self, gpu: &Gpu, untimed: &Untimed) -> Result<()> {
        let most = gpu.target.max_workgroups;
        let division = untimed.division(&self.works, most)?;
        gpu.submit(|encoder| self.scalars.encode(encoder, 0))?;
        gpu.wait()?;
        let timed = |range: Range<usize>| {
            let start = Instant::now();
            gpu.submit(|encoder| encode(encoder, division.commands[range].iter()))?;
            gpu.wait()?;
            Ok(start.elapsed().as_secs_f64())
        };
        let times = division
            .submitted()
            .map(timed)
            .collect::<Result<Vec<_>>>()?;
        self.division = untimed.timed(&self.works, &times, most)?;
        Ok(())
    }

    /// Divides steps into submissions of up to `seconds`, or not at all.
    #[cfg(test)]
    pub(super) fn divide_by(&mut self, seconds: Option<f64>) {
        let untimed = self.untimed.take();
        self.untimed = untimed
            .zip(seconds)
            .map(|(untimed, s)| untimed.with_seconds(s));
    }

    /// The numbers of submissions and dispatches of a step.
    #[cfg(test)]
    pub(super) fn division_sizes(&self) -> [usize; 2] {
        [self.division.submissions.len(), self.dispatches().count()]
    }

    /// Whether a step takes several submissions, as far as it was timed.
    pub fn is_divided(&self) -> bool {
        self.division.submissions.len() > 1
    }

    /// Uploads the rows of scalars of the next submission.
    fn upload(&mut self, gpu: &Gpu, steps: usize, scalars: &[Scalar]) -> Result<()> {
        let table = &mut self.scalars;
        if steps > MAX_STEPS_PER_SUBMIT || scalars.len() != steps * table.names.len() {
            return Err(Error::Graph(format!(
                "a submission takes up to {MAX_STEPS_PER_SUBMIT} rows of {} scalars, not {steps} steps with {}",
                table.names.len(),
                scalars.len()
            )));
        }
        let words = table.stride as usize / 4;
        for (place, scalar) in table.host.iter_mut().step_by(words).zip(scalars) {
            *place = match *scalar {
                Scalar::U32(x) => x,
                Scalar::I32(x) => x.cast_unsigned(),
                Scalar::F32(x) => x.to_bits(),
            };
        }
        if let Some(rows) = &table.rows {
            let used = scalars.len() * words;
            gpu.write(rows, bytemuck::cast_slice(&table.host[..used]))?;
        }
        Ok(())
    }

    /// The commands of `steps` steps, at most [`MAX_STEPS_PER_SUBMIT`].
    ///
    /// # Errors
    /// If the device failed.
    pub fn encode(&self, gpu: &Gpu, steps: usize) -> Result<wgpu::CommandBuffer> {
        gpu.record(|encoder| self.encode_steps(encoder, 0..steps))
    }

    fn encode_steps(&self, encoder: &mut wgpu::CommandEncoder, rows: Range<usize>) {
        for row in rows {
            self.scalars.encode(encoder, row as u64);
            encode(encoder, self.division.commands.iter());
        }
    }

    /// The dispatches of a step, in order: pipelines, bind groups (number 0) and workgroups.
    pub fn dispatches(
        &self,
    ) -> impl Iterator<Item = (&wgpu::ComputePipeline, &wgpu::BindGroup, [u32; 3])> {
        let commands = self.division.commands.iter();
        commands.filter_map(|command| match command {
            Command::Dispatch {
                pipeline,
                bind_group,
                grid,
            } => Some((&pipeline.pipeline, bind_group, *grid)),
            _ => None,
        })
    }

    /// Runs one step with each of the plan's steps in its own pass, and returns the span of device time of each, or
    /// `None` if the adapter does not support timestamps or a step is too long for one submission. Waits for the device. `scalars` is as in [`Program::run`].
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_timed(&mut self, gpu: &Gpu, scalars: &[Scalar]) -> Result<Option<Vec<Span>>> {
        if self.untimed.is_some() || self.is_divided() {
            return Ok(None);
        }
        let Some(mut timestamps) = Timestamps::new(gpu, self.works.len())? else {
            return Ok(None);
        };
        self.upload(gpu, 1, scalars)?;
        gpu.submit(|encoder| {
            self.scalars.encode(encoder, 0);
            for step in 0..self.works.len() {
                timestamps.encode(encoder, self.commands_of(step));
            }
            timestamps.resolve(encoder);
        })?;
        timestamps.read(gpu).map(Some)
    }

    /// Runs one step, and returns the kernel and the milliseconds of each of the plan's steps: by timestamps or, where there are
    /// none or the adapter is a software one, by waiting after each. Variables change as by [`Program::run`].
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_kernels_timed(
        &mut self,
        gpu: &Gpu,
        scalars: &[Scalar],
    ) -> Result<Vec<(String, f64)>> {
        let spans = match gpu.target.software {
            true => None,
            false => self.run_timed(gpu, scalars)?,
        };
        let ms: Vec<f64> = match spans {
            Some(spans) => spans.into_iter().map(Span::ms).collect(),
            None => {
                self.upload(gpu, 1, scalars)?;
                gpu.submit(|encoder| self.scalars.encode(encoder, 0))?;
                gpu.wait()?;
                let timed = |step: usize| {
                    let start = Instant::now();
                    for command in self.commands_of(step) {
                        gpu.submit(|encoder| encode(encoder, [command].into_iter()))?;
                    }
                    gpu.wait()?;
                    Ok(1e3 * start.elapsed().as_secs_f64())
                };
                (0..self.works.len()).map(timed).collect::<Result<_>>()?
            }
        };
        Ok(self.kernels.iter().cloned().zip(ms).collect())
    }

    /// The commands of the plan's step number `step`.
    fn commands_of(&self, step: usize) -> &[Command] {
        let ends = &self.division.ends;
        let start = if step == 0 { 0 } else { ends[step - 1] };
        &self.division.commands[start..ends[step]]
    }

    /// Submits only step `step` of the plan, `times` times, for timing. It runs on the current contents of memory. Does
    /// not wait.
    ///
    /// # Errors
    /// If the plan has no such step, or the device failed.
    pub fn repeat(&self, gpu: &Gpu, step: usize, times: usize) -> Result<()> {
        if step >= self.works.len() {
            return Err(Error::Graph(format!("the plan has no step {step}")));
        }
        let commands = std::iter::repeat_n(self.commands_of(step), times);
        gpu.submit(|encoder| encode(encoder, commands.flatten()))?;
        Ok(())
    }

    /// Reads back an output of the last step. Waits for the device.
    ///
    /// # Errors
    /// If there is no such output, or the device fails.
    pub fn read(&self, gpu: &Gpu, name: &str) -> Result<Tensor<f32>> {
        let (ty, buffer) = self
            .outputs
            .get(name)
            .ok_or_else(|| Error::Graph(format!("there is no output {name}")))?;
        store::tensor(ty, gpu.read(buffer, ty.bytes() as u64)?)
    }

    /// Fills every slot with NaN, so that missing writes of kernels are detected.
    ///
    /// # Errors
    /// If the device fails.
    pub fn poison(&self, gpu: &Gpu) -> Result<()> {
        for slot in &self.slots {
            gpu.write(slot, &vec![0xFF; slot.size() as usize])?;
        }
        Ok(())
    }

    /// Size of the slots and texture views in bytes.
    pub fn workspace_bytes(&self) -> u64 {
        self.workspace_bytes
    }
}

/// Dispatches zero workgroups. Nothing is computed, but a software adapter, which compiles a pipeline at its first
/// dispatch, compiles this one in its own thread while others are still being created.
fn warm_up(gpu: &Gpu, pipeline: &Pipeline, bind_group: &wgpu::BindGroup) -> Result<()> {
    gpu.submit(|encoder| {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(0, 0, 0);
    })?;
    Ok(())
}

/// The parameters of all dispatches in one buffer.
struct Uniforms {
    buffer: wgpu::Buffer,
    /// For each launch, the byte offsets of its pieces.
    offsets: Vec<Vec<u64>>,
}

impl Uniforms {
    /// `starts` are the first workgroups of the pieces of each launch.
    fn new(gpu: &Gpu, starts: &[Vec<u64>], resolved: &[Resolved]) -> Result<Self> {
        let align = gpu.target.offset_alignment.max(16) as usize;
        let (mut bytes, mut offsets) = (Vec::new(), Vec::with_capacity(starts.len()));
        for (starts, resolved) in starts.iter().zip(resolved) {
            let mut own = Vec::with_capacity(starts.len());
            for first in starts {
                own.push(bytes.len() as u64);
                let start = bytes.len();
                bytes.extend_from_slice(&resolved.params);
                let at = start + resolved.first_workgroup;
                bytes[at..at + 4].copy_from_slice(&(*first as u32).to_le_bytes());
                bytes.resize(bytes.len().next_multiple_of(align), 0);
            }
            offsets.push(own);
        }
        let size = (bytes.len() as u64).max(16);
        let buffer = gpu.buffer("kernel parameters", size, wgpu::BufferUsages::UNIFORM)?;
        gpu.write(&buffer, &bytes)?;
        Ok(Uniforms { buffer, offsets })
    }

    fn binding(&self, offset: u64, bytes: usize) -> wgpu::BindingResource<'_> {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.buffer,
            offset,
            size: std::num::NonZeroU64::new(bytes as u64),
        })
    }
}

fn bind(
    gpu: &Gpu,
    memory: &Buffers<'_>,
    scalars: &ScalarTable,
    launch: &Launch,
    resolved: &Resolved,
    pipeline: &Pipeline,
    params: wgpu::BindingResource<'_>,
) -> Result<wgpu::BindGroup> {
    let binding = resolved
        .reflection
        .bindings
        .get("params")
        .map_or(0, |(binding, _)| *binding);
    let mut entries = vec![wgpu::BindGroupEntry {
        binding,
        resource: params,
    }];
    for (operand, &(binding, _)) in launch.operands.iter().zip(&resolved.bindings) {
        let value = &memory.plan.values[operand.value.index()];
        let resource = match memory.plan.texture_of[operand.value.index()] {
            Some(texture) if operand.texture => {
                wgpu::BindingResource::TextureView(&memory.views[texture.index()])
            }
            _ => {
                let (buffer, offset) = memory.buffer(scalars, operand.value)?;
                wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset,
                    size: std::num::NonZeroU64::new(value.bytes),
                })
            }
        };
        entries.push(wgpu::BindGroupEntry { binding, resource });
    }
    gpu.scoped(&launch.label, || {
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&launch.label),
            layout: &pipeline.layout,
            entries: &entries,
        })
    })
}
