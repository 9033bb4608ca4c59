//! Options with a fixed set of values, which have the same names as in a run file.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::value::Error as Unknown;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use wgrad::data::{FORMATS, FormatName, Part};
use wgrad::device::DeviceChoice;
use wgrad::graph::Precision;
use wgrad::tasks::scores::fairness::Criterion;

/// A word with what it means, for `--help`.
type Word = (&'static str, &'static str);

const DEVICES: &[Word] = &[
    (
        "auto",
        "A GPU adapter if there is one, otherwise the CPU, with a note",
    ),
    ("gpu", "A GPU adapter, real or software"),
    ("cpu", "The CPU reference"),
];

const PRECISIONS: &[Word] = &[
    ("float32", "32-bit floats throughout"),
    (
        "mixed",
        "Products and activations in 16-bit floats; sums, weights and optimizer in 32 bits",
    ),
    (
        "mixed_bfloat16",
        "The same with bfloat16: fewer digits, the range of 32-bit floats",
    ),
];

const PARTS: &[Word] = &[
    ("train", "The training part"),
    (
        "validation",
        "The validation part, for early stopping and model selection",
    ),
    ("test", "The test part, for the final result"),
];

const CRITERIA: &[Word] = &[
    (
        "equalized-odds",
        "True positive rate and false positive rate",
    ),
    ("demographic-parity", "The selection rate"),
];

/// Parser of `--criterion`.
pub(super) fn criterion() -> impl TypedValueParser<Value = Criterion> {
    one_of(CRITERIA)
}

/// Parser of `--device`.
pub(super) fn device() -> impl TypedValueParser<Value = DeviceChoice> {
    one_of(DEVICES)
}

/// Parser of `--precision`.
pub(super) fn precision() -> impl TypedValueParser<Value = Precision> {
    one_of(PRECISIONS)
}

/// Parser of `--part`.
pub(super) fn part() -> impl TypedValueParser<Value = Part> {
    one_of(PARTS)
}

/// Parser of `--format`.
pub(super) fn format() -> impl TypedValueParser<Value = FormatName> {
    let words: Vec<Word> = FORMATS
        .iter()
        .map(|format| (format.name(), format.about()))
        .collect();
    one_of(&words)
}

fn one_of<T>(words: &[Word]) -> impl TypedValueParser<Value = T> + use<T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let values = words
        .iter()
        .map(|&(word, meaning)| PossibleValue::new(word).help(meaning));
    PossibleValuesParser::new(values).try_map(|word| named(&word))
}

/// The choice that a run file calls `word`, with `_` where the command line has `-`.
fn named<T: DeserializeOwned>(word: &str) -> Result<T, Unknown> {
    T::deserialize(word.replace('-', "_").into_deserializer())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that a run file may say for `T`, as serde lists them where it is given another.
    fn names_in_a_run_file<T: DeserializeOwned>() -> Vec<String> {
        let Err(unknown) = named::<T>("?") else {
            panic!("? is no name");
        };
        let listed = unknown.to_string();
        let quoted = listed.split('`').skip(1).step_by(2);
        quoted.skip(1).map(|name| name.replace('_', "-")).collect()
    }

    #[test]
    fn the_words_of_an_option_are_the_names_of_a_run_file() {
        let words = |words: &[Word]| words.iter().map(|(word, _)| word.to_string()).collect();
        let expected: [Vec<String>; 3] = [words(DEVICES), words(PARTS), words(CRITERIA)];
        assert_eq!(names_in_a_run_file::<DeviceChoice>(), expected[0]);
        assert_eq!(names_in_a_run_file::<Part>(), expected[1]);
        assert_eq!(names_in_a_run_file::<Criterion>(), expected[2]);
    }
}
