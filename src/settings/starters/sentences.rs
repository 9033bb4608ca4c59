//! Sentences with a tag for each word.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, Samples, Source};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/sentences.toml");

/// Words of a sentence that are read at once.
const CONTEXT: usize = 64;
/// Words in the vocabulary.
const VOCABULARY: usize = 30_000;

/// See the module.
pub(super) struct Sentences;

impl Starter for Sentences {
    fn formats(&self) -> &'static [&'static str] {
        &["conll"]
    }

    fn read(&self, data: &mut DataSettings, _source: &Source) -> Result<()> {
        data.vocabulary = VOCABULARY;
        data.context = Some(CONTEXT);
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, data: &DataSettings) -> Option<Start> {
        (task == "tagging").then(|| Start {
            model: "bilstm-tagger",
            epochs: epochs(dataset, 32, 3000, [5, 40]),
            batch: 32,
            rest: REST,
            why: format!(
                "each word is tagged by the words before and after it, in pieces of up to {} words (data.context)",
                data.context()
            ),
        })
    }
}
