//! Several trained runs whose predictions are averaged.

use super::Settings;
use super::teachers::as_prepared;
use crate::error::{Error, Result};
use crate::nn::{Ensemble, Network};
use crate::run::RunParts;
use crate::tasks::Models;
use std::path::{Path, PathBuf};

/// A trained run that is evaluated together with others.
pub struct Member {
    /// Its folder, for messages.
    pub name: String,
    /// Its settings.
    pub settings: Settings,
    /// The file with its weights.
    pub weights: PathBuf,
}

impl Member {
    /// The run in the folder `path`, with the weights of its best epoch, or the last one.
    ///
    /// # Errors
    /// If it is none.
    pub fn open(path: &Path, last: bool) -> Result<Member> {
        let (folder, settings) = Settings::open_run(path)?;
        Ok(Member {
            name: path.display().to_string(),
            settings,
            weights: folder.weights_path(last),
        })
    }
}

impl Settings {
    /// The parts of this trained run, with the weights from `path`, and of `others`, whose predictions are averaged.
    ///
    /// # Errors
    /// If they have different tasks, classes or data, their task has no predictions to average, or as
    /// [`resolve_trained`](Settings::resolve_trained).
    pub fn resolve_ensemble(&self, path: &Path, others: &[Member]) -> Result<RunParts> {
        let mut parts = self.resolve_trained(path)?;
        if others.is_empty() {
            return Ok(parts);
        }
        let wrong = |what: String| Err(Error::Config(what));
        let task = parts.task.registered().name;
        let Some(averaging) = parts.task.averaging() else {
            return wrong(format!(
                "the predictions of several runs of the task {task} can't be averaged; name one run"
            ));
        };
        let mut networks = vec![network_of(self)?];
        let mut values = vec![parts.values.take().unwrap_or_default()];
        for member in others {
            let (name, settings) = (&member.name, &member.settings);
            let theirs = settings.resolve_trained(&member.weights)?;
            let their_task = theirs.task.registered().name;
            // Ways to train a classifier differ, but not what it predicts.
            if theirs.task.averaging() != Some(averaging)
                || theirs.task.judged_as() != parts.task.judged_as()
            {
                return wrong(format!(
                    "{name} is a run of the task {their_task}, and the first one of {task}; name runs of one task"
                ));
            }
            if settings.fitted.classes != self.fitted.classes {
                return wrong(format!(
                    "{name} knows other classes than the first run ({} and {}); name runs on the same classes",
                    settings.fitted.classes.len(),
                    self.fitted.classes.len()
                ));
            }
            if as_prepared(&settings.fitted) != as_prepared(&self.fitted) {
                return wrong(format!(
                    "{name} was trained on data that were prepared in another way than those of the first run: mean and deviation, columns \
                     or vocabulary differ; name runs on the same data with the same data.seed"
                ));
            }
            networks.push(network_of(settings)?);
            values.push(theirs.values.unwrap_or_default());
        }
        let ensemble = Ensemble::new(networks, averaging)?;
        parts.values = Some(ensemble.values(&values));
        parts.models = Models::one(ensemble);
        Ok(parts)
    }
}

/// The only network of a run.
fn network_of(settings: &Settings) -> Result<Network> {
    match &settings.lora {
        Some(lora) => Network::adapted(settings.model.clone(), lora.clone()),
        None => Network::new(settings.model.clone()),
    }
}
