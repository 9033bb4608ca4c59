//! Decoding: a model is run over one position of its output sequences after another, and keeps what later positions need of
//! earlier ones, such as keys and values of self-attention.

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::tensor::{DType, TensorType};

/// Prefix of the names of variables that decoding keeps between steps. No layer's name contains a colon.
const KEPT: &str = "decode:";

/// A step of decoding, which continues several sequences by one position.
#[derive(Clone, Copy)]
pub struct DecodeStep<'g> {
    /// Maximum number of positions of a sequence.
    pub positions: usize,
    /// The position of this step, from 0: `u32 [1]`.
    pub place: Var<'g>,
    /// 1 at this position, 0 at all others: `[positions, 1]`.
    pub here: Var<'g>,
    /// Positions up to this one, for every sequence: `u32 [sequences]`.
    pub lengths: Var<'g>,
    /// The sequence of the previous step that each continues: `u32 [sequences]`.
    pub parents: Var<'g>,
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
        let (builder, time) = (value.builder(), self.positions);
        let &[count, 1, width] = value.shape().dims() else {
            let message = format!("{name} keeps one position, but {} was given", value.ty());
            return Err(Error::Graph(message));
        };
        let ty = TensorType {
            dtype: DType::F32,
            shape: [count, time, width].into(),
        };
        let kept = builder.variable(&Self::variable(name), ty)?;
        let earlier = kept.reshape([count, time * width])?.gather(self.parents)?;
        let earlier = earlier.reshape([count, time, width])?;
        let all = self.here.select(value, earlier)?;
        builder.update(kept, all)?;
        Ok(all)
    }
}
