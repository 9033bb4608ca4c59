//! What of a sample of tokens is padding.

use crate::error::Result;
use crate::graph::Var;

/// 1 for each of the tokens `x`, `u32 [N, T]`, of a `vocabulary` that is no padding, 0 for padding, token 0: `[N, T]`.
fn real(x: Var<'_>, vocabulary: usize) -> Result<Var<'_>> {
    let builder = x.builder();
    // A table with a row for each token: whether it is one.
    let others = builder
        .constant(1.0)
        .broadcast_to(&[vocabulary.saturating_sub(1).max(1), 1].into())?;
    let table = others.pad(&[[1, 0], [0, 0]], 0.0)?;
    table.gather(x)?.reshape(x.shape())
}

/// How many of the tokens `x`, `u32 [N, T]`, of a `vocabulary` come before the first padding: `u32 [N]`.
pub(super) fn lengths(x: Var<'_>, vocabulary: usize) -> Result<Var<'_>> {
    let real = real(x, vocabulary)?;
    let one = x.builder().constant(1.0);
    // Padding after the last position, for samples that have none.
    let padding = one.sub(real)?.pad(&[[0, 0], [0, 1]], 1.0)?;
    padding.argmax()
}
