//! Sweeps: runs with different settings, from a grid, drawn at random, or halved successively, in a common folder from which an
//! interrupted sweep is resumed.

mod file;
mod grid;
mod halving;
mod page;
mod random;
mod summary;
mod trial;
mod until;
mod values;

pub(super) use file::WrittenSweep;
pub use file::{SweepMethod, SweepSettings};
pub use halving::HalvingSettings;
pub use summary::SweepSummary;
pub use trial::{SweepTrial, TrialResult, TrialRun};
pub use values::{TrialValue, value_text, values_text};

use super::changes::{self, Change};
use super::{Prepared, SessionObserver, Settings};
use crate::error::{Error, Result};
use crate::run::{GroupFolder, GroupKind, Monitor, RunFolder};
use std::path::{Path, PathBuf};
use trial::RunResult;
use until::UntilEpoch;

/// The settings of the best trial, in the folder of a sweep.
const BEST: &str = "best.toml";
/// The page of a sweep in its folder.
const PAGE: &str = "sweep.html";

/// Receives reports of a sweep and of its runs.
pub trait SweepObserver: SessionObserver {
    /// Called before a run of a trial is trained or resumed.
    fn begins(&mut self, _start: &TrialStart<'_>) {}

    /// Called when a trial has ended, also if it had ended before the sweep was resumed.
    ///
    /// # Errors
    /// An error ends the sweep.
    fn trial(&mut self, _result: &TrialResult) -> Result<()> {
        Ok(())
    }
}

/// A run of a trial that is about to be trained.
#[derive(Clone, Copy, Debug)]
pub struct TrialStart<'a> {
    /// The trial.
    pub trial: &'a SweepTrial,
    /// Number of trials of the sweep.
    pub trials: usize,
    /// The random seed of the run.
    pub seed: u64,
    /// The epochs after which it is compared with others; `None` if it is trained to its end.
    pub epochs: Option<u32>,
}

/// A sweep that is ready to be trained.
pub struct Sweep {
    /// Its folder, with a subfolder for each run.
    pub folder: GroupFolder,
    /// Notes for the user.
    pub notes: Vec<String>,
    settings: SweepSettings,
    /// The metric by which trials are compared.
    metric: String,
    trials: Vec<SweepTrial>,
    /// The first trial whose data and settings fit together, if it has been prepared.
    first: Option<(usize, Prepared)>,
}

impl Sweep {
    /// Starts a sweep in the folder that its settings name, or a new one under `runs`. If the folder already holds the same sweep, it
    /// is resumed; without a name, the same sweep is resumed if it has not ended.
    ///
    /// # Errors
    /// If a setting or a value is wrong, no trial fits the data, or the folder holds something else. In that case nothing was trained
    /// or written.
    pub fn begin(settings: SweepSettings) -> Result<Sweep> {
        let trials = settings.trials()?;
        let name = format!("{}-sweep", settings.run.folder_name());
        match &settings.out {
            Some(out) => match GroupFolder::open(GroupKind::Sweep, out) {
                Some(folder) if folder.has_begun() => return Self::go_on(folder, settings),
                // It ended before its first result: there is nothing to resume.
                Some(_) => {}
                None => check_free(out, &trials)?,
            },
            None => {
                if let Some(folder) = unfinished(&name, &settings) {
                    return Self::go_on(folder, settings);
                }
            }
        }
        let mut settings = settings;
        let (index, mut prepared) = first(&settings, &trials)?;
        let metric = metric(&settings, &prepared)?;
        // A metric that the sweep names is not the one that this run was prepared to monitor.
        let is_as_prepared = settings.metric.is_none();
        prepared.settings.monitor = Some(metric.clone());
        settings.metric = Some(metric.clone());
        let out = settings.out.as_deref();
        let folder = GroupFolder::create(GroupKind::Sweep, out, &name, &settings.text()?)?;
        Ok(Sweep {
            folder,
            notes: Vec::new(),
            settings,
            metric,
            trials,
            first: is_as_prepared.then_some((index, prepared)),
        })
    }

    /// Resumes the sweep in the folder `path`. `change` may change the settings `device`, `adapter`, `checkpoint_every`,
    /// `keep_checkpoints`, `tensorboard` and `data.memory_limit` of its runs.
    ///
    /// # Errors
    /// If `path` holds no sweep, or another setting changed.
    pub fn resume(path: &Path, change: impl FnOnce(&mut Settings)) -> Result<Sweep> {
        let folder = GroupFolder::open(GroupKind::Sweep, path).ok_or_else(|| {
            Error::Config(format!(
                "{} is not the folder of a sweep (it has no sweep.toml and settings.lock.toml); name one that `wgrad sweep` created",
                path.display()
            ))
        })?;
        let mut settings = SweepSettings::read(&folder.settings_path())?;
        change(&mut settings.run);
        Self::go_on(folder, settings)
    }

