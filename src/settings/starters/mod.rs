//! Starting points: for data of each kind, how to read them, a built-in model, and settings that reach a good result. Each kind is
//! one file, with one line of registration here.

mod boxes;
mod degraded;
mod lines;
mod masks;
mod pairs;
mod photographs;
mod pictures;
mod rows;
mod sentences;
mod series;
mod stories;
mod text;
mod texts;

use super::DataSettings;
use crate::data::{Dataset, Samples, Source};
use crate::error::Result;

/// A starting point for data of one kind.
pub(super) trait Starter: Sync {
    /// Names of the formats that data of this kind have.
    fn formats(&self) -> &'static [&'static str];

    /// Sets how the source is read, such as the size of pictures.
    ///
    /// # Errors
    /// If the source can't be read.
    fn read(&self, _data: &mut DataSettings, _source: &Source) -> Result<()> {
        Ok(())
    }

    /// The model and the settings for `task`; `None` if it has none for it.
    fn start(&self, task: &str, dataset: &Dataset<Samples>, data: &DataSettings) -> Option<Start>;
}

/// What a starting point chooses.
pub(super) struct Start {
    /// Name of a built-in model.
    pub model: &'static str,
    /// Passes over the training part.
    pub epochs: u32,
    /// Samples per batch.
    pub batch: usize,
    /// Further settings: the text of a part of a run file, with comments.
    pub rest: &'static str,
    /// Why, as a sentence.
    pub why: String,
}

static STARTERS: &[&dyn Starter] = &[
    &pictures::Pictures,
    &photographs::Photographs,
    &rows::Rows,
    &series::Series,
    &text::Text,
    &texts::Texts,
    &lines::TextsAlone,
    &sentences::Sentences,
    &masks::Masks,
    &boxes::Boxes,
    &degraded::Degraded,
    &stories::Stories,
    &pairs::Pairs,
];

/// The starting point for data of the format `name`, if there is one.
pub(super) fn of_format(name: &str) -> Option<&'static dyn Starter> {
    let suits = |starter: &&&dyn Starter| starter.formats().contains(&name);
    STARTERS.iter().find(suits).copied()
}

/// As many epochs as take about `steps` steps of `batch` samples, between `least` and `most`.
fn epochs(dataset: &Dataset<Samples>, batch: usize, steps: usize, [least, most]: [u32; 2]) -> u32 {
    let each = dataset.train.len().div_ceil(batch).max(1);
    let wanted = u32::try_from(steps.div_ceil(each)).unwrap_or(u32::MAX);
    wanted.clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::FORMATS;
    use crate::nn::ModelSpec;
    use crate::settings::Settings;
    use crate::toml_text::parse;

    #[test]
    fn every_format_has_one_starting_point() {
        for format in FORMATS {
            let name = format.name();
            let found = STARTERS.iter().filter(|s| s.formats().contains(&name));
            assert_eq!(found.count(), 1, "{name}");
        }
    }

    #[test]
    fn every_text_of_settings_is_valid_and_every_model_is_built_in() {
        let rests = [
            boxes::REST,
            degraded::REST,
            lines::REST,
            masks::REST,
            pairs::REST,
            photographs::REST,
            pictures::REST,
            rows::REST,
            sentences::REST,
            series::REST,
            stories::REST,
            text::REST,
            texts::REST,
        ];
        for rest in rests {
            let settings: Settings = parse(rest, "the starting point").unwrap();
            settings.check().unwrap();
        }
        for name in [
            "mnist-cnn",
            "small-cnn",
            "photo-cnn",
            "tabular",
            "series-linear",
            "series-mlp",
            "gpt-nano",
            "bag-of-words",
            "bert-small",
            "bilstm-tagger",
            "unet",
            "fcos",
            "story-reader",
            "transformer",
        ] {
            ModelSpec::preset(name).unwrap();
        }
    }
}
