//! Inputs of a model, as in a model file: a shape, tokens, or `auto` for the shape of the data.

use super::attributes::is_false;
use super::site::countable;
use crate::tensor::TensorType;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// An input of a model, for one sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InputSpec {
    /// The shape of the data: `"auto"` in a file.
    #[default]
    Auto,
    /// Numbers of this shape: `[height, width, channels]`, `[rows, columns]` or `[features]`.
    Shape(Vec<usize>),
    /// The shape of the data in a run; this shape without data: `{ shape = [96, 96, 3], auto = true }` in a file.
    AutoShape(Vec<usize>),
    /// Tokens of a text.
    Tokens(TokenInput),
}

/// A shape that a run replaces by that of its data, as in a file.
#[derive(Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AutoShape {
    /// The shape of a sample without data.
    shape: Vec<usize>,
    /// Whether a run takes the shape of its data.
    auto: bool,
}

/// An input that is a table in a file: the keys of [`TokenInput`] or of [`AutoShape`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputTable {
    shape: Option<Vec<usize>>,
    tokens: Option<usize>,
    vocabulary: Option<usize>,
    #[serde(default)]
    padded: bool,
    #[serde(default)]
    auto: bool,
}

impl InputTable {
    fn input(self) -> Result<InputSpec, &'static str> {
        match (self.shape, self.tokens, self.vocabulary) {
            (Some(_), None, None) if self.padded => Err("only an input of tokens is padded"),
            (Some(shape), None, None) => Ok(match self.auto {
                true => InputSpec::AutoShape(shape),
                false => InputSpec::Shape(shape),
            }),
            (None, Some(tokens), Some(vocabulary)) => Ok(InputSpec::Tokens(TokenInput {
                tokens,
                vocabulary,
                padded: self.padded,
                auto: self.auto,
            })),
            (None, Some(_), None) => Err("missing field `vocabulary`"),
            (None, None, Some(_)) => Err("missing field `tokens`"),
            (None, None, None) => Err("missing field `shape`, or `tokens` and `vocabulary`"),
            (Some(_), _, _) => Err("an input has a `shape` or `tokens`, not both"),
        }
    }
}

/// A sample of tokens: `{ tokens = 64, vocabulary = 65 }` in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenInput {
    /// Tokens per sample: the context.
    pub tokens: usize,
    /// Size of the vocabulary; each token is a number below it.
    pub vocabulary: usize,
    /// Whether samples may end in padding, token 0, which layers over time ignore. Required for samples shorter than the context,
    /// as in tables of texts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub padded: bool,
    /// Whether a run takes the vocabulary from its data, and the tokens from `data.context` if that is set. The numbers above then
    /// only apply without data.
    #[serde(default, skip_serializing_if = "is_false")]
    pub auto: bool,
}

impl TokenInput {
    /// This many `tokens`, each below `vocabulary`, without padding.
    pub fn new(tokens: usize, vocabulary: usize) -> TokenInput {
        TokenInput {
            tokens,
            vocabulary,
            padded: false,
            auto: false,
        }
    }
}

impl InputSpec {
    /// Shape of a sample; empty if it is that of the data.
    pub fn sample(&self) -> Vec<usize> {
        match self {
            InputSpec::Auto => Vec::new(),
            InputSpec::Shape(shape) | InputSpec::AutoShape(shape) => shape.clone(),
            InputSpec::Tokens(input) => vec![input.tokens],
        }
    }

    /// Whether a run takes its shape from the data.
    pub fn is_auto(&self) -> bool {
        matches!(self, InputSpec::Auto | InputSpec::AutoShape(_))
    }

    /// Type of `batch` samples.
    pub fn ty(&self, batch: usize) -> TensorType {
        let dims = [&[batch], &self.sample()[..]].concat();
        match self {
            InputSpec::Tokens(_) => TensorType::u32(dims),
            _ => TensorType::f32(dims),
        }
    }

    /// Height, width and channels, if it takes images of a fixed size.
    pub fn image(&self) -> Option<[usize; 3]> {
        match self {
            InputSpec::Shape(shape) => shape[..].try_into().ok(),
            _ => None,
        }
    }

    /// The token input, if it takes tokens.
    pub fn tokens(&self) -> Option<TokenInput> {
        match self {
            InputSpec::Tokens(input) => Some(*input),
            _ => None,
        }
    }

