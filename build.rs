//! Lists the files under `shaders/` so that the binary carries them, and hashes the kernels: shaders, and the sources that
//! say how they are launched; and all that decides what a run computes: the library, the shaders and the dependencies.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let package = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let kernels = [("shaders", "wgsl"), ("src/ops", "rs"), ("src/plan", "rs")];
    let mut found = Vec::new();
    for (folder, ending) in kernels {
        println!("cargo::rerun-if-changed={folder}");
        found.extend(files(&package.join(folder), ending)?);
    }
    let kernels = hash(&package, &found)?;
    println!("cargo::rustc-env=WGRAD_KERNELS_HASH={kernels}");
    let mut found = files(&package.join("shaders"), "wgsl")?;
    for entry in fs::read_dir(package.join("src"))? {
        let path = entry?.path();
        // The command line decides nothing, and a change of it does not build the library again.
        if path.ends_with("cli") || path.ends_with("main.rs") {
            continue;
        }
        println!("cargo::rerun-if-changed={}", path.display());
        match path.is_dir() {
            true => found.extend(files(&path, "rs")?),
            false => found.push(path),
        }
    }
    for name in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={name}");
        found.extend(Some(package.join(name)).filter(|path| path.is_file()));
    }
    found.sort();
    let sources = hash(&package, &found)?;
    println!("cargo::rustc-env=WGRAD_SOURCES_HASH={sources}");
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

/// The SHA-256 of the names and the contents of files, in hexadecimal digits.
fn hash(package: &Path, files: &[PathBuf]) -> io::Result<String> {
    let mut hasher = Sha256::new();
    for file in files {
        let name = file.strip_prefix(package).map_err(io::Error::other)?;
        let name = name.to_string_lossy().replace('\\', "/");
        for part in [name.as_bytes(), &fs::read(file)?] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
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
