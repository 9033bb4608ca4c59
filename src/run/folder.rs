//! The folder of a run: `run.toml`, `model.safetensors`, `best.safetensors`, `checkpoints/`, `metrics.jsonl`,
//! `norms.jsonl`, `provenance.jsonl`, `report.html`, `anchor.safetensors` and `tasks.json` of continual learning, `thresholds.toml` and
//! `fairness.json` about groups of samples, `temperature.toml`, `variants.toml`, `settings.lock.toml`, `data-files.json`, `tokenizer.json` if it was trained
//! on text, and
//! `events.out.tfevents...` for TensorBoard. `files.json` lists what the run wrote; it overwrites and removes nothing else.

mod ledger;

use super::checkpoint::Checkpoint;
use super::group::GroupFolder;
use super::lock::{self, FolderLock, LOCK};
use super::manifest::{MANIFEST, Manifest, claim, not_of_a_run};
use super::variables_file;
use crate::data::{FittedTemperature, GroupThresholds, Listing};
use crate::error::{Error, Result};
use crate::files::{read_text, remove_temporary, write_whole};
use crate::provenance::{
    CheckpointRecord, EvaluationRecord, LEDGER_FILE, Ledger, LedgerRecord, WeightsRecord,
    digest_of, digest_of_file, figures_of_line,
};
use crate::tasks::EpochFile;
use crate::train::AnchorTerm;
use crate::tune::Tuning;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    /// Its path.
    pub path: PathBuf,
    /// How the run in it began, which decides what is left of it if it fails.
    origin: Origin,
    /// Held while a run writes in the folder.
    _lock: Option<Arc<FolderLock>>,
    /// The ledger to which the run that writes in the folder adds what it does.
    ledger: Option<Ledger>,
    /// Bytes of an incomplete last line that were cut off it.
    cut: u64,
}

/// How the run in a folder began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Earlier, in another process.
    Earlier,
    /// Now, in a folder that was there before.
    InExisting,
    /// Now, in a new folder.
    InNew,
}

/// Initial content of a folder: the text of its settings, of its tokenizer, and of the list of its data's files.
#[derive(Clone, Debug, Default)]
pub struct RunTexts {
    /// Of `run.toml`.
    pub settings: String,
    /// Of `tokenizer.json`, if the run was trained on text.
    pub tokenizer: Option<String>,
    /// Of `data-files.json`, if the run begins.
    pub files: Option<String>,
    /// Files that are copied into the folder, with their names there.
    pub copies: Vec<(PathBuf, String)>,
}

const SETTINGS: &str = "run.toml";
pub(super) const ACCEPTED: &str = "settings.lock.toml";
const MODEL: &str = "model.safetensors";
const BEST: &str = "best.safetensors";
const LORA: &str = "lora.safetensors";
const METRICS: &str = "metrics.jsonl";
const NORMS: &str = "norms.jsonl";
const REPORT: &str = "report.html";
const VARIANTS: &str = "variants.toml";
const TOKENIZER: &str = "tokenizer.json";
const DATA_FILES: &str = "data-files.json";
const ANCHOR: &str = "anchor.safetensors";
const TASKS: &str = "tasks.json";
const THRESHOLDS: &str = "thresholds.toml";
const TEMPERATURE: &str = "temperature.toml";
const FAIRNESS: &str = "fairness.json";
const CHECKPOINTS: &str = "checkpoints";
const EVENTS: &str = "events.out.tfevents.";

/// Files of a run in the folder itself.
const FILES: [&str; 17] = [
    SETTINGS,
    ACCEPTED,
    MODEL,
    BEST,
    LORA,
    METRICS,
    NORMS,
    REPORT,
    VARIANTS,
    TOKENIZER,
    DATA_FILES,
    ANCHOR,
    TASKS,
    THRESHOLDS,
    FAIRNESS,
    TEMPERATURE,
    LEDGER_FILE,
];

