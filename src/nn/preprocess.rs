//! Preprocessing of images, as in a model file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Normalisation of pixels: `(pixel - mean) / std` for each channel, with pixels in [0, 1]. Published weights are only valid for
/// a certain mean and deviation. A run uses them unless its data settings have a `mean` and `std`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, try_from = "Unchecked")]
pub struct Preprocess {
    /// A mean for each channel.
    pub mean: Vec<f32>,
    /// A standard deviation for each channel, above 0.
    pub std: Vec<f32>,
}

/// The serialised form.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    /// A mean for each channel.
    mean: Vec<f32>,
    /// A standard deviation for each channel, above 0.
    std: Vec<f32>,
}

impl TryFrom<Unchecked> for Preprocess {
    type Error = String;

    fn try_from(Unchecked { mean, std }: Unchecked) -> Result<Self, String> {
        if mean.is_empty() || mean.len() != std.len() {
            return Err(format!(
                "preprocess has {} means and {} standard deviations; give it one of each per channel",
                mean.len(),
                std.len()
            ));
        }
        if mean.iter().any(|m| !m.is_finite()) {
            return Err("preprocess.mean must be finite numbers".to_string());
        }
        if std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return Err("preprocess.std must be finite numbers above 0".to_string());
        }
        Ok(Preprocess { mean, std })
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::ModelSpec;
    use crate::toml_text::parse;

    fn spec(preprocess: &str) -> Result<ModelSpec, String> {
        let text = format!(
            "name = \"m\"\ninput = [4, 4, 3]\n{preprocess}\n[[layer]]\ntype = \"flatten\"\n"
        );
        parse(&text, "m.toml").map_err(|e| e.to_string())
    }

    #[test]
    fn a_model_says_how_it_takes_pictures_and_keeps_it_when_written() {
        let model = spec("[preprocess]\nmean = [0.5, 0.4, 0.3]\nstd = [0.2, 0.2, 0.1]").unwrap();
        let own = model.preprocess.clone().unwrap();
        assert_eq!(own.mean, [0.5, 0.4, 0.3]);
        assert_eq!(own.std, [0.2, 0.2, 0.1]);
        let text = toml::to_string(&model).unwrap();
        assert_eq!(parse::<ModelSpec>(&text, "m.toml").unwrap(), model);
        assert_eq!(spec("").unwrap().preprocess, None);
    }

    #[test]
    fn what_can_not_be_divided_by_is_refused() {
        let refused = |text: &str, part: &str| {
            let error = spec(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        refused("[preprocess]\nmean = [0.5]\nstd = [0.0]", "above 0");
        refused(
            "[preprocess]\nmean = [0.5]\nstd = [1.0, 1.0]",
            "1 means and 2",
        );
        refused("[preprocess]\nmean = [nan]\nstd = [1.0]", "finite");
        refused("[preprocess]\nmean = [0.5]", "std");
        refused(
            "[preprocess]\nmaen = [0.5]\nstd = [1.0]",
            "did you mean `mean`",
        );
    }
}
