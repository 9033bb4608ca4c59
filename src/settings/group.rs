//! How runs that share a folder and settings begin there and go on: folds, the members of an ensemble, and stages.

use super::Settings;
use super::changes::{self, Change};
use crate::error::Result;
use crate::run::{GroupFolder, GroupKind, RunFolder};
use crate::toml_text::parse;
use std::path::Path;

/// Runs that had begun: their locked folder, the settings that they share, and notes about what changed.
pub(super) struct GoingOn {
    pub folder: GroupFolder,
    pub settings: Settings,
    pub notes: Vec<String>,
}

/// The `count` runs of this `kind` that have begun in `out`, with `settings`; `None` if the folder is free for them.
///
/// # Errors
/// If it holds something else, or runs with other settings.
pub(super) fn begun(
    kind: GroupKind,
    out: &Path,
    settings: &Settings,
    count: usize,
) -> Result<Option<GoingOn>> {
    match GroupFolder::open(kind, out) {
        Some(folder) if folder.has_begun() => {
            // As they were written, with absolute paths.
            let settings = parse(&settings.shared_text()?, "the settings")?;
            go_on(folder, settings).map(Some)
        }
        // The first run failed: there is nothing to resume.
        Some(_) => Ok(None),
        None => {
            RunFolder::check_free(out)?;
            let folder = GroupFolder::at(kind, out);
            let mut numbers = 1..=count;
            numbers
                .try_for_each(|run| RunFolder::check_free(&folder.run_path(&run.to_string())))?;
            Ok(None)
        }
    }
}

/// The runs in `folder`, whose settings `change` may change as far as is permitted.
///
/// # Errors
/// If the settings can't be read, or another one changed.
pub(super) fn resumed(folder: GroupFolder, change: impl FnOnce(&mut Settings)) -> Result<GoingOn> {
    let mut settings = Settings::read(&folder.settings_path())?;
    change(&mut settings);
    settings.check()?;
    go_on(folder, settings)
}

fn go_on(folder: GroupFolder, settings: Settings) -> Result<GoingOn> {
    let accepted = Settings::read(&folder.accepted_settings_path())?;
    let file = folder.settings_path();
    let found = changes::permit(&accepted, &settings, changes::OF_FOLDS, &file)?;
    let folder = folder.lock()?;
    folder.write_settings(&settings.shared_text()?)?;
    Ok(GoingOn {
        notes: found.iter().map(Change::to_string).collect(),
        folder,
        settings,
    })
}

/// A note that `done` of `count` runs are finished, if any are.
pub(super) fn note_of_done(folder: &GroupFolder, done: usize, count: usize) -> Option<String> {
    let (noun, path) = (folder.kind().noun(), folder.path.display());
    (done > 0).then(|| format!("{done} of {count} {noun} in {path} are already done"))
}
