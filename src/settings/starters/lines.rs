//! Texts without classes.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, Samples, Source, TokenKind};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/lines.toml");

/// Words of a text that are read.
const CONTEXT: usize = 48;
/// Words in the vocabulary, with the mask.
const VOCABULARY: usize = 5_000;

/// See the module.
pub(super) struct TextsAlone;

impl Starter for TextsAlone {
    fn formats(&self) -> &'static [&'static str] {
        &["text_lines"]
    }

    fn read(&self, data: &mut DataSettings, _source: &Source) -> Result<()> {
        data.tokens = Some(TokenKind::Words);
        data.vocabulary = VOCABULARY;
        data.mask_token = true;
        data.context = Some(CONTEXT);
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, _: &DataSettings) -> Option<Start> {
        (task == "masked_language_model").then(|| Start {
            model: "bert-small",
            epochs: epochs(dataset, 32, 2500, [4, 60]),
            batch: 32,
            rest: REST,
            why: "hidden words of texts without classes are given by a small BERT, whose weights a classifier can begin with"
                .to_string(),
        })
    }
}
