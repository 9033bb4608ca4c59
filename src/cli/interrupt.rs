//! Ctrl-C: the first one asks a training to stop in order, the second ends the program.

use super::note;
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// The exit code of what was stopped, as shells have it.
pub(super) const EXIT_CODE: u8 = 130;

/// Has Ctrl-C ask for a stop from now on.
///
/// # Errors
/// If the system lets no one listen for it.
pub(super) fn listen() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_CODE.into());
        }
        note(
            "stopping with a checkpoint after the steps under way; press Ctrl-C again to stop at once without",
        );
    })?;
    Ok(())
}

/// Whether a stop was asked for.
pub(super) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
