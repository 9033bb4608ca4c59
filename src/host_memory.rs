//! Free memory of the host, in which data are read, and the reference and software adapters compute.

use crate::error::{Error, Result};
use std::{fs, io};

/// Memory that is not compared with what is free: asking for that takes longer than to read a small file.
const SMALL: u64 = 16 << 20;

/// Fails if the `bytes` that a step needs exceed the free memory. If the system does not report it, everything is assumed to fit.
///
/// # Errors
/// Names the needed and the free memory.
pub(crate) fn check_step(bytes: u64) -> Result<()> {
    let shortage = |needs| format!("a step needs {needs}; use a smaller batch or model");
    check(bytes).map_err(|needs| Error::Memory(shortage(needs)))
}

/// The same for what is read or unpacked from a file, as an error of reading it.
///
/// # Errors
/// Says how much memory the file needs, and how much is free.
pub(crate) fn check_read(bytes: u64) -> io::Result<()> {
    let shortage = |needs| io::Error::new(io::ErrorKind::OutOfMemory, format!("it needs {needs}"));
    check(bytes).map_err(shortage)
}

/// The same for any use.
///
/// # Errors
/// The needed and the free memory, as the rest of a sentence after "needs".
pub(crate) fn check(bytes: u64) -> Result<(), String> {
    if bytes <= small() {
        return Ok(());
    }
    match available() {
        Some(free) if bytes > free => {
            let gib = |bytes: u64| bytes as f64 / (1_u64 << 30) as f64;
            Err(format!(
                "{:.1} GiB of memory, but only {:.1} GiB are free",
                gib(bytes),
                gib(free)
            ))
        }
        _ => Ok(()),
    }
}

/// Whether `bytes` are at most `1 / share` of the free memory, and that number; `None` if they are too few to ask, or the system
/// does not report it.
pub(crate) fn share(bytes: u64, share: u64) -> Option<u64> {
    (bytes > small()).then(available)?.map(|free| free / share)
}

/// [`SMALL`], or nothing where a test says what is free.
fn small() -> u64 {
    #[cfg(test)]
    if tests::FREE.get().is_some() {
        return 0;
    }
    SMALL
}

/// Free bytes of the host, or of the control group (a container) if that has less.
pub fn available() -> Option<u64> {
    #[cfg(test)]
    if let Some(free) = tests::FREE.get() {
        return Some(free);
    }
    let computer = fs::read_to_string("/proc/meminfo").ok()?;
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(most, used)| most.saturating_sub(used));
    let computer = mem_available(&computer)?;
    Some(group.map_or(computer, |group| group.min(computer)))
}

/// The bytes that `/proc/meminfo` calls available.
fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        pub(super) static FREE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// The result of `work` where `free` bytes are free, as far as this thread asks.
    pub(crate) fn with_free<T>(free: u64, work: impl FnOnce() -> T) -> T {
        FREE.set(Some(free));
        let result = work();
        FREE.set(None);
        result
    }

    #[test]
    fn available_memory_is_read_in_bytes() {
        let text =
            "MemTotal:       24689764 kB\nMemFree:         1 kB\nMemAvailable:   20971520 kB\n";
        assert_eq!(mem_available(text), Some(20 << 30));
        assert_eq!(mem_available("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn what_no_computer_holds_is_refused_where_the_system_tells() {
        assert!(check(0).is_ok());
        assert_eq!(check(u64::MAX).is_err(), available().is_some());
        let message = with_free(1 << 30, || check_read(3 << 30).unwrap_err()).to_string();
        assert_eq!(
            message,
            "it needs 3.0 GiB of memory, but only 1.0 GiB are free"
        );
    }
}
