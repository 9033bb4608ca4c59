//! The environment of the process, changed for drivers before anything else runs. The only module of the program
//! with `unsafe` code.
#![allow(unsafe_code)]

use std::path::Path;

/// Keeps Mesa's layer that chooses an adapter from looking for a Wayland server where there is none, which prints an error. wgrad
/// chooses the adapter itself.
pub(super) fn prepare() {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR");
    let desktop = runtime.is_some_and(|path| Path::new(&path).is_absolute());
    if cfg!(target_os = "linux") && !desktop && std::env::var_os("NODEVICE_SELECT").is_none() {
        // SAFETY: called first in `main`, when the process has one thread.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}
