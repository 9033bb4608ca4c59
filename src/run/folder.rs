//! The folder of a run: `run.toml`, `model.safetensors`, `best.safetensors`, `checkpoints/`, `metrics.jsonl`,
//! `report.html`, `variants.toml`, `settings.lock.toml`, and `tokenizer.json` if it was trained on text.

use super::checkpoint::Checkpoint;
use super::folds::{FOLDS, FoldsFolder};
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::tasks::EpochFile;
use crate::tune::Tuning;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    /// Its path.
    pub path: PathBuf,
    /// Whether the folder itself is new, not only its content.
    created: bool,
}

/// Initial content of a folder: the text of its settings and of its tokenizer.
#[derive(Clone, Debug, Default)]
pub struct RunTexts {
    /// Of `run.toml`.
    pub settings: String,
    /// Of `tokenizer.json`, if the run was trained on text.
    pub tokenizer: Option<String>,
}

const SETTINGS: &str = "run.toml";
pub(super) const ACCEPTED: &str = "settings.lock.toml";
const MODEL: &str = "model.safetensors";
const BEST: &str = "best.safetensors";
const METRICS: &str = "metrics.jsonl";
const REPORT: &str = "report.html";
const VARIANTS: &str = "variants.toml";
const TOKENIZER: &str = "tokenizer.json";
const CHECKPOINTS: &str = "checkpoints";

impl RunFolder {
    /// Checks that `path` can become the folder of a new run.
    ///
    /// # Errors
    /// If it already holds a run, or is not a folder.
    pub fn check_free(path: &Path) -> Result<()> {
        let shown = path.display();
        if path.exists() && !path.is_dir() {
            return Err(Error::Config(format!(
                "{shown} is a file; name a folder for the run"
            )));
        }
        let exists = |part: &&str| path.join(part).exists();
        // A run that ended before its first checkpoint leaves its settings and kernel variants; settings alone are the user's.
        let settings_alone = exists(&SETTINGS) && !exists(&VARIANTS) && !exists(&ACCEPTED);
        if settings_alone || [MODEL, METRICS, CHECKPOINTS, FOLDS].iter().any(exists) {
            return Err(Error::Config(format!(
                "{shown} already holds a run; name another folder, or resume it with --resume {shown}"
            )));
        }
        Ok(())
    }

    /// Creates the folder `out`, or the next free one under `runs` with the prefix `name`, and writes the settings into it.
    ///
    /// # Errors
    /// If it already holds a run, or can't be written; then nothing is left behind.
    pub fn create(out: Option<&Path>, name: &str, texts: &RunTexts) -> Result<RunFolder> {
        let folder = match out {
            Some(path) => {
                Self::check_free(path)?;
                let created = !path.exists();
                fs::create_dir_all(path).map_err(Error::io("create", path))?;
                RunFolder {
                    path: path.to_path_buf(),
                    created,
                }
            }
            None => RunFolder {
                path: next_free(name)?,
                created: true,
            },
        };
        let written = folder.write_settings(texts);
        if written.is_err() {
            folder.discard();
        }
        written.map(|()| folder)
    }

