//! A temperature: the number by which a trained classifier's logits are divided, so that it is right as often as its confidence says.

use crate::error::{Error, Result};
use crate::files::read_text;
use crate::toml_text::parse;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A temperature that was fitted to the predictions of a trained run, as `temperature.toml` of its folder has it (Guo, Pleiss, Sun and
/// Weinberger, "On Calibration of Modern Neural Networks", 2017).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedTemperature {
    /// The temperature, above 0: above 1, confidences become lower.
    pub temperature: f64,
    /// What it was fitted to: a part of the data, or half of one, in words.
    pub fitted_to: String,
    /// Number of samples that it was fitted to.
    pub samples: u64,
}

impl FittedTemperature {
    /// Reads `temperature.toml`.
    ///
    /// # Errors
    /// If it can't be read, or holds something else.
    pub fn read(path: &Path) -> Result<FittedTemperature> {
        let text = read_text(path).map_err(Error::io("read", path))?;
        let found: FittedTemperature = parse(&text, &path.display().to_string())?;
        if !(found.temperature.is_finite() && found.temperature > 0.0) {
            return Err(Error::Config(format!(
                "{}: the temperature is {}, and not above 0; fit it again with `wgrad eval RUN --calibration --save`, or remove the file",
                path.display(),
                found.temperature
            )));
        }
        Ok(found)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// If it can't be written as TOML.
    pub fn text(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Config(format!("temperature: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written_and_what_makes_no_sense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("temperature.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            FittedTemperature::read(&path).map_err(|error| error.to_string())
        };
        let temperature = FittedTemperature {
            temperature: 1.375,
            fitted_to: "the validation part".to_string(),
            samples: 5000,
        };
        let text = temperature.text().unwrap();
        assert_eq!(read(&text), Ok(temperature));
        for wrong in ["0.0", "-1.0", "inf", "nan"] {
            let message = read(&text.replace("1.375", wrong)).unwrap_err();
            assert!(message.contains("not above 0"), "{message}");
        }
        assert!(read("temperature = \"warm\"").is_err());
    }
}
