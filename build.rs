//! Lists the files under `shaders/` so that the binary carries them, and makes a hash of the kernels: shaders, and the
//! sources that say how they are launched.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let mut hasher = DefaultHasher::new();
    for (folder, ending) in [("shaders", "wgsl"), ("src/ops", "rs"), ("src/plan", "rs")] {
        println!("cargo::rerun-if-changed={folder}");
        for file in files(&package.join(folder), ending)? {
            fs::read(file)?.hash(&mut hasher);
        }
    }
    println!(
        "cargo::rustc-env=WGRAD_KERNELS_HASH={:016x}",
        hasher.finish()
    );
    let root = package.join("shaders");
    let mut list = String::from("&[\n");
    for file in files(&root, "wgsl")? {
        let name = file
            .strip_prefix(&root)
            .map_err(io::Error::other)?
            .with_extension("");
        let name = name.to_string_lossy().replace('\\', "/");
        writeln!(list, "    ({name:?}, include_str!({file:?})),").map_err(io::Error::other)?;
    }
    list.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("shaders.rs"), list)
}

/// The files below `folder` with this ending, sorted.
fn files(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
