//! Every parser of files from outside, each with small valid files: for `tests/damaged_files.rs` and for the fuzz target in `fuzz`.

#![allow(dead_code, reason = "every user takes a part")]

pub mod damage;
mod data;
pub mod memory;
mod pictures;
mod runs;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest time that a file may take: far above what was seen, so that a busy machine fails nothing.
const LONGEST: Duration = Duration::from_secs(20);

/// Memory that a parser may take.
#[derive(Clone, Copy)]
pub struct Bound {
    /// For any file.
    free: usize,
    /// Per byte of the file.
    per_byte: usize,
}

/// Formats whose values lie in the file as they are.
const PLAIN: Bound = Bound {
    free: 64 << 20,
    per_byte: 100,
};
/// Compressed formats: deflate unpacks a byte to 1,032, which are kept as words and labels.
const COMPRESSED: Bound = Bound {
    free: 128 << 20,
    per_byte: 16_384,
};

/// A parser.
pub struct Target {
    /// Name, for messages and the fuzzer.
    pub name: String,
    /// Valid files.
    pub seeds: Vec<Vec<u8>>,
    /// The file that `read` reads.
    file: PathBuf,
    bound: Bound,
    /// Reads the file; whether that succeeded.
    read: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Target {
    /// The parser `read` of `file`, which exists and is valid.
    fn new(name: &str, file: PathBuf, read: impl Fn() -> bool + Send + Sync + 'static) -> Target {
        Target {
            name: name.to_string(),
            seeds: vec![std::fs::read(&file).unwrap()],
            file,
            bound: PLAIN,
            read: Box::new(read),
        }
    }

    /// The same within other bounds.
    fn within(self, bound: Bound) -> Target {
        Target { bound, ..self }
    }

    /// The same with further valid files.
    fn and(mut self, seeds: impl IntoIterator<Item = Vec<u8>>) -> Target {
        self.seeds.extend(seeds);
        self
    }

    /// Whether the parser accepts a file of these bytes. Panics if that takes too long, or memory out of proportion, of which the
    /// most bytes at a time are returned.
    pub fn check(&self, bytes: &[u8]) -> (bool, usize) {
        std::fs::write(&self.file, bytes).unwrap();
        let mut accepted = false;
        let start = Instant::now();
        let taken = memory::peak_of(|| accepted = (self.read)());
        let (name, time) = (&self.name, start.elapsed());
        assert!(time < LONGEST, "{name} takes {time:?}");
        let allowed = self.bound.free + self.bound.per_byte * bytes.len();
        assert!(
            taken < allowed,
            "{name} takes {taken} bytes for {}",
            bytes.len()
        );
        (accepted, taken)
    }
}

/// Every parser, with its files below `dir`.
pub fn targets(dir: &Path) -> Vec<Target> {
    let at = |name: &str| dir.join(name);
    [
        data::arrays(&at("arrays")),
        data::tables(&at("tables")),
        data::more_tables(&at("more_tables")),
        data::predicted(&at("predicted")),
        data::folders(&at("folders")),
        data::boxes(&at("boxes")),
        data::sentences(&at("sentences")),
        pictures::pictures(&at("pictures")),
        runs::files(&at("runs")),
        runs::records(&at("records")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Writes a file, and the folder that it is in.
fn write(path: &Path, bytes: impl AsRef<[u8]>) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    path.to_path_buf()
}
