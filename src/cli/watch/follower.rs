//! The runs to show, read again when their files change.

use super::card::{self, State};
use super::record::{Planned, Record, last_change};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use wgrad::run::RunFolder;

/// Most entries of a folder that are looked at, and most runs that are shown.
const MOST_ENTRIES: usize = 10_000;
const MOST_SHOWN: usize = 50;
/// The files are looked at again after this time, however many pages ask.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows the run in a folder, or the runs in its folders.
pub(super) struct Follower {
    path: PathBuf,
    seen: Mutex<Seen>,
}

/// What was last found.
#[derive(Default)]
struct Seen {
    records: BTreeMap<PathBuf, Known>,
    /// When the files were last looked at, and the fragment of the page that was made of them.
    fragment: Option<(Instant, Arc<str>)>,
}

/// The record of a run, or a sentence about its files, and the files' sizes and times of change then.
struct Known {
    stamp: Stamp,
    record: Result<Record, String>,
}

type Stamp = [Option<(u64, SystemTime)>; 2];

/// A run folder in the list.
struct Listed {
    folder: RunFolder,
    is_training: bool,
    /// When its settings were written.
    begun: Option<SystemTime>,
}

impl Follower {
    pub(super) fn new(path: PathBuf) -> Follower {
        Follower {
            path,
            seen: Mutex::default(),
        }
    }

    /// The folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The part of the page that shows the runs.
    pub(super) fn fragment(&self) -> Arc<str> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, fragment)) = &seen.fragment
            && at.elapsed() < PAUSE
        {
            return Arc::clone(fragment);
        }
        let fragment: Arc<str> = self.look(&mut seen.records).into();
        seen.fragment = Some((Instant::now(), Arc::clone(&fragment)));
        fragment
    }

    /// Looks at all runs.
    fn look(&self, records: &mut BTreeMap<PathBuf, Known>) -> String {
        let mut runs = match listed(&self.path) {
            Ok(runs) => runs,
            Err(sentence) => return card::sentence(&sentence),
        };
        if runs.is_empty() {
            return card::sentence(&format!(
                "There are no runs in {} yet; wgrad train makes one.",
                self.path.display()
            ));
        }
        runs.sort_by_key(|run| {
            let path = run.folder.path.clone();
            (!run.is_training, Reverse(run.begun), path)
        });
        let count = runs.len();
        runs.truncate(MOST_SHOWN);
        records.retain(|path, _| runs.iter().any(|run| run.folder.path == *path));
        let mut cards = String::new();
        for run in &runs {
            // No run may keep the others from being shown.
            let card = catch_unwind(AssertUnwindSafe(|| shown(run, records)));
            cards.push_str(
                &card.unwrap_or_else(|_| {
                    card::damaged(&run.folder.path, "its files cannot be shown")
                }),
            );
        }
        if count > MOST_SHOWN {
            cards.push_str(&card::sentence(&format!(
                "Of {count} runs, the {MOST_SHOWN} that began last are shown; wgrad runs lists all."
            )));
        }
        cards
    }
}

/// The run folders at `path`: itself, or those in it.
fn listed(path: &Path) -> Result<Vec<Listed>, String> {
    if let Ok(folder) = RunFolder::open(path) {
        return Ok(vec![Listed::new(folder)]);
    }
    let entries = fs::read_dir(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "There is no folder {} yet; wgrad train makes one for its runs.",
            path.display()
        ),
        _ => format!("The folder {} cannot be read: {error}.", path.display()),
    })?;
    let folders = entries.take(MOST_ENTRIES).flatten();
    let folders = folders.filter_map(|entry| RunFolder::open(&entry.path()).ok());
    Ok(folders.map(Listed::new).collect())
}

impl Listed {
    fn new(folder: RunFolder) -> Listed {
        Listed {
            is_training: folder.is_locked(),
            begun: modified(&folder.settings_path()).map(|(_, time)| time),
            folder,
        }
    }
}

/// Size and time of change of a file.
fn modified(path: &Path) -> Option<(u64, SystemTime)> {
    let file = fs::metadata(path).ok()?;
    Some((file.len(), file.modified().ok()?))
}

/// The card of a run, whose record is read again if its files changed.
fn shown(run: &Listed, records: &mut BTreeMap<PathBuf, Known>) -> String {
    let folder = &run.folder;
    let stamp = [folder.settings_path(), folder.metrics_path()].map(|path| modified(&path));
    let known = records.remove(&folder.path);
    let known = known.filter(|known| known.stamp == stamp);
    let known = known.unwrap_or_else(|| Known {
        stamp,
        record: Record::read(folder),
    });
    let known = records.entry(folder.path.clone()).or_insert(known);
    match &known.record {
        Ok(record) => {
            let steps = folder.saved_steps();
            let state = state(run, record, steps);
            let change = last_change(folder).and_then(|time| time.elapsed().ok());
            card::card(&folder.path, record, state, steps, change)
        }
        Err(sentence) => card::damaged(&folder.path, sentence),
    }
}

/// Whether the run is being trained or how it ended.
fn state(run: &Listed, record: &Record, steps: Option<u64>) -> State {
    let complete = match record.planned {
        Planned::Epochs(epochs) => record.epochs >= epochs,
        Planned::Steps(planned) => steps.is_some_and(|steps| steps >= planned),
    };
    match (run.is_training, complete || record.gave_up) {
        (true, _) => State::Training,
        (false, true) => State::Finished,
        (false, false) if run.folder.was_released() => State::Stopped,
        (false, false) => State::Killed,
    }
}