    /// Removes the files of a failed run, unless there is a checkpoint to resume from.
    pub fn discard(&self) {
        if self.has_checkpoint() {
            return;
        }
        // Files that can't be removed stay; the failure itself is what gets reported.
        for file in [
            SETTINGS, ACCEPTED, METRICS, REPORT, VARIANTS, TOKENIZER, BEST,
        ] {
            let _ = fs::remove_file(self.path.join(file));
        }
        let _ = fs::remove_dir(self.path.join(CHECKPOINTS));
        if self.created {
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// Writes `run.toml`, its copy `settings.lock.toml` and, if there is a tokenizer, `tokenizer.json`.
    ///
    /// # Errors
    /// If one can't be written.
    pub fn write_settings(&self, texts: &RunTexts) -> Result<()> {
        if let Some(tokenizer) = &texts.tokenizer {
            write_whole(&self.path.join(TOKENIZER), tokenizer.as_bytes())?;
        }
        write_whole(&self.settings_path(), texts.settings.as_bytes())?;
        write_whole(&self.path.join(ACCEPTED), texts.settings.as_bytes())
    }

    /// The folder of an earlier run.
    ///
    /// # Errors
    /// If it is not one.
    pub fn open(path: &Path) -> Result<RunFolder> {
        let folder = RunFolder {
            path: path.to_path_buf(),
            created: false,
        };
        match folder.settings_path().is_file() {
            true => Ok(folder),
            false => Err(Error::Config(format!(
                "{} is not a run folder (it has no run.toml); name one that `wgrad train` created",
                path.display()
            ))),
        }
    }

    /// `tokenizer.json`, if the run was trained on text.
    pub fn tokenizer_path(&self) -> Option<PathBuf> {
        Some(self.path.join(TOKENIZER)).filter(|path| path.is_file())
    }

    /// Records the kernel variants of the run. Other variants sum in other orders, so a resumed run uses the recorded ones,
    /// whatever was tuned in between.
    ///
    /// # Errors
    /// If they can't be written.
    pub fn record_variants(&self, tuning: &Tuning) -> Result<()> {
        tuning.write(&self.path.join(VARIANTS))
    }

    /// The recorded kernel variants; `None` if the run never used an adapter.
    ///
    /// # Errors
    /// If the record can't be read.
    pub fn recorded_variants(&self) -> Result<Option<Tuning>> {
        let path = self.path.join(VARIANTS);
        path.exists().then(|| Tuning::read(&path)).transpose()
    }

    /// `run.toml`
    pub fn settings_path(&self) -> PathBuf {
        self.path.join(SETTINGS)
    }

    /// `settings.lock.toml`: the settings with which the run was started or last resumed; `None` if it is missing.
    pub fn accepted_settings_path(&self) -> Option<PathBuf> {
        Some(self.path.join(ACCEPTED)).filter(|path| path.is_file())
    }

    /// `model.safetensors`
    pub fn model_path(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// `best.safetensors`: the weights of the best epoch.
    pub fn best_path(&self) -> PathBuf {
        self.path.join(BEST)
    }

    /// `metrics.jsonl`
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// Writes a file for an epoch: `FOLDER/epoch-N.EXTENSION`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn add_epoch_file(&self, file: &EpochFile, epoch: u32) -> Result<()> {
        let folder = self.path.join(file.folder);
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let name = format!("epoch-{epoch}.{}", file.extension);
        write_whole(&folder.join(name), &file.bytes)
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

    /// The lines of `metrics.jsonl`.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read_metrics(&self) -> Result<Vec<serde_json::Value>> {
        let path = self.metrics_path();
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// The best epoch and whether it is the last, if `best.safetensors` holds its weights.
    pub fn best_epoch(&self) -> Option<(u64, bool)> {
        if !self.best_path().is_file() {
            return None;
        }
        let lines = self.read_metrics().ok()?;
        let best = lines.iter().rev().find(|line| line["is_best"] == true)?;
        let is_last = lines.last()? == best;
        Some((best["epoch"].as_u64()?, is_last))
    }

    /// Writes `report.html`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_report(&self, page: &str) -> Result<()> {
        write_whole(&self.path.join(REPORT), page.as_bytes())
    }

    /// The text of `run.toml`.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read_settings(&self) -> Result<String> {
        let path = self.settings_path();
        fs::read_to_string(&path).map_err(Error::io("read", &path))
    }

    /// Removes the lines of `metrics.jsonl` for epochs after `epoch`: a run that was interrupted between the line and the
    /// checkpoint repeats the epoch.
    ///
    /// # Errors
    /// If the file can't be read or written.
    pub fn forget_after(&self, epoch: u32) -> Result<()> {
        let path = self.metrics_path();
        if !path.is_file() {
            return Ok(());
        }
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let done = |line: &&str| {
            let line: Option<serde_json::Value> = serde_json::from_str(line).ok();
            line.and_then(|line| line["epoch"].as_u64())
                .is_some_and(|e| e <= u64::from(epoch))
        };
        let kept: String = text
            .lines()
            .filter(done)
            .flat_map(|line| [line, "\n"])
            .collect();
        if kept == text {
            return Ok(());
        }
        write_whole(&path, kept.as_bytes())
    }

    /// Writes a checkpoint and removes earlier ones.
    ///
    /// # Errors
    /// If it can't be written; then the previous one is still there.
    pub fn add_checkpoint(&self, checkpoint: &Checkpoint) -> Result<()> {
        let folder = self.path.join(CHECKPOINTS);
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let before = self.checkpoints();
        let path = folder.join(format!("step-{:09}.safetensors", checkpoint.progress.step));
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
                "{} has no checkpoint to resume from; train again",
                self.path.display()
            ))
        })?;
        Checkpoint::load(&path)
    }

    /// Whether there is a checkpoint to resume from.
    pub fn has_checkpoint(&self) -> bool {
        !self.checkpoints().is_empty()
    }

    /// The folder to resume: this one or, for one of several folds, the common one.
    pub fn resumed_path(&self) -> &Path {
        let parent = self.path.parent();
        let folds = parent.filter(|parent| FoldsFolder::open(parent).is_some());
        folds.unwrap_or(&self.path)
    }

    /// Checkpoints, oldest first: their names sort by step.
    fn checkpoints(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path.join(CHECKPOINTS))
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

/// Creates `runs/NAME-N` with the first free N.
pub(super) fn next_free(name: &str) -> Result<PathBuf> {
    // A model name can be any text.
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let name = name.trim_start_matches('.');
    let runs = Path::new("runs");
    fs::create_dir_all(runs).map_err(Error::io("create", runs))?;
    for n in 1..100_000 {
        let path = runs.join(format!("{name}-{n}"));
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
