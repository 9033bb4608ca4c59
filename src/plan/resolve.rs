//! Checks a launch against the declarations of its shader, and packs its parameters.

use super::{Access, Launch, Scalar};
use crate::error::{Error, Result};
use crate::shader::{BindingKind, ParamKind, Reflection, Reflections};
use std::sync::Arc;

/// A launch with the text of its shader and its declarations.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// WGSL text.
    pub source: String,
    /// Its declarations.
    pub reflection: Arc<Reflection>,
    /// Binding number and kind of each operand, in the launch's order.
    pub bindings: Vec<(u32, BindingKind)>,
    /// The uniform `params`, with `first_workgroup` zero.
    pub params: Vec<u8>,
    /// Byte offset of `first_workgroup` in `params`.
    pub first_workgroup: usize,
}

/// Checks and packs `launch`; `reflections` are those of launches before.
///
/// # Errors
/// If a binding or parameter is missing on either side, or its kind differs.
pub fn resolve(launch: &Launch, reflections: &mut Reflections) -> Result<Resolved> {
    let source = launch.shader.source()?;
    let reflection = reflections.get(&launch.shader.name, &source)?;
    let error = |message: String| Error::Shader {
        shader: format!("{} ({})", launch.shader.name, launch.label),
        message,
    };
    let mut bindings = Vec::with_capacity(launch.operands.len());
    for operand in &launch.operands {
        let &(binding, kind) = reflection
            .bindings
            .get(&operand.name)
            .ok_or_else(|| error(format!("declares no binding {}", operand.name)))?;
        let expected = match (operand.access, operand.texture) {
            (Access::Read, true) => BindingKind::Texture,
            (Access::Read, false) if kind == BindingKind::Uniform => kind,
            (Access::Read, false) => BindingKind::Read,
            (Access::Write | Access::ReadWrite, _) => BindingKind::ReadWrite,
        };
        if kind != expected {
            let message = format!(
                "declares {} as {kind:?}, the launch binds {expected:?}",
                operand.name
            );
            return Err(error(message));
        }
        bindings.push((binding, kind));
    }
    for name in reflection.bindings.keys() {
        let bound = launch.operands.iter().filter(|o| o.name == *name).count();
        if name != "params" && bound != 1 {
            return Err(error(format!(
                "declares {name}, which the launch binds {bound} times"
            )));
        }
    }
    let mut params = vec![0; (reflection.params_bytes as usize).next_multiple_of(16)];
    let mut first_workgroup = None;
    for (name, field) in &reflection.params {
        let at = field.offset as usize;
        if name == "first_workgroup" {
            first_workgroup = Some(at);
            continue;
        }
        let value = launch.params.iter().find(|(n, _)| n == name);
        let (_, value) = value.ok_or_else(|| error(format!("needs the parameter {name}")))?;
        let bits = match (field.kind, *value) {
            (ParamKind::U32, Scalar::U32(x)) => x,
            (ParamKind::I32, Scalar::I32(x)) => x.cast_unsigned(),
            (ParamKind::I32, Scalar::U32(x)) if i32::try_from(x).is_ok() => x,
            (ParamKind::F32, Scalar::F32(x)) => x.to_bits(),
            (kind, value) => {
                return Err(error(format!(
                    "parameter {name} is {kind:?}, was given {value:?}"
                )));
            }
        };
        params[at..at + 4].copy_from_slice(&bits.to_le_bytes());
    }
    for (name, _) in &launch.params {
        if !reflection.params.contains_key(&**name) {
            return Err(error(format!("has no parameter {name}")));
        }
    }
    let first_workgroup =
        first_workgroup.ok_or_else(|| error("needs the parameter first_workgroup".to_string()))?;
    Ok(Resolved {
        source,
        reflection,
        bindings,
        params,
        first_workgroup,
    })
}

/// The grid of `workgroups`, folded so that no axis exceeds `limit`. It may contain a few workgroups too many.
///
/// # Errors
/// If a square grid with sides of `limit` is too small.
pub fn fold(workgroups: u64, limit: u32) -> Result<[u32; 3]> {
    let limit = u64::from(limit);
    let rows = workgroups.div_ceil(limit).max(1);
    if rows > limit {
        return Err(Error::Memory(format!(
            "{workgroups} workgroups are more than the adapter can launch"
        )));
    }
    Ok([workgroups.div_ceil(rows).max(1) as u32, rows as u32, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_row_of_workgroups_is_folded_with_little_waste() {
        assert_eq!(fold(65_535, 65_535).unwrap(), [65_535, 1, 1]);
        let [x, y, _] = fold(1_000_003, 65_535).unwrap();
        assert!(x <= 65_535 && u64::from(x) * u64::from(y) >= 1_000_003);
        assert!(u64::from(x) * u64::from(y) < 1_000_003 + u64::from(y));
        assert_eq!(fold(9, 3).unwrap(), [3, 3, 1]);
        assert!(fold(10, 3).is_err());
    }
}
