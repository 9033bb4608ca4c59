//! Texts with a class each.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, Samples, Source, TokenKind};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/texts.toml");

/// Words of a text that are read.
const CONTEXT: usize = 128;
/// Words in the vocabulary.
const VOCABULARY: usize = 20_000;

/// See the module.
pub(super) struct Texts;

impl Starter for Texts {
    fn formats(&self) -> &'static [&'static str] {
        &["text_table", "text_folder"]
    }

    fn read(&self, data: &mut DataSettings, _source: &Source) -> Result<()> {
        data.tokens = Some(TokenKind::Words);
        data.vocabulary = VOCABULARY;
        data.context = Some(CONTEXT);
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, data: &DataSettings) -> Option<Start> {
        if !matches!(
            task,
            "text_classification" | "classification" | "regression"
        ) {
            return None;
        }
        Some(Start {
            model: "bag-of-words",
            epochs: epochs(dataset, 64, 750, [4, 30]),
            batch: 64,
            rest: REST,
            why: format!(
                "texts are classified by their words, the first {} of each (data.tokens, data.context), without regard to order",
                data.context()
            ),
        })
    }
}
