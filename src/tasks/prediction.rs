//! Predictions: the outputs for a sample, and what a task makes of them.

use crate::data::{DataSettings, Fitted, Samples};
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// The outputs for one sample, with everything needed to decode them.
#[derive(Clone, Copy)]
pub struct Decoded<'a> {
    /// The outputs for the sample by name, without the batch axis.
    pub outputs: &'a [(String, Vec<usize>, Vec<f32>)],
    /// All samples of the prediction.
    pub samples: &'a Samples,
    /// Index of this sample; of the first tile, if the outputs are those of an image that was put together from its tiles.
    pub index: usize,
    /// The picture file that the sample was read from, if it was.
    pub picture: Option<&'a Path>,
    /// Values that were fitted on the training data.
    pub fitted: &'a Fitted,
    /// The data settings of the run.
    pub data: &'a DataSettings,
    /// Maximum number of classes to show.
    pub top: usize,
    /// Whether the user named a folder for files. Files other than the prediction itself are written only then.
    pub out_named: bool,
}

impl Decoded<'_> {
    /// The numbers of the output `name`.
    ///
    /// # Errors
    /// If there is none.
    pub fn output(&self, name: &str) -> Result<&[f32]> {
        let found = self.outputs.iter().find(|(known, ..)| known == name);
        found
            .map(|(_, _, values)| &values[..])
            .ok_or_else(|| Error::Graph(format!("the prediction has no output {name}")))
    }

    /// The name of the sample's class, if it has one.
    pub fn label(&self) -> Option<String> {
        let label = *self.samples.labels()?.get(self.index)? as usize;
        let name = self.fitted.classes.get(label).cloned();
        Some(name.unwrap_or_else(|| label.to_string()))
    }
}

/// The decoded prediction for one sample.
#[derive(Clone, Debug, Default)]
pub struct Prediction {
    /// Lines of text and JSON.
    pub lines: Vec<PredictionLine>,
    /// Files to write.
    pub files: Vec<PredictionFile>,
}

/// The known target of a line of a prediction.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// As text.
    pub text: String,
    /// As JSON.
    pub json: Map<String, Value>,
}

impl Known {
    /// The one of `known`, as [`Task::known`] gives them, that belongs to the line at `place`.
    pub fn of_line(known: &[Known], place: usize) -> Option<&Known> {
        match known {
            [one] => Some(one),
            each => each.get(place),
        }
    }
}

/// A line of a prediction.
#[derive(Clone, Debug, Default)]
pub struct PredictionLine {
    /// Appended to the sample's name.
    pub suffix: String,
    /// As text: several classes, the most probable first, or a single part.
    pub text: Vec<String>,
    /// As JSON; classes with their probabilities are in `top`, the most probable first.
    pub json: Map<String, Value>,
}

impl PredictionLine {
    /// The text with up to `top` classes.
    pub fn shown(&self, top: usize) -> String {
        self.text[..self.text.len().min(top)].join(", ")
    }

    /// The JSON with up to `top` classes.
    pub fn json(&self, top: usize) -> Map<String, Value> {
        let mut json = self.json.clone();
        if let Some(Value::Array(classes)) = json.get_mut("top") {
            classes.truncate(top);
        }
        json
    }
}

/// A file of a prediction.
#[derive(Clone, Debug)]
pub struct PredictionFile {
    /// Key of its path in JSON: `mask`.
    pub key: &'static str,
    /// Appended to the stem of the sample's name: `-mask.png`.
    pub suffix: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}
