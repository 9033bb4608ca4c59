//! The parser that `WGRAD_PARSER` names, under libFuzzer. `WGRAD_SEEDS` is a folder into which its valid files are written first:
//! that of the corpus.

#![no_main]

#[path = "../../tests/parsers/mod.rs"]
mod parsers;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use parsers::{Target, damage::damaged, memory::Counting, targets};
use std::path::Path;
use std::sync::OnceLock;
use wgrad::random::Stream;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static TARGET: OnceLock<Target> = OnceLock::new();

fn target() -> &'static Target {
    TARGET.get_or_init(|| {
        let name = std::env::var("WGRAD_PARSER").expect("WGRAD_PARSER names a parser");
        // Kept until the process ends, which never drops it.
        let dir = tempfile::tempdir().unwrap().keep();
        let found = targets(&dir).into_iter().find(|target| target.name == name);
        let target = found.unwrap_or_else(|| panic!("no parser is called {name}"));
        if let Some(seeds) = std::env::var_os("WGRAD_SEEDS") {
            for (number, seed) in target.seeds.iter().enumerate() {
                std::fs::write(Path::new(&seeds).join(format!("seed-{number}")), seed).unwrap();
            }
        }
        target
    })
}

fuzz_target!(
    init: {
        // libFuzzer's hook ends the process at panics that the library catches, too: those of image decoders. Without the hook,
        // only panics that reach the fuzzer do.
        let _ = std::panic::take_hook();
        target();
    },
    |bytes: &[u8]| {
        target().check(bytes);
    }
);

// Half of the changes are libFuzzer's, half those of `tests/damaged_files.rs`.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(2) {
        return fuzzer_mutate(data, size, max_size);
    }
    let copy = damaged(&data[..size], &mut Stream::new(seed.into(), 1));
    let size = copy.len().min(max_size);
    data[..size].copy_from_slice(&copy[..size]);
    size
});