    fn go_on(folder: GroupFolder, mut settings: SweepSettings) -> Result<Sweep> {
        let file = folder.settings_path();
        let accepted = SweepSettings::read(&folder.accepted_settings_path())?;
        settings.take_chosen(&accepted)?;
        let found = changes::permit(&accepted, &settings, changes::OF_A_SWEEP, &file)?;
        let trials = settings.trials()?;
        let metric = settings.metric.clone().ok_or_else(|| {
            Error::Config(format!(
                "{} lacks metric, the name of the metric by which trials are compared",
                file.display()
            ))
        })?;
        let folder = folder.lock()?;
        folder.write_settings(&settings.text()?)?;
        let mut sweep = Sweep {
            notes: found.iter().map(Change::to_string).collect(),
            folder,
            settings,
            metric,
            trials,
            first: None,
        };
        let mut runs = 0;
        let mut begun = 0;
        for (trial, seed) in sweep.trials.iter().flat_map(SweepTrial::all_runs) {
            runs += 1;
            let result: Option<RunResult> = sweep.folder.read_result(&trial.run_name(seed))?;
            begun += usize::from(result.is_some());
        }
        sweep.notes.push(format!(
            "the sweep in {} goes on: {begun} of its {runs} runs have results",
            sweep.folder.path.display()
        ));
        Ok(sweep)
    }

    /// The trials.
    pub fn trials(&self) -> &[SweepTrial] {
        &self.trials
    }

    /// The metric by which trials are compared.
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// Trains the trials that are not finished, and writes `best.toml` and `sweep.html` into the folder. Runs that were interrupted are
    /// resumed. A trial that diverges, does not fit the device or does not fit the data is a failed trial.
    ///
    /// # Errors
    /// If a run was stopped, the device was lost, a file can't be read or written, or all trials failed.
    pub fn train(mut self, observer: &mut dyn SweepObserver) -> Result<SweepSummary> {
        let rungs = self.settings.rungs();
        let mut left: Vec<usize> = (0..self.trials.len()).collect();
        let mut results: Vec<TrialResult> = Vec::new();
        for (rung, &epochs) in rungs.iter().enumerate() {
            let is_last = rung + 1 == rungs.len();
            let kept = self.settings.halving.unwrap_or_default().kept(left.len());
            let mut reached: Vec<TrialResult> = Vec::new();
            for index in std::mem::take(&mut left) {
                let result = self.reach(index, rung, epochs, observer)?;
                match is_last || result.error.is_some() {
                    true => {
                        observer.trial(&result)?;
                        results.push(result);
                    }
                    false => reached.push(result),
                }
            }
            trial::sort(&mut reached);
            for result in reached.split_off(kept.min(reached.len())) {
                observer.trial(&result)?;
                results.push(result);
            }
            left.extend(reached.iter().map(|result| result.trial - 1));
            left.sort_unstable();
        }
        SweepSummary::write(&self, results)
    }

    /// Trains the runs of a trial until the comparison number `rung`, after `epochs` epochs.
    fn reach(
        &mut self,
        index: usize,
        rung: usize,
        epochs: Option<u32>,
        observer: &mut dyn SweepObserver,
    ) -> Result<TrialResult> {
        let trial = self.trials[index].clone();
        let mut found = TrialResult {
            trial: trial.number,
            values: trial.values.clone(),
            runs: Vec::new(),
            error: None,
            metric: None,
        };
        for &seed in &trial.seeds {
            let name = trial.run_name(seed);
            let mut result: RunResult = self.folder.read_result(&name)?.unwrap_or_default();
            if result.error.is_none() && result.reached.len() <= rung {
                observer.begins(&TrialStart {
                    trial: &trial,
                    trials: self.trials.len(),
                    seed,
                    epochs,
                });
                if let Err(error) = self.run(&trial, seed, epochs, &mut result, observer) {
                    let Failure::OfTrial(error) = error else {
                        return Err(error.into());
                    };
                    result.error = Some(error.sentence());
                }
                self.folder.write_result(&name, &result)?;
            }
            if let Some(error) = result.error {
                found.error = Some(match trial.seeds.len() {
                    1 => error,
                    _ => format!("with seed {seed}: {error}"),
                });
                return Ok(found);
            }
            found.metric = result.metric;
            found
                .runs
                .extend(result.reached.get(rung).map(|reached| TrialRun {
                    seed,
                    path: self.folder.run_path(&name),
                    value: reached.value,
                    epochs: reached.epochs,
                    steps: reached.steps,
                    seconds: reached.seconds,
                }));
        }
        Ok(found)
    }

    /// Trains a run until `epochs` epochs are done, and adds what it reached to its result.
    fn run(
        &mut self,
        trial: &SweepTrial,
        seed: u64,
        epochs: Option<u32>,
        result: &mut RunResult,
        observer: &mut dyn SweepObserver,
    ) -> Result<(), Failure> {
        let path = self.folder.run_path(&trial.run_name(seed));
        let settings = self.settings.of_run(trial, seed)?;
        let prepared = match RunFolder::open(&path).is_ok() {
            true => Settings::prepare_resumed(&path, |own| own.take_changes(&settings))?,
            false => {
                let first = self.first.take_if(|(index, prepared)| {
                    *index + 1 == trial.number && prepared.settings.seed == seed
                });
                let mut prepared = match first {
                    Some((_, prepared)) => prepared,
                    None => settings.prepare().map_err(Failure::of)?,
                };
                prepared.settings.out = Some(path.clone());
                prepared
            }
        };
        let mut until = UntilEpoch::new(observer, epochs);
        match prepared.train(&mut until) {
            Err(Error::Stopped(_)) if until.is_reached() => {}
            outcome => {
                outcome.map_err(Failure::of)?;
            }
        }
        let (folder, settings) = Settings::open_run(&path)?;
        result
            .measure(&folder, &settings, &self.metric, epochs)
            .map_err(Failure::of)
    }
}