impl RunFolder {
    /// Checks that `path` can become the folder of a new run. A run that ended before its first checkpoint leaves it free.
    ///
    /// # Errors
    /// If it already holds a run or files of the user under the names of a run's, or is not a folder.
    pub fn check_free(path: &Path) -> Result<()> {
        let shown = path.display();
        if path.exists() && !path.is_dir() {
            return Err(Error::Config(format!(
                "{shown} is a file; name a folder for the run"
            )));
        }
        let manifest = Manifest::read(path)?;
        let exists = |file: &&&str| path.join(file).exists();
        // Runs of earlier versions have no list of files, but keep their accepted settings or kernel variants.
        let earlier = [ACCEPTED, VARIANTS].iter().any(|file| exists(&file));
        let unlisted = manifest.is_none() && earlier && exists(&&SETTINGS);
        let resumable = !checkpoints(path, manifest.as_ref()).is_empty() || epochs_in(path) > 1;
        if unlisted || GroupFolder::is_named_at(path) || resumable {
            return Err(Error::Config(format!(
                "{shown} already holds a run; name another folder, or resume it with --resume {shown}"
            )));
        }
        let listed = manifest.unwrap_or_default();
        let foreign = FILES
            .iter()
            .filter(exists)
            .find(|file| !listed.contains(file));
        match foreign {
            Some(file) => Err(not_of_a_run(&path.join(file))),
            None => Ok(()),
        }
    }

    /// Creates the folder `out`, or the next free one under `runs` with the prefix `name`, and writes the settings into it. What
    /// a run left there that ended before its first checkpoint is removed.
    ///
    /// # Errors
    /// If it already holds a run, another run is writing in it, or it can't be written; then nothing is left behind.
    pub fn create(out: Option<&Path>, name: &str, texts: &RunTexts) -> Result<RunFolder> {
        let (path, origin) = match out {
            Some(path) => {
                Self::check_free(path)?;
                let origin = match path.exists() {
                    true => Origin::InExisting,
                    false => Origin::InNew,
                };
                fs::create_dir_all(path).map_err(Error::io("create", path))?;
                (path.to_path_buf(), origin)
            }
            None => (next_free(name)?, Origin::InNew),
        };
        let lock = FolderLock::take(&path)?;
        let folder = RunFolder {
            path,
            origin,
            _lock: Some(Arc::new(lock)),
            ledger: None,
            cut: 0,
        };
        // Another run may have begun and ended between the first check and the lock.
        Self::check_free(&folder.path)?;
        let written = folder
            .remove_files()
            .and_then(|()| folder.write_settings(texts));
        if written.is_err() {
            folder.discard();
        }
        written.map(|()| folder)
    }

