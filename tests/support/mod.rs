//! What tests that need an adapter share.

use std::sync::OnceLock;
use wgrad::gpu::{AdapterChoice, Gpu};

/// The software adapter, opened once a process, or `None` (said aloud) where there is none. With WGRAD_REQUIRE_GPU=1 a missing adapter fails.
pub fn gpu() -> Option<&'static Gpu> {
    static GPU: OnceLock<Option<Gpu>> = OnceLock::new();
    GPU.get_or_init(|| {
        match Gpu::open(&AdapterChoice::Software).or_else(|_| Gpu::open(&AdapterChoice::Best)) {
            Ok(gpu) => {
                eprintln!("adapter: {} ({})", gpu.info.name, gpu.info.driver_info);
                Some(gpu)
            }
            Err(e) if std::env::var_os("WGRAD_REQUIRE_GPU").is_some_and(|v| v == "1") => {
                panic!("WGRAD_REQUIRE_GPU=1, but {e}")
            }
            Err(e) => {
                eprintln!("skipped: {e}");
                None
            }
        }
    })
    .as_ref()
}
