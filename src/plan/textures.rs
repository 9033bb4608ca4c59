//! Decides which operands are read through texture views, and when the views are filled.
//!
//! On some adapters, especially software ones, a texture read is far cheaper than a storage-buffer read. Filling a view
//! costs a copy, and a copy ends the compute pass. A view must therefore be read often enough, and copies are grouped.

use super::lower::Lowered;
use super::{Access, Step, Target, TextureReads, ValueId};
use crate::error::Result;
use crate::shader::Shader;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Additional nanoseconds per `vec4` load and lane from a buffer compared with a texture, on lavapipe.
const SAVED_PER_LOAD_NS: f64 = 7.0;
/// Nanoseconds per `vec4` copied into a view.
const COPY_PER_VEC4_NS: f64 = 1.0;
/// Nanoseconds per additional copy command, including its share of a pass.
const COPY_NS: f64 = 20_000.0;

/// Marks the operands to read through views and inserts the copies that fill them.
pub(super) fn choose(lowered: &mut Lowered, target: &Target) -> Result<()> {
    if target.texture_reads == TextureReads::Never {
        return Ok(());
    }
    let wanted = wanted(lowered, target)?;
    let written = last_writes(lowered);
    let overwritten = first_overwrites(lowered);
    let mut filled: HashSet<ValueId> = HashSet::new();
    let mut ready: BTreeSet<ValueId> = wanted
        .iter()
        .copied()
        .filter(|v| !matches!(lowered.values[v.index()].kind, super::ValueKind::Temporary))
        .collect();
    let mut steps = Vec::with_capacity(lowered.steps.len());
    for (index, mut step) in std::mem::take(&mut lowered.steps).into_iter().enumerate() {
        if let Step::Launch(launch) = &mut step {
            let views = viewable(
                &launch.shader,
                launch.operands.iter().map(|o| o.name.as_str()),
            )?;
            for operand in &mut launch.operands {
                operand.texture = operand.access == Access::Read
                    && wanted.contains(&operand.value)
                    && written.get(&operand.value).is_none_or(|&last| last < index)
                    && overwritten
                        .get(&operand.value)
                        .is_none_or(|&first| index <= first)
                    && views.contains(&operand.name);
                if operand.texture {
                    launch.shader.read_through_texture(&operand.name);
                    if !filled.contains(&operand.value) {
                        steps.extend(ready.iter().map(|&value| Step::Texture(value)));
                        filled.extend(std::mem::take(&mut ready));
                    }
                }
            }
            for operand in &launch.operands {
                if operand.access != Access::Read
                    && wanted.contains(&operand.value)
                    && written.get(&operand.value) == Some(&index)
                {
                    ready.insert(operand.value);
                }
            }
        }
        steps.push(step);
    }
    lowered.steps = steps;
    Ok(())
}

/// The last step that writes each temporary. Several launches may each write a part of it, and a view contains the
/// values from when it was filled.
fn last_writes(lowered: &Lowered) -> HashMap<ValueId, usize> {
    let mut last = HashMap::new();
    for (index, step) in lowered.steps.iter().enumerate() {
        let Step::Launch(launch) = step else { continue };
        let written = launch.operands.iter().filter(|o| o.access != Access::Read);
        for value in written.map(|o| o.value) {
            if lowered.values[value.index()].kind == super::ValueKind::Temporary {
                last.insert(value, index);
            }
        }
    }
    last
}

/// The first step that writes each variable in place. Its view is filled before, so that it must not be read for the new values.
fn first_overwrites(lowered: &Lowered) -> HashMap<ValueId, usize> {
    let mut first = HashMap::new();
    for (index, step) in lowered.steps.iter().enumerate() {
        let Step::Launch(launch) = step else { continue };
        let written = launch.operands.iter().filter(|o| o.access != Access::Read);
        for value in written.map(|o| o.value) {
            if lowered.values[value.index()].kind != super::ValueKind::Temporary {
                first.entry(value).or_insert(index);
            }
        }
    }
    first
}

/// Values for which a view pays off: the savings on loads outweigh the copy.
fn wanted(lowered: &Lowered, target: &Target) -> Result<HashSet<ValueId>> {
    let mut loads: HashMap<ValueId, u64> = HashMap::new();
    for step in &lowered.steps {
        let Step::Launch(launch) = step else { continue };
        let views = viewable(
            &launch.shader,
            launch.operands.iter().map(|o| o.name.as_str()),
        )?;
        for operand in &launch.operands {
            if operand.access == Access::Read && views.contains(&operand.name) {
                *loads.entry(operand.value).or_default() += operand.loads;
            }
        }
    }
    let gains = |(value, loads): &(ValueId, u64)| {
        let value = &lowered.values[value.index()];
        let cost = COPY_NS + COPY_PER_VEC4_NS * value.bytes as f64 / 16.0;
        let cheaper = *loads as f64 * SAVED_PER_LOAD_NS > cost;
        value.texture_rows() <= target.max_texture_extent
            && (cheaper || target.texture_reads == TextureReads::Always)
    };
    Ok(loads
        .into_iter()
        .filter(gains)
        .map(|(value, _)| value)
        .collect())
}

/// Names of the operands that the shader can read through a view.
fn viewable<'a>(shader: &Shader, names: impl Iterator<Item = &'a str>) -> Result<HashSet<String>> {
    let source = shader.source()?;
    Ok(names
        .filter(|n| shader.can_read_through_texture(&source, n))
        .map(str::to_string)
        .collect())
}
