//! The modules of the library form layers: a module uses only modules of its own layer and of the layers below.

use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest to the highest, as docs/architecture.md shows them. The parts of the compiler refer to one another: a graph
/// consists of operations, which define how passes and plans treat them.
const LAYERS: [&[&str]; 15] = [
    &[
        "archive",
        "checksum",
        "error",
        "files",
        "guard",
        "host_memory",
        "html",
        "nearest",
        "privacy",
        "federated",
        "random",
        "schema",
        "shader",
        "tensor",
        "tensor_file",
        "toml_text",
    ],
    &["cpu", "graph", "ops", "passes", "plan"],
    &["autodiff", "gpu", "optim"],
    &["check"],
    &["tune"],
    &["device"],
    &["data", "environments"],
    &["nn", "onnx"],
    &["provenance", "tasks"],
    &["train"],
    &["run"],
    &[
        "agents",
        "attack",
        "explain",
        "generate",
        "membership",
        "web",
    ],
    &["settings"],
    &["bench"],
    &["cli", "lib", "main"],
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The name of a module of the crate, a file or a folder in `src`.
fn module(path: &Path) -> String {
    let name = path.file_stem().unwrap();
    name.to_string_lossy().into_owned()
}

/// The layer of a module.
fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Every Rust file in `path`, a file or a folder, except files that only contain tests.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![path.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

/// `text` without the items that are only compiled for tests, and without comment lines; other lines keep their numbers.
fn without_tests(text: &str) -> Vec<&str> {
    let (mut kept, mut depth, mut skips) = (Vec::new(), 0i64, false);
    for line in text.lines() {
        let bare = line.trim_start();
        if skips {
            let count = |c: char| line.matches(c).count() as i64;
            depth += count('{') - count('}');
            skips = depth > 0 || !(line.contains(';') || line.contains('}'));
            kept.push("");
        } else if bare.starts_with("#[cfg(test)]") {
            (skips, depth) = (true, 0);
            kept.push("");
        } else {
            kept.push(if bare.starts_with("//") { "" } else { line });
        }
    }
    kept
}

/// The modules of the crate that a file names, with the line numbers.
fn named(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(without_tests(text)) {
        for root in ["crate::", "wgrad::"] {
            for part in line.split(root).skip(1) {
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                found.push((number, part.chars().take_while(|&c| word(c)).collect()));
            }
        }
    }
    found
}

#[test]
fn no_module_uses_one_above_it() {
    let (mut wrong, mut uses) = (Vec::new(), 0);
    for entry in fs::read_dir(src()).unwrap() {
        let entry = entry.unwrap().path();
        let own = module(&entry);
        let place = layer(&own).unwrap_or_else(|| panic!("src has {own}, which no layer has"));
        for path in files(&entry) {
            for (line, used) in named(&fs::read_to_string(&path).unwrap()) {
                uses += 1;
                if layer(&used).is_some_and(|used| used > place) {
                    wrong.push(format!("{}:{line} uses {used}", path.display()));
                }
            }
        }
    }
    assert!(uses > 900, "only {uses} uses were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_layer_is_there() {
    for module in LAYERS.concat() {
        let [file, folder] = [format!("{module}.rs"), module.to_string()];
        assert!(
            src().join(file).is_file() || src().join(folder).is_dir(),
            "src has no {module}"
        );
    }
}

#[test]
fn only_items_of_tests_are_left_out() {
    let text = "#[cfg(test)]\nuse crate::settings::A;\nuse crate::run::B;\n#[cfg(test)]\nmod tests {\n    use crate::cli::C;\n    fn f() {}\n}\n\
                use crate::data::D;\n// crate::nn\n#[cfg(test)]\nmod tests;\nuse wgrad::tune::E;\n";
    let found: Vec<(usize, String)> = named(text);
    let wanted = [(3, "run"), (9, "data"), (13, "tune")];
    assert_eq!(
        found,
        wanted.map(|(line, module)| (line, module.to_string()))
    );
}
