//! The plan of a network as a browser needs it: buffers, kernels and steps.

use crate::cpu::{Data, Tensor};
use crate::error::{Error, Result};
use crate::nn::{Model, inference_graph};
use crate::plan::resolve::{Resolved, fold, resolve};
use crate::plan::{Launch, Plan, Step, Target, ValueId, ValueKind};
use crate::shader::{BindingKind, Reflections};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// A plan for browsers, with its kernels and weights.
#[derive(Clone, Debug)]
pub struct WebNetwork {
    /// Buffers, steps, inputs and outputs.
    pub plan: WebPlan,
    /// Kernels: names of files, and WGSL.
    pub kernels: Vec<(String, String)>,
    /// The values of buffers that have some, one after another.
    pub weights: Vec<u8>,
}

/// Buffers, steps, inputs and outputs.
#[derive(Clone, Debug, Serialize)]
pub struct WebPlan {
    buffers: Vec<WebBuffer>,
    pipelines: Vec<WebPipeline>,
    steps: Vec<WebStep>,
    inputs: BTreeMap<String, WebValue>,
    outputs: BTreeMap<String, WebValue>,
}

/// A buffer.
#[derive(Clone, Debug, Serialize)]
struct WebBuffer {
    /// Its size.
    bytes: u64,
    /// Where its value begins in the file of weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<usize>,
}

/// A kernel with its constants.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct WebPipeline {
    /// Its file.
    file: String,
    /// Values of its overridable constants.
    constants: BTreeMap<String, f64>,
    /// Kinds of its bindings by number: `uniform`, `read` or `write`.
    bindings: BTreeMap<u32, &'static str>,
}

/// A step.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum WebStep {
    Launch {
        /// Index of the pipeline.
        pipeline: usize,
        /// Buffers by number of the binding.
        buffers: BTreeMap<u32, usize>,
        /// Number of the binding of the parameters, and their bits.
        params: (u32, Vec<u32>),
        /// Workgroups.
        grid: [u32; 3],
    },
    Copy {
        /// Buffers.
        copy: [usize; 2],
        bytes: u64,
    },
}

/// An input or output.
#[derive(Clone, Debug, Serialize)]
struct WebValue {
    buffer: usize,
    /// Extents, with the number of samples first.
    shape: Vec<usize>,
    /// `f32` or `u32`.
    #[serde(rename = "type")]
    ty: String,
}

