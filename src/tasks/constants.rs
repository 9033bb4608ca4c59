//! Small constant tensors as nodes.

use crate::error::Result;
use crate::graph::{Builder, Var};

/// The `numbers` as a row, `[1, numbers]`.
pub(super) fn row<'g>(
    builder: &'g Builder,
    numbers: impl IntoIterator<Item = f64>,
) -> Result<Var<'g>> {
    let each = numbers
        .into_iter()
        .map(|x| builder.constant(x).reshape([1, 1]));
    Var::concat(&each.collect::<Result<Vec<_>>>()?, 1)
}