    /// Extent of the last axis, the channels of an image: the number of means of the data. 1 for tokens.
    pub fn channels(&self) -> usize {
        match self {
            InputSpec::Shape(shape) | InputSpec::AutoShape(shape) => {
                shape.last().copied().unwrap_or(1)
            }
            _ => 1,
        }
    }

    /// The input resolved with the data: the `shape` of a sample and, for tokens, their `vocabulary` and whether they may end in
    /// padding (`padded`).
    pub fn resolved(&self, shape: &[usize], vocabulary: Option<usize>, padded: bool) -> InputSpec {
        let tokens = shape.first().copied().unwrap_or(0);
        match (self, vocabulary) {
            (InputSpec::Auto | InputSpec::AutoShape(_), None) => InputSpec::Shape(shape.to_vec()),
            (InputSpec::Auto, Some(vocabulary)) => InputSpec::Tokens(TokenInput {
                padded,
                ..TokenInput::new(tokens, vocabulary)
            }),
            (InputSpec::Tokens(input), Some(vocabulary)) if input.auto => {
                InputSpec::Tokens(TokenInput {
                    tokens,
                    vocabulary,
                    auto: false,
                    ..*input
                })
            }
            _ => self.clone(),
        }
    }

    /// Checks that the shape is known and not too large.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the model.
    pub(super) fn check(&self) -> Result<(), String> {
        const MOST_TOKENS: usize = 1 << 24;
        match self {
            InputSpec::Auto => Err(
                "takes its input shape from the data, which are not known here; give it a shape instead of \"auto\", or \
                 { tokens = 64, vocabulary = 100 } with numbers of its own"
                    .to_string(),
            ),
            InputSpec::Shape(shape) | InputSpec::AutoShape(shape) => {
                match countable(shape) && !shape.is_empty() {
                    true => Ok(()),
                    false => Err(format!(
                        "has the invalid input shape {shape:?}: give it numbers of at least 1 whose product is below 2^31"
                    )),
                }
            }
            InputSpec::Tokens(input) => {
                let counts = [("tokens", input.tokens), ("vocabulary", input.vocabulary)];
                match counts.into_iter().find(|(_, n)| !(1..=MOST_TOKENS).contains(n)) {
                    Some((name, n)) => Err(format!(
                        "takes tokens, and its input.{name} must be from 1 to {MOST_TOKENS}, not {n}"
                    )),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for InputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputSpec::Auto => f.write_str("auto"),
            InputSpec::Shape(shape) | InputSpec::AutoShape(shape) => {
                let extents: Vec<_> = shape.iter().map(usize::to_string).collect();
                f.write_str(&extents.join(" x "))
            }
            InputSpec::Tokens(input) => write!(f, "{} tokens", input.tokens),
        }
    }
}

impl From<Vec<usize>> for InputSpec {
    fn from(shape: Vec<usize>) -> Self {
        InputSpec::Shape(shape)
    }
}

impl<const N: usize> From<[usize; N]> for InputSpec {
    fn from(shape: [usize; N]) -> Self {
        InputSpec::Shape(shape.to_vec())
    }
}

impl From<TokenInput> for InputSpec {
    fn from(input: TokenInput) -> Self {
        InputSpec::Tokens(input)
    }
}

impl JsonSchema for InputSpec {
    fn schema_name() -> Cow<'static, str> {
        "input".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tokens = generator.subschema_for::<TokenInput>();
        let shape = generator.subschema_for::<Vec<usize>>();
        let auto = generator.subschema_for::<AutoShape>();
        json_schema!({ "anyOf": [{ "const": "auto", "description": "The shape of the data." }, shape, auto, tokens] })
    }
}

impl Serialize for InputSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            InputSpec::Auto => serializer.serialize_str("auto"),
            InputSpec::Shape(shape) => shape.serialize(serializer),
            InputSpec::AutoShape(shape) => AutoShape {
                shape: shape.clone(),
                auto: true,
            }
            .serialize(serializer),
            InputSpec::Tokens(input) => input.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for InputSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Input;

        impl<'de> Visitor<'de> for Input {
            type Value = InputSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a list of numbers, { tokens = ..., vocabulary = ... }, or \"auto\" for what the data have",
                )
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<InputSpec, E> {
                match word {
                    "auto" => Ok(InputSpec::Auto),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<InputSpec, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(InputSpec::Shape)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<InputSpec, A::Error> {
                use serde::de::Error as _;
                let table = InputTable::deserialize(MapAccessDeserializer::new(map))?;
                table.input().map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(Input)
    }
}
