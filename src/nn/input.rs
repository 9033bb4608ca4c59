//! The input of a model in its file: a shape, or the word that leaves it to the data.

use serde::{Deserialize, Deserializer};

/// Reads `"auto"` as the empty shape.
pub(super) fn shape_or_auto<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected a list of numbers, or \"auto\" for the shape of the data"
    )]
    enum Input {
        Shape(Vec<usize>),
        Name(Auto),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Auto {
        Auto,
    }
    Ok(match Input::deserialize(deserializer)? {
        Input::Shape(shape) => shape,
        Input::Name(Auto::Auto) => Vec::new(),
    })
}
