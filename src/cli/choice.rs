//! Options whose value is one of a few words: the library's choices, by the names that they have in a run file.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::value::Error as Unknown;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use wgrad::data::{Format, Part};
use wgrad::device::DeviceChoice;

/// A word with what it means, for `--help`.
type Word = (&'static str, &'static str);

const DEVICES: &[Word] = &[
    (
        "auto",
        "A GPU adapter if there is one, else the CPU, with a note",
    ),
    ("gpu", "A GPU adapter, real or software"),
    ("cpu", "The CPU reference"),
];

const PARTS: &[Word] = &[
    ("train", "What the model learns from"),
    (
        "validation",
        "What choices are made by: when to stop, which model",
    ),
    ("test", "What the result is measured on"),
];

const FORMATS: &[Word] = &[
    ("digits", "The digits that the program draws"),
    ("idx", "IDX files, as MNIST has"),
    ("cifar", "CIFAR-10 in its binary version"),
    ("folder", "A folder of image files for each class"),
    ("npz", "A NumPy archive with images and labels"),
    ("table", "A CSV file, or one for each part"),
    ("text", "A text whose next token is to be predicted"),
    (
        "text-table",
        "A CSV file with a text and its class in each row",
    ),
    ("series", "A CSV file of numbers in the order of time"),
];

/// Parser of `--device`.
pub(super) fn device() -> impl TypedValueParser<Value = DeviceChoice> {
    one_of(DEVICES)
}

/// Parser of `--part`.
pub(super) fn part() -> impl TypedValueParser<Value = Part> {
    one_of(PARTS)
}

/// Parser of `--format`.
pub(super) fn format() -> impl TypedValueParser<Value = Format> {
    one_of(FORMATS)
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
        let expected: [Vec<String>; 3] = [words(DEVICES), words(PARTS), words(FORMATS)];
        assert_eq!(names_in_a_run_file::<DeviceChoice>(), expected[0]);
        assert_eq!(names_in_a_run_file::<Part>(), expected[1]);
        assert_eq!(names_in_a_run_file::<Format>(), expected[2]);
    }
}
