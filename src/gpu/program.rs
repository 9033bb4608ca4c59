//! A plan prepared for execution: pipelines, buffers and bind groups are created once; a step only encodes and submits.

use super::commands::{Command, encode};
use super::pipelines::{self, Pipeline};
use super::timestamps::{Span, Timestamps};
use super::{Gpu, Store, store};
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::plan::resolve::{Resolved, fold, resolve};
use crate::plan::{Launch, Plan, Scalar, Step, ValueId, ValueKind};
use crate::shader::{Reflections, TEXTURE_WIDTH};
use crate::tensor::TensorType;
use std::collections::BTreeMap;
use std::time::Instant;

/// Maximum number of steps per submission.
pub const MAX_STEPS_PER_SUBMIT: usize = 32;

/// Usages for scalar inputs and constants, which may be bound either way.
const ONE_NUMBER: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::UNIFORM);

/// A plan prepared for a device.
pub struct Program {
    commands: Vec<Command>,
    /// For each step of the plan, the end of its range of commands.
    ends: Vec<usize>,
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

/// Scalar inputs: one row per step of a submission, and a copy of the current step's row, which kernels read.
struct ScalarTable {
    names: Vec<String>,
    stride: u64,
    current: Option<wgpu::Buffer>,
    rows: Option<wgpu::Buffer>,
    host: Vec<u32>,
}

impl ScalarTable {
    fn new(gpu: &Gpu, plan: &Plan) -> Result<Self> {
        let stride = u64::from(gpu.target.offset_alignment.max(16));
        let names: Vec<String> = plan
            .values
            .iter()
            .filter_map(|value| match &value.kind {
                ValueKind::Input(name) if is_scalar(&value.ty) => Some(name.to_string()),
                _ => None,
            })
            .collect();
        let row = stride * names.len() as u64;
        let (mut current, mut rows) = (None, None);
        if row > 0 {
            current = Some(gpu.buffer("scalars of the step", row, ONE_NUMBER)?);
            let bytes = row * MAX_STEPS_PER_SUBMIT as u64;
            rows = Some(gpu.buffer(
                "scalars of the submission",
                bytes,
                wgpu::BufferUsages::empty(),
            )?);
        }
        let host = vec![0; row as usize / 4 * MAX_STEPS_PER_SUBMIT];
        Ok(ScalarTable {
            names,
            stride,
            current,
            rows,
            host,
        })
    }

    /// Encodes the copy that makes row `row` of the submission the current one.
    fn encode(&self, encoder: &mut wgpu::CommandEncoder, row: u64) {
        let bytes = self.stride * self.names.len() as u64;
        if let (Some(rows), Some(current)) = (&self.rows, &self.current) {
            encoder.copy_buffer_to_buffer(rows, row * bytes, current, 0, bytes);
        }
    }
}

fn is_scalar(ty: &TensorType) -> bool {
    ty.shape.rank() == 0
}

/// Buffers and texture views for the bind groups.
struct Buffers<'a> {
    plan: &'a Plan,
    store: &'a Store,
    slots: Vec<wgpu::Buffer>,
    textures: Vec<wgpu::Texture>,
    views: Vec<wgpu::TextureView>,
    constants: BTreeMap<ValueId, wgpu::Buffer>,
    inputs: BTreeMap<String, (TensorType, wgpu::Buffer)>,
}