    /// Removes the files of a failed run that began in this process, unless there is a checkpoint to resume from.
    pub fn discard(&self) {
        if self.origin == Origin::Earlier || !self.checkpoints().is_empty() {
            return;
        }
        // Files that can't be removed stay; the failure itself is what gets reported.
        let _ = self.remove_files();
        let _ = fs::remove_file(self.path.join(LOCK));
        if self.origin == Origin::InNew {
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// The error about a device that failed, with the command that resumes the run if there is a checkpoint.
    pub fn advise(&self, error: Error) -> Error {
        if self.checkpoints().is_empty() {
            return error;
        }
        let command = self.resume_command();
        let advised =
            |text: String| format!("{text}; the last checkpoint is intact: resume with {command}");
        match error {
            Error::Device(text) => Error::Device(advised(text)),
            Error::Memory(text) => Error::Memory(advised(text)),
            other => other,
        }
    }

    /// Removes all files that are listed, the list, folders that are empty then, and temporary files of a run that was killed.
    fn remove_files(&self) -> Result<()> {
        let listed = Manifest::read(&self.path)?.unwrap_or_default();
        self.remove_temporary(&listed);
        for file in listed.files() {
            let path = self.path.join(file);
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(e));
                }
                _ => {}
            }
            if let Some(folder) = path.parent().filter(|folder| *folder != self.path) {
                // It stays if it holds something else.
                let _ = fs::remove_dir(folder);
            }
        }
        let path = self.path.join(MANIFEST);
        match path.exists() {
            true => fs::remove_file(&path).map_err(Error::io("remove", &path)),
            false => Ok(()),
        }
    }

    /// Removes temporary files that a killed run left beside its files.
    fn remove_temporary(&self, listed: &Manifest) {
        remove_temporary(&self.path);
        let folders = listed.files().filter_map(|file| file.rsplit_once('/'));
        let folders: BTreeSet<&str> = folders.map(|(folder, _)| folder).collect();
        for folder in folders {
            remove_temporary(&self.path.join(folder));
        }
    }

    /// Writes `run.toml`, its copy `settings.lock.toml` and, if there are any, `tokenizer.json`, `data-files.json` and copies of
    /// other files.
    ///
    /// # Errors
    /// If one can't be written.
    pub fn write_settings(&self, texts: &RunTexts) -> Result<()> {
        if let Some(tokenizer) = &texts.tokenizer {
            write_whole(&self.claim(TOKENIZER)?, tokenizer.as_bytes())?;
        }
        if let Some(files) = &texts.files {
            write_whole(&self.claim(DATA_FILES)?, files.as_bytes())?;
        }
        for (source, name) in &texts.copies {
            let target = self.path.join(name);
            let same = |a: &Path, b: &Path| {
                a.canonicalize()
                    .ok()
                    .zip(b.canonicalize().ok())
                    .is_some_and(|(a, b)| a == b)
            };
            if !same(source, &target) {
                let bytes = fs::read(source).map_err(Error::io("read", source))?;
                write_whole(&self.claim(name)?, &bytes)?;
            }
        }
        write_whole(&self.claim(SETTINGS)?, texts.settings.as_bytes())?;
        write_whole(&self.claim(ACCEPTED)?, texts.settings.as_bytes())
    }

    /// The path of a file of the folder that is about to be written, after it was listed.
    fn claim(&self, file: &str) -> Result<PathBuf> {
        claim(&self.path, file)
    }

    /// The folder of an earlier run.
    ///
    /// # Errors
    /// If it is not one.
    pub fn open(path: &Path) -> Result<RunFolder> {
        let folder = RunFolder {
            path: path.to_path_buf(),
            origin: Origin::Earlier,
            _lock: None,
            ledger: None,
            cut: 0,
        };
        match (folder.settings_path().is_file(), GroupFolder::find(path)) {
            (true, _) => Ok(folder),
            (false, Some(group)) => Err(Error::Config(format!(
                "{} holds several runs; name one of them, or resume all with: {}",
                path.display(),
                group.resume_command()
            ))),
            (false, None) => Err(Error::Config(format!(
                "{} is not a run folder (it has no run.toml); name one that `wgrad train` created",
                path.display()
            ))),
        }
    }

    /// Locks the folder to resume its run, and removes temporary files of a run that was killed.
    ///
    /// # Errors
    /// If another run is writing in it, or it can't be written.
    pub fn lock(mut self) -> Result<RunFolder> {
        self._lock = Some(Arc::new(FolderLock::take(&self.path)?));
        let listed = match Manifest::read(&self.path)? {
            Some(listed) => listed,
            None => self.adopt()?,
        };
        self.remove_temporary(&listed);
        Ok(self)
    }

    /// Lists the files of a run of an earlier version, which has no list.
    fn adopt(&self) -> Result<Manifest> {
        let mut listed = Manifest::default();
        let own = FILES.iter().filter(|file| self.path.join(file).is_file());
        own.for_each(|file| listed.add(file));
        for path in checkpoints(&self.path, None) {
            if let Some(name) = path.file_name() {
                listed.add(&format!("{CHECKPOINTS}/{}", name.to_string_lossy()));
            }
        }
        listed.write(&self.path)?;
        Ok(listed)
    }

    /// Whether a run is writing in the folder.
    pub fn is_locked(&self) -> bool {
        lock::is_held(&self.path)
    }

    /// The files of the data with which the run began; `None` if an earlier version did not record them.
    pub fn recorded_files(&self) -> Option<Listing> {
        let text = read_text(&self.path.join(DATA_FILES)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// `data-files.json`; `None` if it is missing.
    pub(crate) fn data_files_path(&self) -> Option<PathBuf> {
        Some(self.path.join(DATA_FILES)).filter(|path| path.is_file())
    }

    /// The files of the run that say what is trained, by their names: settings, tokenizer, networks, weights at which it is held.
    ///
    /// # Errors
    /// If the list of the files of the run can't be read.
    pub(crate) fn settings_files(&self) -> Result<Vec<(String, PathBuf)>> {
        let listed = Manifest::read(&self.path)?.unwrap_or_default();
        let is_network = |file: &str| file.starts_with("network") && !file.contains('/');
        let own = [SETTINGS, ACCEPTED, TOKENIZER, ANCHOR];
        let files = listed
            .files()
            .filter(|file| own.contains(file) || is_network(file));
        let files = files.map(|file| (file.to_string(), self.path.join(file)));
        Ok(files.filter(|(_, path)| path.is_file()).collect())
    }

    /// Whether the last run in the folder ended by itself, after its end, a stop or an error, and was not killed.
    pub fn was_released(&self) -> bool {
        lock::was_released(&self.path)
    }

    /// Number of steps at the latest checkpoint, by the name of its file.
    pub fn saved_steps(&self) -> Option<u64> {
        let latest = checkpoints(&self.path, None).pop()?;
        let name = latest.file_stem()?.to_str()?;
        name.strip_prefix("step-")?.parse().ok()
    }

    /// The folder of the checkpoints.
    pub fn checkpoints_path(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// `tokenizer.json`, if the run was trained on text.
    pub fn tokenizer_path(&self) -> Option<PathBuf> {
        Some(self.path.join(TOKENIZER)).filter(|path| path.is_file())
    }

    /// Records the kernel variants of the run. Other variants sum in other orders, so a resumed run uses the recorded ones,
    /// whatever was tuned in between. Returns the path of the file.
    ///
    /// # Errors
    /// If they can't be written.
    pub fn record_variants(&self, tuning: &Tuning) -> Result<PathBuf> {
        let path = self.claim(VARIANTS)?;
        tuning.write(&path)?;
        Ok(path)
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

    /// The weights of the best epoch or, if none is known or with `last`, those of the last one.
    pub fn weights_path(&self, last: bool) -> PathBuf {
        match self.best_epoch().filter(|_| !last) {
            Some(_) => self.best_path(),
            None => self.model_path(),
        }
    }

    /// Writes the bytes of weights after `step` steps to `model.safetensors`, and to `best.safetensors` if they are the best ones.
    ///
    /// # Errors
    /// If a file that the run did not write has that name, or one can't be written.
    pub(crate) fn write_weights(&self, bytes: &[u8], step: u64, is_best: bool) -> Result<()> {
        for file in [Some(MODEL), is_best.then_some(BEST)].into_iter().flatten() {
            let path = self.claim(file)?;
            self.record(|| {
                Ok(LedgerRecord::Weights(WeightsRecord {
                    file: file.to_string(),
                    sha256: digest_of(bytes),
                    step,
                }))
            })?;
            write_whole(&path, bytes)?;
        }
        Ok(())
    }

    /// Whether `model.safetensors` holds these bytes.
    pub(super) fn has_weights(&self, bytes: &[u8]) -> bool {
        fs::read(self.model_path()).is_ok_and(|written| written == bytes)
    }

    /// `lora.safetensors`: what was trained with low-rank adapters, in the best epoch; to be written.
    ///
    /// # Errors
    /// If a file that the run did not write has that name.
    pub(super) fn claim_lora(&self) -> Result<PathBuf> {
        self.claim(LORA)
    }

    /// Adds to the ledger what was written to `lora.safetensors` after `step` steps.
    ///
    /// # Errors
    /// If it can't be read, or the ledger can't be written.
    pub(super) fn record_lora(&self, step: u64) -> Result<()> {
        self.record(|| {
            Ok(LedgerRecord::Weights(WeightsRecord {
                file: LORA.to_string(),
                sha256: digest_of_file(&self.path.join(LORA))?,
                step,
            }))
        })
    }

    /// A new event file for TensorBoard, `events.out.tfevents.SECONDS.wgrad.N`, to be written: the Nth of the run. TensorBoard reads
    /// the files of a folder in the order of their names, so SECONDS, the time `now` since 1970, is later than in all files before.
    ///
    /// # Errors
    /// If a file that the run did not write has that name.
    pub(super) fn claim_events(&self, now: u64) -> Result<PathBuf> {
        let listed = Manifest::read(&self.path)?.unwrap_or_default();
        let times = listed.files().filter_map(|file| file.strip_prefix(EVENTS));
        let times = times.filter_map(|rest| rest.split('.').next()?.parse::<u64>().ok());
        let (count, latest) = times.fold((0, 0), |(n, latest), time| (n + 1, time.max(latest)));
        let (seconds, number) = (now.max(latest.saturating_add(1)), count + 1);
        self.claim(&format!("{EVENTS}{seconds:010}.wgrad.{number}"))
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
        self.create_folder(file.folder)?;
        let name = format!("{}/epoch-{epoch}.{}", file.folder, file.extension);
        write_whole(&self.claim(&name)?, &file.bytes)
    }

    /// Creates a folder in this one, which must still be there.
    fn create_folder(&self, name: &str) -> Result<()> {
        let folder = self.path.join(name);
        match fs::create_dir(&folder) {
            Err(e) if !folder.is_dir() => Err(Error::io("create", &folder)(e)),
            _ => Ok(()),
        }
    }

    /// Adds a line to `metrics.jsonl`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn add_metrics(&self, line: &serde_json::Value) -> Result<()> {
        self.record(|| {
            Ok(LedgerRecord::Evaluation(EvaluationRecord {
                epoch: line["epoch"].as_u64(),
                weights: None,
                data: None,
                figures: line.as_object().map(figures_of_line).unwrap_or_default(),
            }))
        })?;
        self.add_line(METRICS, line)
    }

    /// Adds a line to `norms.jsonl`.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) fn add_norms(&self, line: &serde_json::Value) -> Result<()> {
        self.add_line(NORMS, line)
    }

    fn add_line(&self, file: &str, line: &serde_json::Value) -> Result<()> {
        let path = self.claim(file)?;
        let append = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)?;
            writeln!(file, "{line}")?;
            file.sync_all()
        };
        append().map_err(Error::io("write", &path))
    }

    /// The lines of `metrics.jsonl`.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read_metrics(&self) -> Result<Vec<serde_json::Value>> {
        let path = self.metrics_path();
        let text = read_text(&path).map_err(Error::io("read", &path))?;
        Ok(json_lines(&text))
    }

    /// The lines of `norms.jsonl`; none if it is missing, as in runs of earlier versions.
    pub(super) fn read_norms<T: serde::de::DeserializeOwned>(&self) -> Vec<T> {
        let text = read_text(&self.path.join(NORMS)).unwrap_or_default();
        json_lines(&text)
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
        write_whole(&self.claim(REPORT)?, page.as_bytes())
    }

    /// The values at which the run holds its weights, in `anchor.safetensors`; `None` if it holds none.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn read_anchor(&self) -> Result<Option<Vec<AnchorTerm>>> {
        let path = self.path.join(ANCHOR);
        let read = self
            .has_anchor()
            .then(|| variables_file::read_anchor(&path));
        read.transpose()
    }

    /// Whether there is an `anchor.safetensors`.
    pub fn has_anchor(&self) -> bool {
        self.path.join(ANCHOR).is_file()
    }

    /// Writes `anchor.safetensors`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_anchor(&self, terms: &[AnchorTerm]) -> Result<()> {
        variables_file::write_anchor(&self.claim(ANCHOR)?, terms)
    }

    /// The text of `tasks.json`: the results on the data of this run and of those that it goes on from; `None` before its end.
    pub fn read_tasks(&self) -> Option<String> {
        read_text(&self.path.join(TASKS)).ok()
    }

    /// Writes `tasks.json`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_tasks(&self, text: &str) -> Result<()> {
        write_whole(&self.claim(TASKS)?, text.as_bytes())
    }

    /// The thresholds of groups in `thresholds.toml`, if they were fitted.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn read_thresholds(&self) -> Result<Option<GroupThresholds>> {
        let path = self.path.join(THRESHOLDS);
        path.is_file()
            .then(|| GroupThresholds::read(&path))
            .transpose()
    }

    /// Writes `thresholds.toml`, and removes what was evaluated without them.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_thresholds(&self, thresholds: &GroupThresholds) -> Result<()> {
        let text = thresholds.text()?;
        write_whole(&self.claim(THRESHOLDS)?, text.as_bytes())?;
        self.remove_listed(FAIRNESS).map(|_| ())
    }

    /// Removes `thresholds.toml`, and what was evaluated with them. Returns whether there were some.
    ///
    /// # Errors
    /// If it can't be removed.
    pub fn remove_thresholds(&self) -> Result<bool> {
        self.remove_listed(FAIRNESS)?;
        self.remove_listed(THRESHOLDS)
    }

    /// The temperature in `temperature.toml`, if one was fitted.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read_temperature(&self) -> Result<Option<FittedTemperature>> {
        let path = self.path.join(TEMPERATURE);
        path.is_file()
            .then(|| FittedTemperature::read(&path))
            .transpose()
    }

    /// Writes `temperature.toml`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_temperature(&self, temperature: &FittedTemperature) -> Result<()> {
        let text = temperature.text()?;
        write_whole(&self.claim(TEMPERATURE)?, text.as_bytes())
    }

    /// Removes `temperature.toml`. Returns whether there was one.
    ///
    /// # Errors
    /// If it can't be removed.
    pub fn remove_temperature(&self) -> Result<bool> {
        self.remove_listed(TEMPERATURE)
    }

    /// The text of `fairness.json`: how groups of samples were treated in the last evaluation of them, if there was one.
    pub fn read_fairness(&self) -> Option<String> {
        read_text(&self.path.join(FAIRNESS)).ok()
    }

    /// Writes `fairness.json`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_fairness(&self, text: &str) -> Result<()> {
        write_whole(&self.claim(FAIRNESS)?, text.as_bytes())
    }

    /// Removes a file that the run wrote. Returns whether it was there.
    fn remove_listed(&self, file: &str) -> Result<bool> {
        let path = self.path.join(file);
        let mut listed = Manifest::read(&self.path)?.unwrap_or_default();
        if !path.is_file() || !listed.contains(file) {
            return Ok(false);
        }
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        listed.remove(file);
        listed.write(&self.path)?;
        Ok(true)
    }

    /// The text of `run.toml`.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read_settings(&self) -> Result<String> {
        let path = self.settings_path();
        read_text(&path).map_err(Error::io("read", &path))
    }

    /// Removes the lines of `metrics.jsonl` and `norms.jsonl` for epochs after `epoch`: a run that was interrupted between the line and the
    /// checkpoint repeats the epoch.
    ///
    /// # Errors
    /// If a file can't be read or written.
    pub fn forget_after(&self, epoch: u32) -> Result<()> {
        let mut files = [METRICS, NORMS].into_iter();
        files.try_for_each(|file| self.forget_lines(file, epoch))
    }

    fn forget_lines(&self, file: &str, epoch: u32) -> Result<()> {
        let path = self.path.join(file);
        if !path.is_file() {
            return Ok(());
        }
        let text = read_text(&path).map_err(Error::io("read", &path))?;
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

    /// Writes a checkpoint, and removes all but the latest `keep` and that of the best epoch.
    ///
    /// # Errors
    /// If it can't be written; then the previous ones are still there.
    pub fn add_checkpoint(&self, checkpoint: &Checkpoint, keep: usize) -> Result<()> {
        self.create_folder(CHECKPOINTS)?;
        let progress = &checkpoint.progress;
        let file = checkpoint_file(progress.step);
        let path = self.claim(&file)?;
        let bytes = checkpoint.to_bytes(&path)?;
        // The link is on the disk before the file is, so that no run goes on from a checkpoint that no link names.
        self.record(|| {
            Ok(LedgerRecord::Checkpoint(CheckpointRecord {
                file,
                sha256: digest_of(&bytes),
                epoch: progress.epoch.into(),
                step: progress.step,
                values: checkpoint.content(),
            }))
        })?;
        if let Some(ledger) = &self.ledger {
            ledger.sync()?;
        }
        write_whole(&path, &bytes)?;
        let best = progress.best.as_ref();
        let best = best.map(|best| self.path.join(checkpoint_file(best.step)));
        let mut removed = self.checkpoints();
        removed.truncate(removed.len().saturating_sub(keep));
        removed.retain(|path| Some(path) != best.as_ref());
        if removed.is_empty() {
            return Ok(());
        }
        let mut listed = Manifest::read(&self.path)?.unwrap_or_default();
        for old in removed {
            fs::remove_file(&old).map_err(Error::io("remove", &old))?;
            if let Some(name) = old.file_name() {
                listed.remove(&format!("{CHECKPOINTS}/{}", name.to_string_lossy()));
            }
        }
        listed.write(&self.path)
    }

    /// The latest checkpoint; `None` if the run ended before its first one.
    ///
    /// # Errors
    /// If it can't be read, or is missing although more epochs are finished than the one before the first checkpoint.
    pub fn latest_checkpoint(&self) -> Result<Option<Checkpoint>> {
        let latest = self.checkpoints().pop();
        let epochs = epochs_in(&self.path);
        if latest.is_none() && epochs > 1 {
            return Err(Error::Config(format!(
                "{} has finished {epochs} epochs but its checkpoints are missing; restore them, or train again in another folder",
                self.path.display()
            )));
        }
        latest.map(|path| self.load_checkpoint(&path)).transpose()
    }

    /// Reads a checkpoint. The error about a damaged one names the one before it.
    fn load_checkpoint(&self, path: &Path) -> Result<Checkpoint> {
        let checkpoints = self.checkpoints();
        let before = checkpoints.iter().rev().nth(1);
        Checkpoint::load(path).map_err(|error| match (error, before) {
            (Error::Config(text), Some(before)) => Error::Config(format!(
                "{text}; or remove it to resume from {}",
                before.display()
            )),
            (error, _) => error,
        })
    }

    /// The command that resumes the run or, for one of several that belong together, all of them.
    pub fn resume_command(&self) -> String {
        let group = self.path.parent().and_then(GroupFolder::find);
        match group {
            Some(group) => group.resume_command(),
            None => format!("wgrad train --resume {}", self.path.display()),
        }
    }

    /// Checkpoints of the run, oldest first.
    fn checkpoints(&self) -> Vec<PathBuf> {
        // A list that can't be read is reported where it is written.
        let listed = Manifest::read(&self.path).ok().flatten();
        checkpoints(&self.path, listed.as_ref())
    }
}

/// The lines of `text` that are JSON of this type.
fn json_lines<T: serde::de::DeserializeOwned>(text: &str) -> Vec<T> {
    let lines = text.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// The file of the checkpoint after `step` steps.
fn checkpoint_file(step: u64) -> String {
    format!("{CHECKPOINTS}/step-{step:09}.safetensors")
}

/// Number of epochs in `metrics.jsonl` of the run folder `path`.
fn epochs_in(path: &Path) -> usize {
    read_text(&path.join(METRICS)).map_or(0, |text| text.lines().count())
}

/// The checkpoints in the run folder `path` that are listed, or all if there is no list, oldest first: their names sort by step.
fn checkpoints(path: &Path, listed: Option<&Manifest>) -> Vec<PathBuf> {
    let entries = fs::read_dir(path.join(CHECKPOINTS)).into_iter().flatten();
    let own = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = format!("{CHECKPOINTS}/{name}");
        name.ends_with(".safetensors") && listed.is_none_or(|listed| listed.contains(&file))
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths.filter(own).collect();
    paths.sort();
    paths
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
