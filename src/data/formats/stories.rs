//! Built-in stories with questions, in the manner of bAbI (Weston et al., "Towards AI-Complete Question Answering", 2015): texts that
//! begin with a question, whose answer is the class, and go on with facts about people, places and things.

mod world;

use self::world::{Story, answers};
#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, texts};
#[cfg(test)]
use crate::data::DataSettings;
use crate::data::settings::STORIES;
use crate::data::{Dataset, Parts, Samples, Source, TokenKind};
use crate::error::Result;
use crate::random::{Purpose, Stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What the questions of built-in stories ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoryKind {
    /// Where somebody is: one fact has the answer (task 1 of bAbI).
    #[default]
    OneFact,
    /// Where a thing is: two facts have the answer, who carries it and where they went (task 2).
    TwoFacts,
    /// Whether somebody is at a place (task 6).
    YesNo,
    /// How many things somebody carries (task 7).
    Counting,
}

impl StoryKind {
    /// Whether it is the default.
    pub(in crate::data) fn is_one_fact(&self) -> bool {
        *self == StoryKind::OneFact
    }
}

/// The stories that the program writes.
pub struct Stories;

impl Format for Stories {
    fn name(&self) -> &'static str {
        "stories"
    }

    fn about(&self) -> &'static str {
        "built-in stories with questions"
    }

    fn looks_for(&self) -> &'static str {
        "the word `stories`"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let reason = "the name of the stories that the program writes";
        let is_it = source.is_built_in() && source.word() == STORIES;
        is_it.then(|| Detection::new(100, reason))?
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        load(cx)
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        texts::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        Sample {
            source: STORIES.into(),
            settings: DataSettings {
                train: 20,
                test: 10,
                ..DataSettings::default()
            },
            ..Sample::in_folder(dir)
        }
    }
}

fn load(cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
    let settings = cx.settings;
    let kind = settings.stories;
    let written = |count: usize, purpose: Purpose| -> Vec<Story> {
        let story = |index| {
            Story::of(
                kind,
                &mut Stream::new(cx.seed, purpose.stream(index as u32)),
            )
        };
        (0..count).map(story).collect()
    };
    let [train, test] = [
        written(settings.train, Purpose::TrainStories),
        written(settings.test, Purpose::TestStories),
    ];
    let classes: Vec<String> = answers(kind).iter().map(|word| word.to_string()).collect();
    let learned = train.iter().map(|story| &*story.text);
    let tokenizer = cx.fitted.tokenizer_of(settings, TokenKind::Words, learned);
    texts::check_tokens(train.len() + test.len(), settings, Path::new(STORIES))?;
    let mut cut = 0;
    let mut samples = |stories: &[Story]| {
        let each = stories.iter().map(|story| &*story.text);
        let answers = stories.iter().map(|story| story.answer as u32).collect();
        texts::samples(each, Some(answers), tokenizer, settings, &mut cut)
    };
    let parts = Parts {
        train: samples(&train),
        validation: None,
        test: Some(samples(&test)),
    };
    let parts = crate::data::split::split_off(parts, settings, cx.seed)?;
    let mut dataset = Dataset::of_parts(Path::new(STORIES), parts, classes);
    dataset.notes.extend(texts::note_on_cut(cut, settings));
    let example = train.first().map(|story| {
        let answer = &dataset.classes[story.answer];
        format!("the first story: {} {answer}", story.text)
    });
    dataset.found.extend(example);
    Ok(dataset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Fitted;

    #[test]
    fn stories_of_a_seed_are_the_same_whatever_their_number() {
        let first = |train| {
            let settings = DataSettings {
                source: STORIES.to_string(),
                train,
                test: 5,
                context: Some(80),
                ..DataSettings::default()
            };
            let set = crate::data::load(&settings, &mut Fitted::default(), 7).unwrap();
            let answers = set.train.labels().unwrap()[..20].to_vec();
            (set.classes, set.found, answers)
        };
        assert_eq!(first(400), first(500));
    }
}
