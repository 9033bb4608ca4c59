//! Opening an engine: an adapter, or the reference.

use super::Device;
use super::gpu::GpuDevice;
use super::reference::Reference;
use crate::error::Result;
use crate::gpu::{AdapterChoice, Compilation, Gpu};
use crate::tune::{self, Tuning};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The device to compute on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    /// A GPU adapter if there is one, otherwise the CPU reference, with a note.
    #[default]
    Auto,
    /// A GPU adapter, real or software.
    Gpu,
    /// The CPU reference.
    Cpu,
}

/// An open engine.
pub enum Engine {
    /// An adapter.
    Gpu(Box<Gpu>),
    /// The reference.
    Cpu,
    /// The reference, where a result that is not finite is an error that names its operation, its layer and its operands.
    CheckedCpu,
}

impl Engine {
    /// Opens the engine of `choice`: the adapter `adapter` (its number, or part of its name), or the best one. It plans with the
    /// kernel variants that a run `recorded`, or else with those that `wgrad tune` found. The second value is a note for the user,
    /// for example that no adapter was found.
    ///
    /// # Errors
    /// If an adapter was requested and there is none.
    pub fn open(
        choice: DeviceChoice,
        adapter: Option<&str>,
        recorded: Option<Tuning>,
    ) -> Result<(Engine, Option<String>)> {
        let wanted = adapter.map_or(AdapterChoice::Best, AdapterChoice::from);
        match choice {
            DeviceChoice::Cpu => Ok((Engine::Cpu, None)),
            DeviceChoice::Gpu => Ok(tuned(Gpu::open(&wanted)?, recorded)),
            DeviceChoice::Auto => match Gpu::open(&wanted) {
                Ok(gpu) => Ok(tuned(gpu, recorded)),
                // Whoever names an adapter wants no other.
                Err(e) if adapter.is_some() => Err(e),
                Err(e) => {
                    let note = format!("computing on the CPU reference, which is slow: {e}");
                    Ok((Engine::Cpu, Some(note)))
                }
            },
        }
    }

    /// A device without variables or programs.
    pub fn device(&self) -> Box<dyn Device + '_> {
        match self {
            Engine::Gpu(gpu) => Box::new(GpuDevice::new(gpu)),
            Engine::Cpu => Box::new(Reference::default()),
            Engine::CheckedCpu => Box::new(Reference::checked()),
        }
    }

    /// The kernel variants that it plans with; `None` for the reference.
    pub fn tuning(&self) -> Option<Tuning> {
        match self {
            Engine::Gpu(gpu) => Some(Tuning::of(gpu)),
            Engine::Cpu | Engine::CheckedCpu => None,
        }
    }

    /// The progress of compiling kernels; `None` for the reference.
    pub fn compilation(&self) -> Option<Arc<Compilation>> {
        match self {
            Engine::Gpu(gpu) => Some(gpu.compilation()),
            Engine::Cpu | Engine::CheckedCpu => None,
        }
    }

    /// Name for reports.
    pub fn name(&self) -> String {
        self.device().name()
    }

    /// Largest tensor that a kernel can read at once, in bytes.
    pub fn max_tensor_bytes(&self) -> u64 {
        self.device().max_tensor_bytes()
    }

    /// Bytes that all devices of the engine have allocated, if known.
    pub fn allocated_bytes(&self) -> Option<u64> {
        self.device().allocated_bytes()
    }
}

fn tuned(mut gpu: Gpu, recorded: Option<Tuning>) -> (Engine, Option<String>) {
    let note = tune::choose(&mut gpu, recorded);
    (Engine::Gpu(Box::new(gpu)), note)
}
