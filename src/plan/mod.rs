//! The plan: ordered launches and the memory they need, as plain data that can be printed without a GPU.
//!
//! `Plan::new` simplifies the graph, fuses it into groups, lets every operation add its launches, decides which
//! operands are read through texture views, and assigns memory slots by liveness.

mod by_hand;
mod choices;
mod dump;
mod fused;
mod launch;
mod lower;
pub mod memory;
mod narrow;
mod pointwise;
pub mod resolve;
mod target;
mod textures;

pub use by_hand::Launches;
pub use choices::Choices;
pub use launch::{Access, Binding, Launch, MAX_LOOP_ITERATIONS, Scalar};
pub use lower::{Arg, Lowering};
pub use memory::SlotId;
pub use target::{SubgroupSize, Target, TextureReads};

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::passes;
use crate::shader::TEXTURE_WIDTH;
use crate::tensor::{Half, TensorType};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Memory that launches read and write: a leaf of the graph, a node's value, or scratch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// Index into [`Plan::values`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a value is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    /// In the parameter store, under this name.
    Variable(Arc<str>),
    /// Fed by the caller, under this name.
    Input(Arc<str>),
    /// A single element, written once when the program is created.
    Constant(f32),
    /// In a slot, while it is needed.
    Temporary,
}

/// A value and its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Where it lives.
    pub kind: ValueKind,
    /// Size in bytes: a multiple of 16.
    pub bytes: u64,
    /// Element type and shape.
    pub ty: TensorType,
    /// Description for dumps.
    pub label: String,
    /// Whether it may be stored in 16 bits.
    pub may_be_narrow: bool,
    /// The format in which it is stored, if that has 16 bits.
    pub half: Option<Half>,
}

impl Value {
    /// Rows of its texture view.
    pub fn texture_rows(&self) -> u32 {
        (self.bytes / 16).div_ceil(u64::from(TEXTURE_WIDTH)) as u32
    }
}

/// One operation of a step.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly every step is a launch")]
pub enum Step {
    /// Dispatches a kernel.
    Launch(Launch),
    /// Copies one value over another of the same size.
    Copy {
        /// Source.
        from: ValueId,
        /// Destination.
        to: ValueId,
    },
    /// Fills the texture view of a value. This ends the compute pass.
    Texture(ValueId),
}

/// All operations of a step in order, with their memory.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Values that steps refer to.
    pub values: Vec<Value>,
    /// Steps in order.
    pub steps: Vec<Step>,
    /// Values that the caller may read after a step, by name.
    pub outputs: Vec<(String, ValueId, TensorType)>,
    /// Sizes of the slots in bytes.
    pub slots: Vec<u64>,
    /// Slot of every temporary, by value.
    pub slot_of: Vec<Option<SlotId>>,
    /// Rows of each texture.
    pub textures: Vec<u32>,
    /// Texture of every value that is read through a view, by value.
    pub texture_of: Vec<Option<SlotId>>,
    /// The device that the plan was made for.
    pub target: Target,
}

impl Plan {
    /// Plans one step of `graph` for `target`.
    ///
    /// # Errors
    /// If an operation can't run on the target, or a value exceeds the size limit of a binding.
    pub fn new(graph: &Graph, target: &Target) -> Result<Plan> {
        Self::with_variant(graph, target, None)
    }

    /// The same with the kernel variant `force` wherever an operation has it; `wgrad check` uses this to test every
    /// variant. Operations without it run their default.
    ///
    /// # Errors
    /// As [`Plan::new`], and if no operation that remains after the passes has that variant on the target.
    pub fn with_variant(graph: &Graph, target: &Target, force: Option<&str>) -> Result<Plan> {
        let graph = passes::simplify(graph)?;
        let target = &*target.of_graph(&graph);
        Self::of(lower::lower(&graph, target, force)?, target)
    }

    /// The kernel variants that [`Plan::with_variant`] can force: those that operations of `graph` have on `target`
    /// after the passes. The only variant of an operation with a single kernel is called `default`.
    ///
    /// # Errors
    /// If the graph is invalid: a defect.
    pub fn variants(graph: &Graph, target: &Target) -> Result<BTreeSet<&'static str>> {
        let graph = passes::simplify(graph)?;
        Ok(lower::variants(&graph, &target.of_graph(&graph)))
    }

    /// Chooses texture views and assigns memory.
    fn of(mut lowered: lower::Lowered, target: &Target) -> Result<Plan> {
        for value in &lowered.values {
            if value.bytes > target.max_binding_bytes {
                let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
                return Err(Error::Memory(format!(
                    "{} is {} and takes {:.0} MiB, but {} binds at most {:.0} MiB at once; use a smaller batch or model",
                    value.label,
                    value.ty,
                    mib(value.bytes),
                    target.name,
                    mib(target.max_binding_bytes)
                )));
            }
        }
        if let Some(format) = target.precision.half() {
            narrow::choose(&mut lowered, format)?;
        }
        textures::choose(&mut lowered, target)?;
        let memory = memory::assign(&lowered);
        Ok(Plan {
            values: lowered.values,
            steps: lowered.steps,
            outputs: lowered.outputs,
            slots: memory.slots,
            slot_of: memory.slot_of,
            textures: memory.textures,
            texture_of: memory.texture_of,
            target: target.clone(),
        })
    }

    /// The launches in order.
    pub fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.steps.iter().filter_map(|step| match step {
            Step::Launch(launch) => Some(launch),
            _ => None,
        })
    }

    /// Size of slots and texture views in bytes: the memory that a step needs besides variables and inputs.
    pub fn workspace_bytes(&self) -> u64 {
        let textures: u64 = self
            .textures
            .iter()
            .map(|&rows| u64::from(rows) * u64::from(TEXTURE_WIDTH) * 16)
            .sum();
        self.slots.iter().sum::<u64>() + textures
    }

    /// Size in bytes of the variables that the plan refers to.
    pub fn variable_bytes(&self) -> u64 {
        let variables = self
            .values
            .iter()
            .filter(|v| matches!(v.kind, ValueKind::Variable(_)));
        variables.map(|v| v.bytes).sum()
    }

    /// Size in bytes of the inputs that are fed each step.
    pub fn input_bytes(&self) -> u64 {
        let inputs = self
            .values
            .iter()
            .filter(|v| matches!(v.kind, ValueKind::Input(_)));
        inputs.map(|v| v.bytes).sum()
    }
}
