//! Attributes shared by layers of several families: pairs, paddings, activations.

use super::site::Site;
use crate::error::Result;
use crate::graph::Var;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An element-wise function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The identity.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`. PyTorch `ReLU6`; the gradient is 0 at 0 and at 6.
    Relu6,
    /// `x` above 0, 0.01 x below.
    LeakyRelu,
    /// `x Phi(x)`, computed with the error function.
    Gelu,
    /// `x Phi(x)`, approximated with tanh.
    GeluTanh,
    /// `x sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

impl Activation {
    /// Applies the function to every element of `x`.
    ///
    /// # Errors
    /// If `x` is not a float tensor.
    pub fn apply(self, x: Var<'_>) -> Result<Var<'_>> {
        match self {
            Activation::None => Ok(x),
            Activation::Relu => x.relu(),
            Activation::Relu6 => x.clamp(0.0, 6.0),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "padding is \"valid\", \"same\", \"same_upper\", a whole number, or four as [[top, bottom], [left, right]]"
)]
pub enum PaddingSpec {
    /// By name.
    Named(NamedPadding),
    /// The same on all four sides.
    All(usize),
    /// `[[top, bottom], [left, right]]`.
    Sides([[usize; 2]; 2]),
}

/// Named paddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedPadding {
    /// None.
    Valid,
    /// The padding that keeps height and width at stride 1, used for every stride. An odd row or column is added at the end.
    Same,
    /// The padding that gives the height and width of the input divided by the stride, rounded up: a stride of 2 often pads one
    /// row less before the input than after it. TensorFlow's and Keras's `same`, ONNX's `SAME_UPPER`.
    SameUpper,
}

impl Default for PaddingSpec {
    fn default() -> Self {
        PaddingSpec::Named(NamedPadding::Valid)
    }
}

impl PaddingSpec {
    /// `[[top, bottom], [left, right]]` for a window on an `input` of that height and width.
    pub fn sides(
        self,
        input: [usize; 2],
        window: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> [[usize; 2]; 2] {
        match self {
            PaddingSpec::Named(NamedPadding::Valid) => [[0, 0], [0, 0]],
            PaddingSpec::Named(NamedPadding::Same) => {
                crate::ops::conv2d::Conv2d::same(window, dilation)
            }
            PaddingSpec::Named(NamedPadding::SameUpper) => [0, 1].map(|i| {
                let last = (input[i].div_ceil(stride[i]) - 1) * stride[i];
                let total = (last + dilation[i] * (window[i] - 1) + 1).saturating_sub(input[i]);
                [total / 2, total - total / 2]
            }),
            PaddingSpec::All(n) => [[n, n], [n, n]],
            PaddingSpec::Sides(sides) => sides,
        }
    }

    /// Refuses unreasonable values, so that arithmetic on them can't overflow.
    ///
    /// # Errors
    /// A message that names the value that is too large.
    pub fn check(self) -> Result<(), String> {
        match self {
            PaddingSpec::Named(_) => Ok(()),
            PaddingSpec::All(n) => bounded(0, "padding", &[n]),
            PaddingSpec::Sides(sides) => bounded(0, "padding", sides.as_flattened()),
        }
    }
}

/// Number of units of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "units is a whole number, or one of \"classes\", \"targets\", \"columns\", \"horizon\" and \"vocabulary\""
)]
pub enum Units {
    /// This many.
    Number(usize),
    /// By name.
    Named(NamedUnits),
}

/// Named numbers of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedUnits {
    /// One per token of the model's vocabulary.
    Vocabulary,
    /// One per class.
    Classes,
    /// One for each number to predict: for each class, or for each number of the target.
    Targets,
    /// One per column of a row or window.
    Columns,
    /// One for each row to predict after a window.
    Horizon,
}

impl NamedUnits {
    /// Name in a model file.
    pub fn name(self) -> &'static str {
        match self {
            NamedUnits::Vocabulary => "vocabulary",
            NamedUnits::Classes => "classes",
            NamedUnits::Targets => "targets",
            NamedUnits::Columns => "columns",
            NamedUnits::Horizon => "horizon",
        }
    }
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
    /// The number of units in the model of `site`.
    ///
    /// # Errors
    /// If it is zero or too large, or is a size that is not known.
    pub fn number(self, site: &Site<'_, '_>) -> Result<usize> {
        self.number_of("units", site)
    }

    /// The same for an `attribute` of another name, such as `filters`.
    ///
    /// # Errors
    /// As [`Units::number`].
    pub fn number_of(self, attribute: &str, site: &Site<'_, '_>) -> Result<usize> {
        let units = match self {
            Units::Number(units) => units,
            Units::Named(NamedUnits::Vocabulary) => {
                let input = site.tokens().ok_or_else(|| {
                    Site::misfit(format!(
                        "its {attribute} are the vocabulary, but its input does not come from tokens"
                    ))
                })?;
                input.vocabulary
            }
            Units::Named(size) => site.sizes.get(size).ok_or_else(|| {
                let name = size.name();
                Site::misfit(format!(
                    "its {attribute} are the {name} of the data, which are not known here; give the model {name} = N"
                ))
            })?,
        };
        bounded(1, attribute, &[units]).map_err(Site::misfit)?;
        Ok(units)
    }
}

/// Checks that every one of the `values` of an attribute is at least `least` and so small that the product of any two fits into
/// an index.
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

/// For serde: the default of flags that default to true.
pub(super) fn yes() -> bool {
    true
}

/// For serde: whether to skip a flag that defaults to false.
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_upper_pads_as_tensorflow_does() {
        let padding = PaddingSpec::Named(NamedPadding::SameUpper);
        let along = |input: usize, window: usize, stride: usize, dilation: usize| {
            padding.sides([input; 2], [window; 2], [stride; 2], [dilation; 2])[0]
        };
        // Paddings of EfficientNet: 3 and 5 taps, on even and odd sizes.
        assert_eq!(along(224, 3, 2, 1), [0, 1]);
        assert_eq!(along(56, 5, 2, 1), [1, 2]);
        assert_eq!(along(7, 3, 2, 1), [1, 1]);
        assert_eq!(along(7, 5, 1, 1), [2, 2]);
        // An odd row is added at the end; a window smaller than its stride needs no padding.
        assert_eq!(along(8, 4, 1, 1), [1, 2]);
        assert_eq!(along(8, 1, 2, 1), [0, 0]);
        assert_eq!(along(9, 3, 1, 2), [2, 2]);
    }

    #[test]
    fn same_pads_both_sides_alike_whatever_the_stride() {
        let padding = PaddingSpec::Named(NamedPadding::Same);
        assert_eq!(
            padding.sides([224; 2], [3; 2], [2; 2], [1; 2]),
            [[1, 1], [1, 1]]
        );
    }
}
