//! The modules of the library form layers: a module uses what lies below it and nothing above.

use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest to the highest. A module uses those before it, and whatever is not in the list, which lies below all.
const LAYERS: [&str; 8] = [
    "data", "nn", "tasks", "train", "run", "generate", "settings", "cli",
];

/// Every Rust file of `module`: `src/module.rs` or those below `src/module`.
fn files(module: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![src.join(format!("{module}.rs"))];
    let mut folders = vec![src.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.retain(|path| path.extension().is_some_and(|e| e == "rs") && path.is_file());
    found
}

/// The modules of the crate that a file names outside of comments and of its tests.
fn named(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        if line.trim_start().starts_with("//") {
            continue;
        }
        for part in line.split("crate::").skip(1) {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let module: String = part.chars().take_while(|&c| word(c)).collect();
            found.push((number, module));
        }
    }
    found
}

#[test]
fn no_module_uses_one_above_it() {
    let mut wrong = Vec::new();
    let mut uses = 0;
    for (place, module) in LAYERS.iter().enumerate() {
        let files = files(module);
        assert!(!files.is_empty(), "src has no {module}");
        for path in files.iter().filter(|path| !path.ends_with("tests.rs")) {
            for (line, used) in named(&fs::read_to_string(path).unwrap()) {
                uses += 1;
                if LAYERS.iter().skip(place + 1).any(|above| **above == used) {
                    wrong.push(format!("{}:{line} uses crate::{used}", path.display()));
                }
            }
        }
    }
    assert!(uses > 200, "only {uses} uses were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_lies_below_the_layers_uses_none_of_them() {
    let below = [
        "graph", "ops", "passes", "plan", "shader", "gpu", "cpu", "device", "optim", "autodiff",
    ];
    let mut wrong = Vec::new();
    for module in below {
        for path in files(module)
            .iter()
            .filter(|path| !path.ends_with("tests.rs"))
        {
            for (line, used) in named(&fs::read_to_string(path).unwrap()) {
                if LAYERS.contains(&used.as_str()) {
                    wrong.push(format!("{}:{line} uses crate::{used}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
