//! Code for tests that need an adapter.

#![allow(dead_code, reason = "every test file uses a part")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use wgrad::check::open_for_checks;
use wgrad::device::Engine;
use wgrad::gpu::{AdapterChoice, Gpu};

/// The software adapter as an engine, opened once per process; `None`, with a message, if there is none. With
/// WGRAD_REQUIRE_GPU=1 a missing adapter fails the test.
pub fn engine() -> Option<&'static Engine> {
    static ENGINE: OnceLock<Option<Engine>> = OnceLock::new();
    let open = || Gpu::open(&AdapterChoice::Software).or_else(|_| Gpu::open(&AdapterChoice::Best));
    ENGINE
        .get_or_init(|| match open() {
            Ok(gpu) => {
                eprintln!("adapter: {} ({})", gpu.info.name, gpu.info.driver_info);
                Some(Engine::Gpu(Box::new(gpu)))
            }
            Err(e) if std::env::var_os("WGRAD_REQUIRE_GPU").is_some_and(|v| v == "1") => {
                panic!("WGRAD_REQUIRE_GPU=1, but {e}")
            }
            Err(e) => {
                eprintln!("skipped: {e}");
                None
            }
        })
        .as_ref()
}

/// The device of [`engine`].
pub fn gpu() -> Option<&'static Gpu> {
    match engine() {
        Some(Engine::Gpu(gpu)) => Some(gpu),
        _ => None,
    }
}

/// Devices of the adapter of [`engine`] to check kernels side by side, opened once per process.
pub fn gpus() -> Option<&'static [Gpu]> {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    let open = || {
        let best = |_| open_for_checks(&AdapterChoice::Best);
        let opened = open_for_checks(&AdapterChoice::Software).or_else(best);
        opened.expect("the adapter opens again")
    };
    gpu().map(|_| &GPUS.get_or_init(open)[..])
}

/// The folder of a real data set or network: in the folder that WGRAD_DATA names, or else beside the repository. Prints if it
/// is absent.
pub fn real_set(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("WGRAD_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let dir = data.join(name);
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: {name} is not in {}", data.display());
    None
}
