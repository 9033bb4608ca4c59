//! Settings for a network in a file: what its notes say of the data, as `wgrad export` writes them ([`Settings::notes`]).

use super::Settings;
use crate::data::{FormatName, PictureFit, Tokenizer};
use crate::error::{Error, Result};
use crate::nn::{Model as _, Network};
use crate::onnx::OnnxNetwork;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Samples of a batch: networks in files may be large.
const BATCH: usize = 8;

impl Settings {
    /// The settings of a run whose model is the network in the file at `path`, for evaluation and prediction: task, classes, the
    /// normalisation of images and the tokenizer are those of its notes. Without notes, outputs of one axis are classes with numbers
    /// for names, and images must be normalised by the network itself.
    ///
    /// # Errors
    /// If the file can't be read, or a note is damaged.
    pub fn of_network_file(path: &Path) -> Result<Settings> {
        let network = OnnxNetwork::read(path)?;
        let notes = &network.file().metadata;
        let text = |name: &str| {
            let name = format!("wgrad.{name}");
            notes
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, text)| text.as_str())
        };
        let mut settings = Settings {
            model: network.spec()?,
            batch: BATCH,
            ..Settings::default()
        };
        let model = Network::new(settings.model.clone())?;
        let task: Option<String> = note(path, "task", text("task"))?;
        settings.task.name = Some(task.unwrap_or_else(|| "classification".to_string()));
        if let Some(fit) = note(path, "fit", text("fit"))? {
            settings.data.fit = fit;
        }
        let fitted = &mut settings.fitted;
        fitted.classes = note(path, "classes", text("classes"))?.unwrap_or_default();
        fitted.mean = note(path, "mean", text("mean"))?.unwrap_or_default();
        fitted.std = note(path, "std", text("std"))?.unwrap_or_default();
        fitted.tokenizer = note::<Tokenizer>(path, "tokenizer", text("tokenizer"))?;
        if let (true, Some(output)) = (fitted.classes.is_empty(), model.outputs().first())
            && let [units] = output.shape[..]
        {
            fitted.classes = (0..units).map(|class| class.to_string()).collect();
        }
        let image = model.inputs().first().and_then(|input| input.spec.image());
        if let Some([_, _, channels]) = image {
            if fitted.mean.is_empty() {
                (fitted.mean, fitted.std) = (vec![0.0; channels], vec![1.0; channels]);
            }
            // A mean of 0 is not that of any images.
            if fitted.mean.iter().all(|&mean| mean == 0.0) {
                settings.data.mean = Some(fitted.mean.clone());
                settings.data.std = Some(fitted.std.clone());
            }
            fitted.format = FormatName::named(match settings.data.fit {
                PictureFit::Tile => "masks",
                _ => "folder",
            });
        }
        Ok(settings)
    }
}

/// The note `name`, which is `text`.
fn note<T: DeserializeOwned>(path: &Path, name: &str, text: Option<&str>) -> Result<Option<T>> {
    let read = text.map(serde_json::from_str).transpose();
    read.map_err(|e| {
        Error::Config(format!(
            "{}: its note wgrad.{name} is damaged ({e}); export the network again",
            path.display()
        ))
    })
}