/// Why a run failed.
enum Failure {
    /// Because of its settings: another trial may do better.
    OfTrial(Error),
    /// For a reason that would end other trials, too.
    OfSweep(Error),
}

impl Failure {
    fn of(error: Error) -> Failure {
        match error {
            Error::Config(_)
            | Error::Shape { .. }
            | Error::Memory(_)
            | Error::Diverged(_)
            | Error::Training(_) => Failure::OfTrial(error),
            other => Failure::OfSweep(other),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::OfSweep(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::OfTrial(error) | Failure::OfSweep(error) => error,
        }
    }
}

impl SweepSettings {
    /// The settings of a run of a trial.
    fn of_run(&self, trial: &SweepTrial, seed: u64) -> Result<Settings> {
        let settings = trial.settings(&self.run)?;
        Ok(Settings {
            seed,
            monitor: self.metric.clone().or(settings.monitor.clone()),
            out: None,
            ..settings
        })
    }

    /// Takes what was chosen when the sweep began, and makes paths absolute, so that it can be compared with the sweep in a folder.
    fn take_chosen(&mut self, accepted: &SweepSettings) -> Result<()> {
        if self.metric.is_none() {
            self.metric.clone_from(&accepted.metric);
        }
        self.run = self.run.with_absolute_paths()?;
        Ok(())
    }
}

/// The first trial that fits its data, and its index, in case that the first ones of a sweep fail.
fn first(settings: &SweepSettings, trials: &[SweepTrial]) -> Result<(usize, Prepared)> {
    let mut error = None;
    for (index, trial) in trials.iter().enumerate() {
        let Some(&seed) = trial.seeds.first() else {
            continue;
        };
        let run = Settings {
            seed,
            out: None,
            ..trial.settings(&settings.run)?
        };
        match run.prepare().map_err(Failure::of) {
            Ok(prepared) => return Ok((index, prepared)),
            Err(Failure::OfSweep(other)) => return Err(other),
            Err(Failure::OfTrial(why)) => {
                error.get_or_insert(why);
            }
        }
    }
    Err(error.unwrap_or_else(|| Error::Config("the sweep has no trials".to_string())))
}

/// The metric by which trials are compared.
fn metric(settings: &SweepSettings, prepared: &Prepared) -> Result<String> {
    let task = &prepared.run.parts().task;
    let named = settings.metric.as_ref();
    let monitor = Monitor {
        metric: named.or(prepared.settings.monitor.as_ref()).cloned(),
        ..Monitor::default()
    };
    if let Some(name) = &settings.metric {
        monitor.check_as("metric", &**task)?;
        return Ok(name.clone());
    }
    let metric = monitor.metric(&**task).ok_or_else(|| {
        Error::Config(format!(
            "no metric of the task {} says which trial is better; name one with metric",
            task.registered().name
        ))
    })?;
    Ok(metric.name.to_string())
}

/// Checks that a sweep can begin in the folder `out`.
fn check_free(out: &Path, trials: &[SweepTrial]) -> Result<()> {
    RunFolder::check_free(out)?;
    for file in [BEST, PAGE].map(|file| out.join(file)) {
        if file.exists() {
            return Err(Error::Config(format!(
                "{} exists and was not written by a sweep; move it, or name another folder",
                file.display()
            )));
        }
    }
    let folder = GroupFolder::at(GroupKind::Sweep, out);
    let mut runs = trials.iter().flat_map(SweepTrial::all_runs);
    runs.try_for_each(|(trial, seed)| {
        RunFolder::check_free(&folder.run_path(&trial.run_name(seed)))
    })
}

/// The same sweep in a folder `runs/NAME-N` that has not ended and is not being trained.
fn unfinished(name: &str, settings: &SweepSettings) -> Option<GroupFolder> {
    let entries = std::fs::read_dir("runs").into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(name));
    let mut paths: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    paths.sort();
    let mut folders = paths
        .iter()
        .filter(|path| !path.join(BEST).exists())
        .filter_map(|path| GroupFolder::open(GroupKind::Sweep, path));
    folders.find(|folder| {
        let same = || -> Result<bool> {
            let accepted = SweepSettings::read(&folder.accepted_settings_path())?;
            let mut settings = settings.clone();
            settings.take_chosen(&accepted)?;
            Ok(changes::flat(&accepted)? == changes::flat(&settings)?)
        };
        folder.has_begun() && !folder.is_locked() && same().unwrap_or(false)
    })
}
