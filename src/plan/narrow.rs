//! Decides which values are stored in 16 bits in mixed precision: activations and their gradients, wherever all kernels
//! that access them can.

use super::lower::{Lowered, whole_vec4s};
use super::{Step, ValueId, ValueKind};
use crate::error::Result;
use crate::shader::Shader;
use crate::tensor::{DType, Half};
use std::collections::BTreeSet;

/// Stores values in `format`, and lets launches access them so.
pub(super) fn choose(lowered: &mut Lowered, format: Half) -> Result<()> {
    let narrow = can_be_narrow(lowered)?;
    for step in &mut lowered.steps {
        let Step::Launch(launch) = step else { continue };
        for operand in &launch.operands {
            if narrow.contains(&operand.value) {
                launch.shader.narrow(&operand.name, format);
            }
        }
    }
    for id in narrow {
        let value = &mut lowered.values[id.index()];
        value.half = Some(format);
        value.bytes = (whole_vec4s(&value.ty) * 8).next_multiple_of(16);
    }
    Ok(())
}

/// The temporaries that may be stored in 16 bits, are neither read by the caller nor copied, and are accessed by kernels that can.
fn can_be_narrow(lowered: &Lowered) -> Result<BTreeSet<ValueId>> {
    let ids = (0..lowered.values.len() as u32).map(ValueId);
    let mut narrow: BTreeSet<ValueId> = ids
        .filter(|id| {
            let value = &lowered.values[id.index()];
            value.may_be_narrow
                && value.kind == ValueKind::Temporary
                && value.ty.dtype == DType::F32
        })
        .collect();
    for (_, value, _) in &lowered.outputs {
        narrow.remove(value);
    }
    for step in &lowered.steps {
        match step {
            Step::Launch(launch) => {
                let source = launch.shader.source()?;
                for operand in &launch.operands {
                    if narrow.contains(&operand.value)
                        && !Shader::can_be_narrow(&source, &operand.name)
                    {
                        narrow.remove(&operand.value);
                    }
                }
            }
            Step::Copy { from, to } => {
                narrow.remove(from);
                narrow.remove(to);
            }
            Step::Texture(_) => {}
        }
    }
    Ok(narrow)
}
