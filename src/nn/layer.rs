//! The layer format: a model is an input shape and a list of layers, each with a type, a name and its attributes.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A model as its file says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Name for reports and run folders.
    pub name: String,
    /// Shape of one sample: `[height, width, channels]`, or empty for that of the data, which a file calls `"auto"`.
    #[serde(deserialize_with = "super::input::shape_or_auto")]
    pub input: Vec<usize>,
    /// Layers from input to logits.
    #[serde(rename = "layer")]
    pub layers: Vec<Layer>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Name: the prefix of its weights. Without one, the type and a count: `conv1`, `dense2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub kind: LayerKind,
}

/// What a layer does, with its attributes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerKind {
    /// Convolution of `[height, width, channels]`. PyTorch `Conv2d`.
    Conv2d {
        /// Output channels.
        filters: usize,
        /// Height and width of the kernel.
        kernel: Pair,
        /// Steps between output positions.
        #[serde(default = "one")]
        stride: Pair,
        /// Rows and columns added around the input.
        #[serde(default)]
        padding: PaddingSpec,
        /// Steps between the kernel's taps.
        #[serde(default = "one")]
        dilation: Pair,
        /// Groups of channels that do not see each other.
        #[serde(default = "single")]
        groups: usize,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
        /// Applied to the result.
        #[serde(default)]
        activation: Activation,
    },
    /// Maximum over windows. PyTorch `MaxPool2d`.
    MaxPool2d {
        /// Height and width of the window.
        size: Pair,
        /// Steps between windows; the size if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<Pair>,
        /// Rows and columns added around the input.
        #[serde(default)]
        padding: PaddingSpec,
    },
    /// Mean over windows, of the elements that exist. PyTorch `AvgPool2d(count_include_pad=False)`.
    AvgPool2d {
        /// Height and width of the window.
        size: Pair,
        /// Steps between windows; the size if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<Pair>,
        /// Rows and columns added around the input.
        #[serde(default)]
        padding: PaddingSpec,
    },
    /// Mean over height and width: `[channels]`.
    GlobalAvgPool2d {},
    /// All axes as one.
    Flatten {},
    /// Every input to every unit. PyTorch `Linear`.
    Dense {
        /// Outputs.
        units: usize,
        /// Whether a bias is added.
        #[serde(default = "yes")]
        bias: bool,
        /// Applied to the result.
        #[serde(default)]
        activation: Activation,
    },
    /// Zeroes elements at random while training.
    Dropout {
        /// Share that is zeroed, below 1.
        rate: f64,
    },
    /// A function of every element.
    Activation {
        /// Which.
        function: Activation,
    },
}

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

fn one() -> Pair {
    Pair::Both(1)
}

fn single() -> usize {
    1
}

fn yes() -> bool {
    true
}

impl LayerKind {
    /// Stem of the names of unnamed layers.
    pub fn stem(&self) -> &'static str {
        match self {
            LayerKind::Conv2d { .. } => "conv",
            LayerKind::MaxPool2d { .. }
            | LayerKind::AvgPool2d { .. }
            | LayerKind::GlobalAvgPool2d {} => "pool",
            LayerKind::Flatten {} => "flatten",
            LayerKind::Dense { .. } => "dense",
            LayerKind::Dropout { .. } => "dropout",
            LayerKind::Activation { .. } => "activation",
        }
    }
}

/// Built-in models: name, what it is, file.
pub const PRESETS: &[(&str, &str, &str)] = &[
    (
        "mnist-cnn",
        "the Keras MNIST example: two convolutions, two dense layers",
        include_str!("../../assets/models/mnist-cnn.toml"),
    ),
    (
        "lenet5",
        "LeNet-5 (LeCun 1998) with max-pooling and ReLU",
        include_str!("../../assets/models/lenet5.toml"),
    ),
    (
        "mlp",
        "two hidden dense layers",
        include_str!("../../assets/models/mlp.toml"),
    ),
];

impl ModelSpec {
    /// The built-in model `name`.
    ///
    /// # Errors
    /// If there is none; the message lists them.
    pub fn preset(name: &str) -> Result<ModelSpec> {
        let found = PRESETS.iter().find(|(preset, _, _)| *preset == name);
        let (_, _, text) = found.ok_or_else(|| {
            let names: Vec<_> = PRESETS.iter().map(|(n, _, _)| *n).collect();
            Error::Config(format!(
                "there is no model \"{name}\": name a TOML file or one of {}",
                names.join(", ")
            ))
        })?;
        crate::settings::parse(text, &format!("built-in model {name}"))
    }

    /// The name of every layer: its own, or the stem of its type with a count.
    ///
    /// # Errors
    /// If two layers have the same name, or a name can't be part of a weight's name.
    pub fn layer_names(&self) -> Result<Vec<String>> {
        let mut counts = std::collections::HashMap::new();
        let mut names: Vec<String> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let stem = layer.kind.stem();
            let count = counts.entry(stem).or_insert(0);
            *count += 1;
            let name = layer
                .name
                .clone()
                .unwrap_or_else(|| format!("{stem}{count}"));
            let fine = !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            if !fine {
                return Err(Error::Config(format!(
                    "model {}: a layer can't be called \"{name}\"; use letters, digits, _ and -",
                    self.name
                )));
            }
            if names.contains(&name) {
                return Err(Error::Config(format!(
                    "model {}: two layers are called {name}; give one of them another name",
                    self.name
                )));
            }
            names.push(name);
        }
        Ok(names)
    }
}
