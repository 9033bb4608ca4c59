//! Options with a fixed set of values, which have the same names as in a run file.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::value::Error as Unknown;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use wgrad::attack::{AttackMethod, Corruption};
use wgrad::data::{FORMATS, FormatName, Part};
use wgrad::device::DeviceChoice;
use wgrad::graph::Precision;
use wgrad::tasks::ChangeNorm;
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

const ATTACKS: &[Word] = &[
    ("fgsm", "One step along the sign of the gradient"),
    ("pgd", "Several steps from random starts"),
    (
        "deepfool",
        "The smallest change that misleads, with --norm l2",
    ),
    ("square", "Random squares, by predictions alone"),
];

const EXPLANATIONS: &[Word] = &[
    ("saliency", "The magnitude of the gradient"),
    ("smooth_grad", "The mean gradient over noisy copies"),
    (
        "integrated_gradients",
        "Gradients on the way from a black image, from embeddings of zero or from an average row",
    ),
    ("grad_cam", "Where a convolution is active for the class"),
    (
        "guided_grad_cam",
        "The same, multiplied by guided back-propagation",
    ),
    (
        "occlusion",
        "How much the logit falls behind a black square",
    ),
    (
        "attention_rollout",
        "Texts: what attention carries to the classifier",
    ),
    (
        "permutation_importance",
        "Tables: how much the score falls where a column is in another order",
    ),
    (
        "partial_dependence",
        "Tables: the mean prediction by the cell of a column",
    ),
];

const CHANGE_NORMS: &[Word] = &[
    ("linf", "The largest change of a pixel"),
    ("l2", "The length of all changes"),
];

const CORRUPTIONS: &[Word] = &[
    ("noise", "Normal noise"),
    ("impulse", "Pixels that are black or white"),
    ("blur", "Gaussian blur"),
    ("contrast", "Less contrast"),
    ("brightness", "More light"),
    ("rotation", "Rotated by up to 30 degrees"),
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

/// Parser of `--attack`.
pub(super) fn attack() -> impl TypedValueParser<Value = AttackMethod> {
    one_of(ATTACKS)
}

/// Parser of `--norm`.
pub(super) fn change_norm() -> impl TypedValueParser<Value = ChangeNorm> {
    one_of(CHANGE_NORMS)
}

/// Parser of `--method`.
pub(super) fn explanation() -> impl TypedValueParser<Value = String> {
    one_of(EXPLANATIONS)
}

/// Parser of `--corrupt`.
pub(super) fn corruption() -> impl TypedValueParser<Value = Corruption> {
    one_of(CORRUPTIONS)
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
