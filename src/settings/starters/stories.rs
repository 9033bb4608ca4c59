//! Built-in stories with questions.

use super::{Start, Starter};
use crate::data::{Dataset, Samples, Source, TokenKind};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/stories.toml");

/// Words of a story that are read: the longest has ten facts.
const CONTEXT: usize = 96;

/// See the module.
pub(super) struct Stories;

impl Starter for Stories {
    fn formats(&self) -> &'static [&'static str] {
        &["stories"]
    }

    fn read(&self, data: &mut DataSettings, _source: &Source) -> Result<()> {
        data.tokens = Some(TokenKind::Words);
        data.context = Some(CONTEXT);
        Ok(())
    }

    fn start(&self, task: &str, _: &Dataset<Samples>, _: &DataSettings) -> Option<Start> {
        (task == "text_classification").then(|| Start {
            model: "story-reader",
            epochs: 8,
            batch: 64,
            rest: REST,
            why: "stories that begin with a question suit story-reader, which reads them word by word".to_string(),
        })
    }
}