impl Buffers<'_> {
    /// Buffer and byte offset of a value.
    fn buffer<'b>(
        &'b self,
        scalars: &'b ScalarTable,
        value: ValueId,
    ) -> Result<(&'b wgpu::Buffer, u64)> {
        let known = &self.plan.values[value.index()];
        let found = match &known.kind {
            ValueKind::Variable(name) => {
                let (_, buffer) = self.store.get(name)?;
                Some((buffer, 0))
            }
            ValueKind::Input(name) if is_scalar(&known.ty) => {
                let row = scalars.names.iter().position(|n| **n == **name);
                scalars
                    .current
                    .as_ref()
                    .zip(row)
                    .map(|(buffer, row)| (buffer, row as u64 * scalars.stride))
            }
            ValueKind::Input(name) => self.inputs.get(&**name).map(|(_, buffer)| (buffer, 0)),
            ValueKind::Constant(_) => self.constants.get(&value).map(|buffer| (buffer, 0)),
            ValueKind::Temporary => {
                self.plan.slot_of[value.index()].map(|slot| (&self.slots[slot.index()], 0))
            }
        };
        found.ok_or_else(|| Error::Graph(format!("{} has no memory", known.label)))
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
        let uniforms = Uniforms::new(gpu, &launches, &resolved)?;
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
        let mut commands = Vec::with_capacity(plan.steps.len());
        let mut ends = Vec::with_capacity(plan.steps.len());
        let mut at = 0;
        for step in &plan.steps {
            match step {
                Step::Launch(launch) => {
                    let pipeline = &pipelines[at];
                    let dispatches = launch.dispatches();
                    for (piece, &offset) in uniforms.offsets[at].iter().enumerate() {
                        let (first, end) = piece_range(launch, piece as u64, dispatches);
                        let grid = fold(end - first, gpu.target.max_workgroups)?;
                        commands.push(Command::Dispatch {
                            pipeline: pipeline.clone(),
                            bind_group: bound(at, pipeline, offset)?,
                            grid,
                        });
                    }
                    at += 1;
                }
                Step::Copy { from, to } => {
                    let bytes = plan.values[to.index()].bytes;
                    let (from, offset) = memory.buffer(&scalars, *from)?;
                    let (to, _) = memory.buffer(&scalars, *to)?;
                    commands.push(Command::Copy {
                        from: from.clone(),
                        offset,
                        to: to.clone(),
                        bytes,
                    });
                }
                Step::Texture(value) => {
                    let (buffer, _) = memory.buffer(&scalars, *value)?;
                    let texture = plan.texture_of[value.index()].ok_or_else(|| {
                        Error::Graph(format!(
                            "{} has no texture",
                            plan.values[value.index()].label
                        ))
                    })?;
                    commands.push(Command::Fill {
                        buffer: buffer.clone(),
                        texture: memory.textures[texture.index()].clone(),
                        vec4s: (plan.values[value.index()].bytes / 16) as u32,
                    });
                }
            }
            ends.push(commands.len());
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
            commands,
            ends,
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

    /// Submits `steps` steps, at most [`MAX_STEPS_PER_SUBMIT`], without waiting. `scalars` holds one row per step, with
    /// the values in the order of [`Program::scalar_names`].
    ///
    /// # Errors
    /// If there are too many steps, the number of scalars does not match, or the device failed.
    pub fn run(
        &mut self,
        gpu: &Gpu,
        steps: usize,
        scalars: &[Scalar],
    ) -> Result<wgpu::SubmissionIndex> {
        self.upload(gpu, steps, scalars)?;
        gpu.submit(|encoder| self.encode_steps(encoder, steps))
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

    /// The commands that [`Program::run`] submits for `steps` steps, at most [`MAX_STEPS_PER_SUBMIT`].
    ///
    /// # Errors
    /// If the device failed.
    pub fn encode(&self, gpu: &Gpu, steps: usize) -> Result<wgpu::CommandBuffer> {
        gpu.record(|encoder| self.encode_steps(encoder, steps))
    }

    fn encode_steps(&self, encoder: &mut wgpu::CommandEncoder, steps: usize) {
        for row in 0..steps as u64 {
            self.scalars.encode(encoder, row);
            encode(encoder, self.commands.iter());
        }
    }

    /// The dispatches of a step, in order: pipelines, bind groups (number 0) and workgroups.
    pub fn dispatches(
        &self,
    ) -> impl Iterator<Item = (&wgpu::ComputePipeline, &wgpu::BindGroup, [u32; 3])> {
        self.commands.iter().filter_map(|command| match command {
            Command::Dispatch {
                pipeline,
                bind_group,
                grid,
            } => Some((&pipeline.pipeline, bind_group, *grid)),
            _ => None,
        })
    }

    /// Runs one step with each of the plan's steps in its own pass, and returns the span of device time of each, or
    /// `None` if the adapter does not support timestamps. Waits for the device. `scalars` is as in [`Program::run`].
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_timed(&mut self, gpu: &Gpu, scalars: &[Scalar]) -> Result<Option<Vec<Span>>> {
        let Some(mut timestamps) = Timestamps::new(gpu, self.ends.len())? else {
            return Ok(None);
        };
        self.upload(gpu, 1, scalars)?;
        gpu.submit(|encoder| {
            self.scalars.encode(encoder, 0);
            for step in 0..self.ends.len() {
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
        let ms: Vec<f64> = if gpu.has_timestamps() && !gpu.target.software {
            let spans = self.run_timed(gpu, scalars)?;
            spans.into_iter().flatten().map(Span::ms).collect()
        } else {
            self.upload(gpu, 1, scalars)?;
            gpu.submit(|encoder| self.scalars.encode(encoder, 0))?;
            gpu.wait()?;
            let timed = |step: usize| {
                let start = Instant::now();
                gpu.submit(|encoder| encode(encoder, self.commands_of(step).iter()))?;
                gpu.wait()?;
                Ok(1e3 * start.elapsed().as_secs_f64())
            };
            (0..self.ends.len()).map(timed).collect::<Result<_>>()?
        };
        Ok(self.kernels.iter().cloned().zip(ms).collect())
    }

    /// The commands of the plan's step number `step`.
    fn commands_of(&self, step: usize) -> &[Command] {
        let start = if step == 0 { 0 } else { self.ends[step - 1] };
        &self.commands[start..self.ends[step]]
    }

    /// Submits only step `step` of the plan, `times` times, for timing. It runs on the current contents of memory. Does
    /// not wait.
    ///
    /// # Errors
    /// If the plan has no such step, or the device failed.
    pub fn repeat(&self, gpu: &Gpu, step: usize, times: usize) -> Result<()> {
        if step >= self.ends.len() {
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

fn allocate<'a>(gpu: &Gpu, plan: &'a Plan, store: &'a Store) -> Result<Buffers<'a>> {
    let storage = wgpu::BufferUsages::STORAGE;
    let slots = plan
        .slots
        .iter()
        .map(|&bytes| gpu.buffer("a memory slot of the step", bytes, storage))
        .collect::<Result<Vec<_>>>()?;
    let textures = plan
        .textures
        .iter()
        .map(|&rows| {
            gpu.scoped("a texture view of the step", || {
                gpu.device.create_texture(&wgpu::TextureDescriptor {
                    label: Some("operand view"),
                    size: wgpu::Extent3d {
                        width: TEXTURE_WIDTH,
                        height: rows,
                        depth_or_array_layers: 1,
                    },
                    mip_level_count: 1,
                    sample_count: 1,
                    dimension: wgpu::TextureDimension::D2,
                    format: wgpu::TextureFormat::Rgba32Float,
                    usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
                    view_formats: &[],
                })
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let view = |texture: &wgpu::Texture| {
        gpu.scoped("a texture view of the step", || {
            texture.create_view(&wgpu::TextureViewDescriptor::default())
        })
    };
    let views = textures.iter().map(view).collect::<Result<_>>()?;
    let (mut constants, mut inputs) = (BTreeMap::new(), BTreeMap::new());
    for (n, value) in plan.values.iter().enumerate() {
        match &value.kind {
            ValueKind::Constant(x) => {
                let buffer = gpu.buffer("a constant", value.bytes, ONE_NUMBER)?;
                gpu.write(&buffer, &x.to_le_bytes())?;
                constants.insert(ValueId(n as u32), buffer);
            }
            ValueKind::Input(name) if !is_scalar(&value.ty) => {
                let buffer = gpu.buffer(name, value.bytes, storage)?;
                inputs.insert(name.to_string(), (value.ty.clone(), buffer));
            }
            _ => {}
        }
    }
    Ok(Buffers {
        plan,
        store,
        slots,
        textures,
        views,
        constants,
        inputs,
    })
}

/// First and end workgroup of a piece, if a launch is split into `pieces`.
fn piece_range(launch: &Launch, piece: u64, pieces: u64) -> (u64, u64) {
    (
        launch.workgroups * piece / pieces,
        launch.workgroups * (piece + 1) / pieces,
    )
}

/// The parameters of all dispatches in one buffer.
struct Uniforms {
    buffer: wgpu::Buffer,
    /// For each launch, the byte offsets of its dispatches.
    offsets: Vec<Vec<u64>>,
}

impl Uniforms {
    fn new(gpu: &Gpu, launches: &[&Launch], resolved: &[Resolved]) -> Result<Self> {
        let align = gpu.target.offset_alignment.max(16) as usize;
        let (mut bytes, mut offsets) = (Vec::new(), Vec::with_capacity(launches.len()));
        for (launch, resolved) in launches.iter().zip(resolved) {
            let pieces = launch.dispatches();
            let mut own = Vec::with_capacity(pieces as usize);
            for piece in 0..pieces {
                own.push(bytes.len() as u64);
                let start = bytes.len();
                bytes.extend_from_slice(&resolved.params);
                let (first, _) = piece_range(launch, piece, pieces);
                let at = start + resolved.first_workgroup;
                bytes[at..at + 4].copy_from_slice(&(first as u32).to_le_bytes());
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
