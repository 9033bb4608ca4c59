//! Padding of samples of tokens.

use super::input::TokenInput;
use crate::error::Result;
use crate::graph::Var;

/// The tokens that a value comes from.
#[derive(Clone, Copy)]
pub(super) struct Text<'g> {
    /// Index among the model's inputs.
    pub at: usize,
    /// The token input of the model.
    pub input: TokenInput,
    /// Where samples end, if they may end in padding.
    pub padding: Option<Padding<'g>>,
}

/// Where the samples of a batch of tokens end: token 0 from some position on is padding.
#[derive(Clone, Copy)]
pub struct Padding<'g> {
    /// 1 for tokens, 0 for padding: `[N, T]`.
    pub real: Var<'g>,
    /// Number of tokens before the first padding: `u32 [N]`.
    pub lengths: Var<'g>,
}

impl<'g> Text<'g> {
    /// The padding of the batch `x` of tokens for input number `at` of the model, `input`.
    ///
    /// # Errors
    /// If `x` are not such tokens.
    pub fn new(at: usize, input: TokenInput, x: Var<'g>) -> Result<Text<'g>> {
        let padding = input.padded.then(|| Padding::of(x, input.vocabulary));
        Ok(Text {
            at,
            input,
            padding: padding.transpose()?,
        })
    }
}

impl<'g> Padding<'g> {
    /// The padding of the tokens `x`, `u32 [N, T]`, of a `vocabulary`.
    ///
    /// # Errors
    /// If `x` are not such tokens.
    pub(super) fn of(x: Var<'g>, vocabulary: usize) -> Result<Padding<'g>> {
        let builder = x.builder();
        let one = builder.constant(1.0);
        // A table with a row for each token of the vocabulary: 0 for padding, 1 for the others.
        let others = one.broadcast_to(&[vocabulary.saturating_sub(1).max(1), 1].into())?;
        let table = others.pad(&[[1, 0], [0, 0]], 0.0)?;
        let real = table.gather(x)?.reshape(x.shape())?;
        // A column of padding is added after the last position, for samples that have none.
        let padding = one.sub(real)?.pad(&[[0, 0], [0, 1]], 1.0)?;
        Ok(Padding {
            real,
            lengths: padding.argmax()?,
        })
    }

    /// 1 for the last token of each sample, 0 for all others: `[N, T]`.
    ///
    /// # Errors
    /// If a node can't be built.
    pub fn last(&self) -> Result<Var<'g>> {
        let time = self.real.shape().last();
        let after = self.real.pad(&[[0, 0], [0, 1]], 0.0)?;
        self.real.sub(after.slice_axis(1, 1..time + 1)?)
    }
}
