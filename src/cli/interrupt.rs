//! Ctrl-C, SIGTERM and SIGHUP: the first one stops a training run with a checkpoint, the second ends the program. They end what
//! has nothing to save at once.

use super::note;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

static ASKED: AtomicBool = AtomicBool::new(false);

/// The exit code of an interrupted program, as in shells.
pub(super) const EXIT_CODE: u8 = 130;

/// Installs the handler.
///
/// # Errors
/// If the system refuses the handler.
pub(super) fn listen() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_CODE.into());
        }
        note(
            "stopping with a checkpoint after the current steps; a second signal or Ctrl-C stops at once without one",
        );
    })?;
    Ok(())
}

/// Whether a stop was requested.
pub(super) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Installs a handler that sends a message.
///
/// # Errors
/// If the system refuses the handler.
pub(super) fn messages() -> anyhow::Result<Receiver<()>> {
    let (sender, receiver) = channel();
    ctrlc::set_handler(move || {
        // Without a receiver, the program is about to end.
        let _ = sender.send(());
    })?;
    Ok(receiver)
}
