//! Memory slots: temporaries whose lifetimes do not overlap share a buffer, and texture views share textures.
//!
//! Greedy by size (Pisarchyk and Lee 2020, arXiv 2001.03288): values are assigned in order of decreasing size, each to
//! the free slot that wastes the least memory.

use super::lower::Lowered;
use super::{Step, ValueId, ValueKind};

/// Index of a slot or texture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SlotId(u32);

impl SlotId {
    /// Index into the plan's slots or textures.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The slots and textures of all values.
pub(super) struct Assignment {
    pub slots: Vec<u64>,
    pub slot_of: Vec<Option<SlotId>>,
    pub textures: Vec<u32>,
    pub texture_of: Vec<Option<SlotId>>,
}

/// First and last step, inclusive, between which a value must exist.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Lifetime {
    first: usize,
    last: usize,
}

impl Lifetime {
    fn extend(slot: &mut Option<Lifetime>, step: usize) {
        match slot {
            Some(lifetime) => lifetime.last = step,
            None => {
                *slot = Some(Lifetime {
                    first: step,
                    last: step,
                })
            }
        }
    }

    fn overlaps(self, other: Lifetime) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Assigns slots to temporaries and textures to views.
pub(super) fn assign(lowered: &Lowered) -> Assignment {
    let n = lowered.values.len();
    let (mut buffers, mut views) = (vec![None; n], vec![None; n]);
    for (index, step) in lowered.steps.iter().enumerate() {
        match step {
            Step::Launch(launch) => {
                for operand in &launch.operands {
                    let lifetimes = if operand.texture {
                        &mut views
                    } else {
                        &mut buffers
                    };
                    Lifetime::extend(&mut lifetimes[operand.value.index()], index);
                }
            }
            Step::Copy { from, to } => {
                Lifetime::extend(&mut buffers[from.index()], index);
                Lifetime::extend(&mut buffers[to.index()], index);
            }
            Step::Texture(value) => {
                Lifetime::extend(&mut buffers[value.index()], index);
                Lifetime::extend(&mut views[value.index()], index);
            }
        }
    }
    for (_, value, _) in &lowered.outputs {
        if let Some(lifetime) = &mut buffers[value.index()] {
            lifetime.last = usize::MAX;
        }
    }
    for (value, lifetime) in lowered.values.iter().zip(&mut buffers) {
        if value.kind != ValueKind::Temporary {
            *lifetime = None;
        }
    }
    let bytes: Vec<u64> = lowered.values.iter().map(|v| v.bytes).collect();
    let rows: Vec<u64> = lowered
        .values
        .iter()
        .map(|v| u64::from(v.texture_rows()))
        .collect();
    let (slots, slot_of) = pack(&bytes, &buffers);
    let (textures, texture_of) = pack(&rows, &views);
    Assignment {
        slots,
        slot_of,
        textures: textures.into_iter().map(|r| r as u32).collect(),
        texture_of,
    }
}

/// Packs values of `sizes` with `lifetimes` into slots; returns the slot sizes and the slot of each value.
fn pack(sizes: &[u64], lifetimes: &[Option<Lifetime>]) -> (Vec<u64>, Vec<Option<SlotId>>) {
    let mut order: Vec<(usize, Lifetime)> = lifetimes
        .iter()
        .enumerate()
        .filter_map(|(i, l)| l.map(|l| (i, l)))
        .collect();
    order.sort_by_key(|&(i, _)| (std::cmp::Reverse(sizes[i]), i));
    let mut slots: Vec<(u64, Vec<Lifetime>)> = Vec::new();
    let mut slot_of = vec![None; sizes.len()];
    for (i, lifetime) in order {
        // Values come in order of decreasing size, so every slot is large enough; the smallest free one wastes the
        // least.
        let free = slots
            .iter()
            .enumerate()
            .filter(|(_, (_, taken))| taken.iter().all(|t| !t.overlaps(lifetime)))
            .min_by_key(|(_, (size, _))| *size)
            .map(|(slot, _)| slot);
        let slot = free.unwrap_or_else(|| {
            slots.push((sizes[i], Vec::new()));
            slots.len() - 1
        });
        slots[slot].1.push(lifetime);
        slot_of[i] = Some(SlotId(slot as u32));
    }
    (slots.into_iter().map(|(size, _)| size).collect(), slot_of)
}

/// Checks the invariants of the slots: no two values share a slot while both exist, every temporary is written before
/// it is read, and every view is filled after its value is written and before it is read.
///
/// # Errors
/// A message on the first invariant that does not hold.
pub fn verify(plan: &super::Plan) -> Result<(), String> {
    let mut holder: Vec<Option<ValueId>> = vec![None; plan.slots.len()];
    let mut viewed: Vec<Option<ValueId>> = vec![None; plan.textures.len()];
    let name = |v: ValueId| format!("value {} ({})", v.index(), plan.values[v.index()].label);
    let write = |holder: &mut Vec<Option<ValueId>>, v: ValueId| {
        if let Some(slot) = plan.slot_of[v.index()] {
            holder[slot.index()] = Some(v);
        }
    };
    let read = |holder: &[Option<ValueId>], v: ValueId| match plan.slot_of[v.index()] {
        Some(slot) if holder[slot.index()] != Some(v) => Err(format!(
            "{} is read but slot {} does not hold it",
            name(v),
            slot.index()
        )),
        None if plan.values[v.index()].kind == ValueKind::Temporary => {
            Err(format!("{} has no slot", name(v)))
        }
        _ => Ok(()),
    };
    for step in &plan.steps {
        match step {
            Step::Launch(launch) => {
                let writes = launch
                    .operands
                    .iter()
                    .filter(|o| o.access != super::Access::Read);
                for written in writes.clone() {
                    write(&mut holder, written.value);
                }
                for operand in &launch.operands {
                    if operand.texture {
                        let texture = plan.texture_of[operand.value.index()];
                        let texture = texture
                            .ok_or_else(|| format!("{} has no view", name(operand.value)))?;
                        if viewed[texture.index()] != Some(operand.value) {
                            return Err(format!(
                                "{} is read but its view is not filled",
                                name(operand.value)
                            ));
                        }
                    } else {
                        read(&holder, operand.value)?;
                    }
                }
            }
            Step::Copy { from, to } => {
                read(&holder, *from)?;
                write(&mut holder, *to);
            }
            Step::Texture(value) => {
                read(&holder, *value)?;
                if let Some(texture) = plan.texture_of[value.index()] {
                    viewed[texture.index()] = Some(*value);
                }
            }
        }
    }
    plan.outputs
        .iter()
        .try_for_each(|(_, value, _)| read(&holder, *value))
}
