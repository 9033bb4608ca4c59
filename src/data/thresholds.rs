//! Thresholds by group: from which probability of the positive class on samples of a group are predicted to be of it.

use crate::error::{Error, Result};
use crate::files::read_text;
use crate::toml_text::parse;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Thresholds that were fitted to the predictions of a trained run for a part of its data, as `thresholds.toml` of its folder has
/// them (Hardt, Price and Srebro, "Equality of Opportunity in Supervised Learning", 2016, without randomised decisions).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupThresholds {
    /// What was to be equal: the name of a criterion.
    pub criterion: String,
    /// The part of the data to which they were fitted.
    pub part: String,
    /// The class that is predicted from a threshold on; the data have one other.
    pub positive: String,
    /// The columns by whose values samples are divided into groups.
    pub columns: Vec<String>,
    /// The groups.
    pub group: Vec<GroupThreshold>,
}

/// The threshold of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupThreshold {
    /// The value in each of the columns.
    pub values: Vec<String>,
    /// The probability, above 0 and below 1.
    pub threshold: f64,
}

impl GroupThresholds {
    /// Reads `thresholds.toml`.
    ///
    /// # Errors
    /// If it can't be read, or holds something else.
    pub fn read(path: &Path) -> Result<GroupThresholds> {
        let text = read_text(path).map_err(Error::io("read", path))?;
        let found: GroupThresholds = parse(&text, &path.display().to_string())?;
        let wrong = |what: String| {
            Err(Error::Config(format!(
                "{}: {what}; fit the thresholds again with `wgrad thresholds`, or remove the file",
                path.display()
            )))
        };
        if found.columns.is_empty() || found.group.is_empty() {
            return wrong("names no columns or no groups".to_string());
        }
        for group in &found.group {
            let name = group.values.join(", ");
            if group.values.len() != found.columns.len() {
                return wrong(format!(
                    "the group {name} has {} values for {} columns",
                    group.values.len(),
                    found.columns.len()
                ));
            }
            if !(group.threshold > 0.0 && group.threshold < 1.0) {
                return wrong(format!(
                    "the threshold of {name} is {}, and not above 0 and below 1",
                    group.threshold
                ));
            }
        }
        Ok(found)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// If it can't be written as TOML.
    pub fn text(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::Config(format!("thresholds: {e}")))
    }

    /// The values of each group.
    pub fn values(&self) -> Vec<Vec<String>> {
        self.group
            .iter()
            .map(|group| group.values.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<GroupThresholds, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thresholds.toml");
        std::fs::write(&path, text).unwrap();
        GroupThresholds::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_what_makes_no_sense_is_refused() {
        let thresholds = GroupThresholds {
            criterion: "equalized_odds".to_string(),
            part: "validation".to_string(),
            positive: "yes".to_string(),
            columns: vec!["sex".to_string()],
            group: vec![GroupThreshold {
                values: vec!["f".to_string()],
                threshold: 0.625,
            }],
        };
        let text = thresholds.text().unwrap();
        assert_eq!(read(&text), Ok(thresholds));
        let wrong = text.replace("0.625", "1.0");
        assert!(read(&wrong).unwrap_err().contains("threshold of f is 1"));
        let wrong = text.replace("[\"f\"]", "[\"f\", \"g\"]");
        assert!(read(&wrong).unwrap_err().contains("2 values for 1 columns"));
        assert!(read("positive = 3").is_err());
    }
}
