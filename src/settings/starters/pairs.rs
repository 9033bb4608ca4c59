//! Texts with translations.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, Samples, Source, TokenKind};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/pairs.toml");

/// Tokens of a sentence and of its translation.
const CONTEXT: usize = 32;
/// Byte pairs that both languages share.
const VOCABULARY: usize = 4_000;

/// See the module.
pub(super) struct Pairs;

impl Starter for Pairs {
    fn formats(&self) -> &'static [&'static str] {
        &["parallel"]
    }

    fn read(&self, data: &mut DataSettings, _source: &Source) -> Result<()> {
        data.tokens = Some(TokenKind::BytePairs);
        data.vocabulary = VOCABULARY;
        data.context = Some(CONTEXT);
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, _data: &DataSettings) -> Option<Start> {
        (task == "translation").then(|| Start {
            model: "transformer",
            epochs: epochs(dataset, 64, 6000, [4, 40]),
            batch: 64,
            rest: REST,
            why: format!(
                "sentences with translations suit transformer, which reads the first {CONTEXT} tokens of each (data.context)"
            ),
        })
    }
}
