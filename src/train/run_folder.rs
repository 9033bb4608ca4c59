//! The folder that a run leaves: `run.toml`, `model.safetensors`, `checkpoints/`, `metrics.jsonl`.

use super::weights::{Checkpoint, write_whole};
use crate::error::{Error, Result};
use crate::settings::{self, Settings};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    /// Its path.
    pub path: PathBuf,
}

impl RunFolder {
    /// Creates the folder that `settings` ask for, or the next free one under `runs`, and writes the settings into it.
    ///
    /// # Errors
    /// If it exists and holds a run already, or can't be written.
    pub fn create(settings: &Settings) -> Result<RunFolder> {
        let path = match &settings.out {
            Some(path) => {
                if path.join("run.toml").exists() {
                    let shown = path.display();
                    return Err(Error::Config(format!(
                        "{shown} holds a run already; name another folder, or go on with it by --resume {shown}"
                    )));
                }
                fs::create_dir_all(path).map_err(Error::io("create", path))?;
                path.clone()
            }
            None => next_free(settings)?,
        };
        let folder = RunFolder { path };
        folder.write_settings(settings)?;
        Ok(folder)
    }

    /// Writes `run.toml`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_settings(&self, settings: &Settings) -> Result<()> {
        let text =
            toml::to_string(settings).map_err(|e| Error::Config(format!("settings: {e}")))?;
        write_whole(&self.settings_path(), text.as_bytes())
    }

    /// The folder of an earlier run, and its settings.
    ///
    /// # Errors
    /// If it is not one.
    pub fn open(path: &Path) -> Result<(RunFolder, Settings)> {
        let folder = RunFolder {
            path: path.to_path_buf(),
        };
        let file = folder.settings_path();
        if !file.is_file() {
            return Err(Error::Config(format!(
                "{} is not the folder of a run: it has no run.toml",
                path.display()
            )));
        }
        let text = fs::read_to_string(&file).map_err(Error::io("read", &file))?;
        let settings = settings::parse(&text, &file.display().to_string())?;
        Ok((folder, settings))
    }

    /// `run.toml`
    pub fn settings_path(&self) -> PathBuf {
        self.path.join("run.toml")
    }

    /// `model.safetensors`
    pub fn model_path(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// `metrics.jsonl`
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Adds a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn add_metrics(&self, line: &serde_json::Value) -> Result<()> {
        let path = self.metrics_path();
        let append = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)?;
            writeln!(file, "{line}")
        };
        append().map_err(Error::io("write", &path))
    }

    /// Writes a checkpoint and removes those before it.
    ///
    /// # Errors
    /// If it can't be written; then the one before it is still there.
    pub fn add_checkpoint(&self, checkpoint: &Checkpoint) -> Result<()> {
        let folder = self.path.join("checkpoints");
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let before = self.checkpoints();
        let path = folder.join(format!("step-{:09}.safetensors", checkpoint.step));
        checkpoint.save(&path)?;
        for old in before.into_iter().filter(|old| *old != path) {
            fs::remove_file(&old).map_err(Error::io("remove", &old))?;
        }
        Ok(())
    }

    /// The latest checkpoint.
    ///
    /// # Errors
    /// If there is none, or it can't be read.
    pub fn latest_checkpoint(&self) -> Result<Checkpoint> {
        let latest = self.checkpoints().pop();
        let path = latest.ok_or_else(|| {
            Error::Config(format!(
                "{} has no checkpoint to go on from",
                self.path.display()
            ))
        })?;
        Checkpoint::load(&path)
    }

    /// Checkpoints, oldest first: their names sort by step.
    fn checkpoints(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path.join("checkpoints"))
            .into_iter()
            .flatten()
            .flatten();
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            .collect();
        paths.sort();
        paths
    }
}

/// Creates `runs/MODEL-DATA-N` with the first free N.
fn next_free(settings: &Settings) -> Result<PathBuf> {
    let data = Path::new(&settings.data.source)
        .file_name()
        .map_or("data".into(), |n| n.to_string_lossy());
    let runs = Path::new("runs");
    fs::create_dir_all(runs).map_err(Error::io("create", runs))?;
    for n in 1..100_000 {
        let path = runs.join(format!("{}-{data}-{n}", settings.model.name));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io("create", &path)(e)),
        }
    }
    Err(Error::Config(
        "runs is full; name a folder with --out".to_string(),
    ))
}
