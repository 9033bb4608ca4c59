//! A text, continued by a language model.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, Samples, Source};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/text.toml");

/// Characters that the model sees at once.
const CONTEXT: usize = 64;

/// See the module.
pub(super) struct Text;

impl Starter for Text {
    fn formats(&self) -> &'static [&'static str] {
        &["text"]
    }

    fn read(&self, data: &mut DataSettings, _source: &Source) -> Result<()> {
        data.context = Some(CONTEXT);
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, data: &DataSettings) -> Option<Start> {
        if task != "language_model" {
            return None;
        }
        Some(Start {
            model: "gpt-nano",
            epochs: epochs(dataset, 12, 2000, [1, 50]),
            batch: 12,
            rest: REST,
            why: format!(
                "the model predicts a text character by character, from up to {} before (data.tokens, data.context), and `wgrad generate` continues it",
                data.context()
            ),
        })
    }
}
