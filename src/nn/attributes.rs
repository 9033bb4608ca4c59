//! Attributes that layers of several families share: pairs, paddings, activations.

use super::site::Site;
use crate::error::Result;
use crate::graph::Var;
use serde::{Deserialize, Serialize};

/// A function of every element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The element itself.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `x` above 0, 0.01 x below.
    LeakyRelu,
    /// `x Phi(x)`, by the error function.
    Gelu,
    /// `x Phi(x)`, by the tanh formula.
    GeluTanh,
    /// `x sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

impl Activation {
    /// The function of every element of `x`.
    ///
    /// # Errors
    /// If `x` is not a float tensor.
    pub fn apply(self, x: Var<'_>) -> Result<Var<'_>> {
        match self {
            Activation::None => Ok(x),
            Activation::Relu => x.relu(),
            Activation::LeakyRelu => x.leaky_relu(0.01),
            Activation::Gelu => x.gelu(),
            Activation::GeluTanh => x.gelu_tanh(),
            Activation::Silu => x.silu(),
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => x.sigmoid(),
        }
    }
}

/// One number for both axes, or `[y, x]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a kernel, size, stride or dilation is a whole number, or two as [y, x]"
)]
pub enum Pair {
    /// The same for both.
    Both(usize),
    /// `[y, x]`.
    Each([usize; 2]),
}

impl Pair {
    /// `[y, x]`.
    pub fn each(self) -> [usize; 2] {
        match self {
            Pair::Both(n) => [n, n],
            Pair::Each(pair) => pair,
        }
    }

    pub(super) fn one() -> Pair {
        Pair::Both(1)
    }
}

impl From<usize> for Pair {
    fn from(n: usize) -> Self {
        Pair::Both(n)
    }
}

impl From<[usize; 2]> for Pair {
    fn from(pair: [usize; 2]) -> Self {
        Pair::Each(pair)
    }
}

/// Rows and columns added around an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "padding is \"valid\", \"same\", a whole number, or four as [[top, bottom], [left, right]]"
)]
pub enum PaddingSpec {
    /// By name.
    Named(NamedPadding),
    /// The same on all four sides.
    All(usize),
    /// `[[top, bottom], [left, right]]`.
    Sides([[usize; 2]; 2]),
}

/// Paddings that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedPadding {
    /// None.
    Valid,
    /// As much as keeps height and width at stride 1.
    Same,
}

impl Default for PaddingSpec {
    fn default() -> Self {
        PaddingSpec::Named(NamedPadding::Valid)
    }
}

impl PaddingSpec {
    /// `[[top, bottom], [left, right]]` for a window.
    pub fn sides(self, window: [usize; 2], dilation: [usize; 2]) -> [[usize; 2]; 2] {
        match self {
            PaddingSpec::Named(NamedPadding::Valid) => [[0, 0], [0, 0]],
            PaddingSpec::Named(NamedPadding::Same) => {
                crate::ops::conv2d::Conv2d::same(window, dilation)
            }
            PaddingSpec::All(n) => [[n, n], [n, n]],
            PaddingSpec::Sides(sides) => sides,
        }
    }

    /// Refuses what no image needs, so that arithmetic on it can't overflow.
    ///
    /// # Errors
    /// A sentence that says what is too large.
    pub fn check(self) -> Result<(), String> {
        match self {
            PaddingSpec::Named(_) => Ok(()),
            PaddingSpec::All(n) => bounded(0, "padding", &[n]),
            PaddingSpec::Sides(sides) => bounded(0, "padding", sides.as_flattened()),
        }
    }
}

/// How many units a layer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "units is a whole number, or \"vocabulary\": one for each token that there is"
)]
pub enum Units {
    /// So many.
    Number(usize),
    /// By a word.
    Named(NamedUnits),
}

/// Numbers of units that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedUnits {
    /// One for each token of the model's vocabulary.
    Vocabulary,
}

impl From<usize> for Units {
    fn from(n: usize) -> Self {
        Units::Number(n)
    }
}

impl From<NamedUnits> for Units {
    fn from(named: NamedUnits) -> Self {
        Units::Named(named)
    }
}

impl Units {
    /// How many they are in the model of `site`.
    ///
    /// # Errors
    /// If there are none or too many, or it is the vocabulary of a model that has none.
    pub fn number(self, site: &Site<'_, '_>) -> Result<usize> {
        let units = match (self, site.tokens()) {
            (Units::Number(units), _) => units,
            (Units::Named(NamedUnits::Vocabulary), Some(input)) => input.vocabulary,
            (Units::Named(NamedUnits::Vocabulary), None) => {
                return Err(Site::misfit(
                    "its units are the vocabulary, but its input comes from no tokens",
                ));
            }
        };
        bounded(1, "units", &[units]).map_err(Site::misfit)?;
        Ok(units)
    }
}

/// Checks that every one of the `values` of an attribute is at least `least` and so small that products of two of them fit
/// into any index.
///
/// # Errors
/// A sentence that names the attribute.
pub(super) fn bounded(least: usize, attribute: &str, values: &[usize]) -> Result<(), String> {
    const MOST: usize = 1 << 24;
    match values.iter().find(|n| !(least..=MOST).contains(*n)) {
        Some(n) => Err(format!(
            "its {attribute} must be from {least} to {MOST}, not {n}"
        )),
        None => Ok(()),
    }
}

/// For serde: the default of flags that are usually set.
pub(super) fn yes() -> bool {
    true
}

/// For serde: whether a flag that is usually not set need not be written.
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}
