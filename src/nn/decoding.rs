//! Decoding: a model is run over one position of its output sequences after another, and keeps what later positions need of
//! earlier ones, such as keys and values of self-attention.

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::tensor::{DType, TensorType};

/// Prefix of the names of variables that decoding keeps between steps. No layer's name contains a colon.
const KEPT: &str = "decode:";

/// A step of decoding, which continues each of several sequences by one position.
#[derive(Clone, Copy)]
pub struct DecodeStep<'g> {
    /// Maximum number of positions of a sequence.
    pub positions: usize,
    /// The position of each sequence in this step, from 0: `u32 [sequences]`.
    pub place: Var<'g>,
    /// 1 at this position, 0 at all others; a sequence of zeros keeps what it has: `[sequences, positions, 1]`.
    pub here: Var<'g>,
    /// Positions up to this one, for every sequence: `u32 [sequences]`.
    pub lengths: Var<'g>,
    /// The sequence of the previous step that each continues: `u32 [sequences]`; its own if absent.
    pub parents: Option<Var<'g>>,
}

/// A pass over all positions of several sequences, from which steps of decoding can go on.
#[derive(Clone, Copy)]
pub struct DecodeStart<'g> {
    /// 1 for sequences that are kept from this pass, 0 for those that stay as they are: `[sequences, 1, 1]`.
    pub fresh: Var<'g>,
}

impl<'g> DecodeStep<'g> {
    /// The name of the variable that keeps `name`.
    pub fn variable(name: &str) -> String {
        format!("{KEPT}{name}")
    }

    /// Whether the variable `name` keeps something between steps.
    pub fn is_variable(name: &str) -> bool {
        name.starts_with(KEPT)
    }

    /// See [`Forward::remembered`](super::Forward::remembered).
    pub(super) fn remembered(&self, name: &str, value: Var<'g>) -> Result<Var<'g>> {
        let time = self.positions;
        let &[count, 1, width] = value.shape().dims() else {
            let message = format!("{name} keeps one position, but {} was given", value.ty());
            return Err(Error::Graph(message));
        };
        let kept = kept(name, value, time)?;
        let earlier = match self.parents {
            Some(parents) => {
                let rows = kept.reshape([count, time * width])?.gather(parents)?;
                rows.reshape([count, time, width])?
            }
            None => kept,
        };
        let all = self.here.select(value, earlier)?;
        value.builder().update(kept, all)?;
        Ok(all)
    }
}

impl<'g> DecodeStart<'g> {
    /// See [`Forward::keep`](super::Forward::keep).
    pub(super) fn keep(&self, name: &str, values: Var<'g>) -> Result<()> {
        let kept = kept(name, values, values.shape().dims()[1])?;
        let next = self.fresh.select(values, kept)?;
        values.builder().update(kept, next)
    }
}

/// The variable that keeps `name` of every position, `[sequences, positions, width]`, where `value` is `[sequences, _, width]`.
fn kept<'g>(name: &str, value: Var<'g>, positions: usize) -> Result<Var<'g>> {
    let (count, width) = (value.shape().dims()[0], value.shape().last());
    let ty = TensorType {
        dtype: DType::F32,
        shape: [count, positions, width].into(),
    };
    value.builder().variable(&DecodeStep::variable(name), ty)
}
