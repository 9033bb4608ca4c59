//! The run that a command is given: a folder, or a file with a network, which becomes a run in a temporary folder.

use super::{WeightsArg, WithArg};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wgrad::data::FittedTemperature;
use wgrad::nn::weights;
use wgrad::run::{GroupFolder, GroupKind, RunFolder};
use wgrad::settings::{Settings, is_network_file};

/// A run.
pub(super) struct OpenedRun {
    /// Its folder.
    pub folder: RunFolder,
    /// Its settings, as its network computes: without a temperature.
    pub settings: Settings,
    /// The temperature of its probabilities, if one was fitted.
    temperature: Option<FittedTemperature>,
    /// The folders of the other members, if it is the first one of an ensemble.
    pub others: Vec<PathBuf>,
    /// Holds the folder, if it is of a network in a file.
    temporary: Option<TempDir>,
}

impl OpenedRun {
    /// Opens the run that `path` names.
    ///
    /// # Errors
    /// If it is none, or the network can't be read.
    pub fn open(path: &Path) -> wgrad::Result<OpenedRun> {
        if !is_network_file(path) {
            let members = GroupFolder::open(GroupKind::Ensemble, path);
            let members = members.map(|group| group.run_paths()).unwrap_or_default();
            let (first, others) = match members.split_first() {
                Some((first, others)) => (first.as_path(), others.to_vec()),
                None => (path, Vec::new()),
            };
            let (folder, mut settings) = Settings::open_run(first)?;
            settings.take_thresholds(&folder)?;
            return Ok(OpenedRun {
                temperature: folder.read_temperature()?,
                folder,
                settings,
                others,
                temporary: None,
            });
        }
        let mut settings = Settings::of_network_file(path)?;
        let failed = wgrad::Error::io("create a temporary folder for", path);
        let temporary = tempfile::tempdir().map_err(failed)?;
        settings.out = Some(temporary.path().join("run"));
        let folder = settings.create_folder()?;
        let (folder, settings) = {
            let path = folder.path.clone();
            drop(folder);
            Settings::open_run(&path)?
        };
        let mut own = settings.clone();
        let models = own.resolve_without_data()?.models;
        let values = models.initial_state(settings.seed);
        weights::save(&folder.model_path(), models.spec(), &values, 0)?;
        Ok(OpenedRun {
            folder,
            settings,
            temperature: None,
            others: Vec::new(),
            temporary: Some(temporary),
        })
    }

    /// Its settings for predictions with `weights` that are averaged with those of the runs `with`: with its temperature, if that was
    /// fitted to these.
    pub fn settings_for(&self, weights: &WeightsArg, with: &WithArg) -> Settings {
        let mut settings = self.settings.clone();
        if self.is_alone(weights, with) {
            settings.fitted.temperature.clone_from(&self.temperature);
        }
        settings
    }

    /// Whether its own best weights predict, neither adapted nor averaged with those of others.
    pub fn is_alone(&self, weights: &WeightsArg, with: &WithArg) -> bool {
        weights.are_best(&self.folder) && with.with.is_empty() && self.others.is_empty()
    }

    /// Whether it is a network in a file.
    pub fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }
}