/// The plan of `model` with the `values` of its state, for one sample and a device with the limits that WebGPU guarantees.
///
/// # Errors
/// If the plan exceeds them.
pub fn web_network(model: &dyn Model, values: &[Tensor<f32>]) -> Result<WebNetwork> {
    let graph = inference_graph(model, 1)?;
    let plan = Plan::new(&graph, &Target::portable())?;
    let state: HashMap<&str, &Tensor<f32>> = model
        .state()
        .zip(values)
        .map(|(part, value)| (part.name.as_str(), value))
        .collect();
    let mut weights = Vec::new();
    let mut buffers: Vec<WebBuffer> = plan
        .slots
        .iter()
        .map(|&bytes| WebBuffer {
            bytes,
            weights: None,
        })
        .collect();
    let mut places = Vec::with_capacity(plan.values.len());
    for (at, value) in plan.values.iter().enumerate() {
        let held = match &value.kind {
            ValueKind::Temporary => {
                places.push(plan.slot_of[at].map(|slot| slot.index()));
                continue;
            }
            ValueKind::Input(_) => None,
            ValueKind::Constant(x) => Some(x.to_le_bytes().to_vec()),
            ValueKind::Variable(name) => {
                let value = state
                    .get(&**name)
                    .ok_or_else(|| Error::Graph(format!("the model has no value for {name}")))?;
                Some(match &value.data {
                    Data::Real(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
                    Data::Index(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
                })
            }
        };
        let start = held.map(|mut bytes| {
            bytes.resize(value.bytes as usize, 0);
            weights.extend(bytes);
            weights.len() - value.bytes as usize
        });
        places.push(Some(buffers.len()));
        buffers.push(WebBuffer {
            bytes: value.bytes,
            weights: start,
        });
    }
    let place = |value: ValueId| {
        places[value.index()].ok_or_else(|| {
            Error::Graph(format!(
                "{} has no memory",
                plan.values[value.index()].label
            ))
        })
    };
    let mut kernels: Vec<(String, String)> = Vec::new();
    let mut pipelines: Vec<WebPipeline> = Vec::new();
    let mut steps = Vec::new();
    let mut reflections = Reflections::default();
    for step in &plan.steps {
        steps.push(match step {
            Step::Copy { from, to } => WebStep::Copy {
                copy: [place(*from)?, place(*to)?],
                bytes: plan.values[to.index()].bytes,
            },
            Step::Texture(value) => {
                let label = &plan.values[value.index()].label;
                return Err(Error::Graph(format!("{label} is read through a texture")));
            }
            Step::Launch(launch) => {
                let resolved = resolve(launch, &mut reflections)?;
                let pipeline = pipeline(launch, &resolved, &mut kernels);
                let known = pipelines.iter().position(|known| *known == pipeline);
                let index = known.unwrap_or_else(|| {
                    pipelines.push(pipeline);
                    pipelines.len() - 1
                });
                let operands = launch.operands.iter().zip(&resolved.bindings);
                let bound =
                    operands.map(|(operand, (number, _))| Ok((*number, place(operand.value)?)));
                let (number, _) = resolved.reflection.bindings["params"];
                let bits = resolved.params.chunks_exact(4);
                let bits = bits.map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                WebStep::Launch {
                    pipeline: index,
                    buffers: bound.collect::<Result<_>>()?,
                    params: (number, bits.collect()),
                    grid: fold(launch.workgroups, plan.target.max_workgroups)?,
                }
            }
        });
    }
    let value = |at: ValueId, name: &str| {
        let ty = &plan.values[at.index()].ty;
        Ok((
            name.to_string(),
            WebValue {
                buffer: place(at)?,
                shape: ty.dims().to_vec(),
                ty: ty.dtype.to_string(),
            },
        ))
    };
    let mut inputs = BTreeMap::new();
    for (at, held) in plan.values.iter().enumerate() {
        if let ValueKind::Input(name) = &held.kind {
            let (name, value): (String, WebValue) = value(ValueId(at as u32), name)?;
            inputs.insert(name, value);
        }
    }
    let outputs = plan.outputs.iter().map(|(name, at, _)| value(*at, name));
    let outputs = outputs.collect::<Result<_>>()?;
    Ok(WebNetwork {
        plan: WebPlan {
            buffers,
            pipelines,
            steps,
            inputs,
            outputs,
        },
        kernels,
        weights,
    })
}

/// The pipeline of `launch`, whose kernel is added to `kernels` unless it is there.
fn pipeline(
    launch: &Launch,
    resolved: &Resolved,
    kernels: &mut Vec<(String, String)>,
) -> WebPipeline {
    let known = kernels
        .iter()
        .find(|(_, source)| *source == resolved.source);
    let file = match known {
        Some((file, _)) => file.clone(),
        None => {
            let safe = |c: char| {
                if c.is_ascii_alphanumeric() || c == '_' {
                    c
                } else {
                    '-'
                }
            };
            let name: String = launch.shader.name.chars().map(safe).collect();
            let file = format!("kernels/{}-{name}.wgsl", kernels.len());
            kernels.push((file.clone(), resolved.source.clone()));
            file
        }
    };
    let constants = launch.shader.constants().into_iter();
    let bindings = resolved.reflection.bindings.values();
    let kind = |kind: BindingKind| match kind {
        BindingKind::Uniform => "uniform",
        BindingKind::Read | BindingKind::Texture => "read",
        BindingKind::ReadWrite => "write",
    };
    WebPipeline {
        file,
        constants: constants
            .map(|(name, value)| (name.to_string(), value))
            .collect(),
        bindings: bindings.map(|&(number, is)| (number, kind(is))).collect(),
    }
}
