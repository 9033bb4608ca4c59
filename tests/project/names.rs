//! Names are unambiguous: no two public types of the crate share one, and every operation is named after its file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use wgrad::ops::REGISTRY;
use wgrad::random::Stream;

/// A layer and the operation that it applies may share a name: no signature takes both.
const LAYER_AND_OPERATION: [&str; 13] = [
    "AdaptiveAvgPool2d",
    "Add",
    "Attention",
    "AvgPool2d",
    "Concat",
    "Conv2d",
    "CrossAttention",
    "Dropout",
    "Gru",
    "LayerNorm",
    "Lstm",
    "MaxPool2d",
    "RmsNorm",
];

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Files under `folder` of the crate, by relative path with forward slashes, and their texts.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    source_files(&root, &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        let name = path.strip_prefix(&root).expect("it lies there");
        (name.to_string_lossy().replace('\\', "/"), text)
    };
    files.into_iter().map(read).collect()
}

/// The public types that `text` declares.
fn public_types(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let mut words = line.trim_start().strip_prefix("pub ")?.split(' ');
        let kind = words.find(|word| *word != "unsafe")?;
        if !["struct", "enum", "trait", "type", "union"].contains(&kind) {
            return None;
        }
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        words.next()?.split(|c| !is_name(c)).next()
    })
}

#[test]
fn the_public_types_of_a_text_are_found() {
    let text = "pub struct A<T>(T);\n    pub enum B {\npub(crate) struct C;\nstruct D;\npub unsafe trait E: F {}\npub type G = H;\n";
    assert!(public_types(text).eq(["A", "B", "E", "G"]));
}

#[test]
fn no_two_public_types_share_a_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in sources("src") {
        for name in public_types(&text) {
            places
                .entry(name.to_string())
                .or_default()
                .push(file.clone());
        }
    }
    assert!(places.len() > 100, "types are found");
    let is_pair = |name: &str, files: &[String]| {
        LAYER_AND_OPERATION.contains(&name)
            && matches!(files, [layer, op] if layer.starts_with("nn/layers/") && op.starts_with("ops/"))
    };
    let shared: BTreeMap<&String, &Vec<String>> = places
        .iter()
        .filter(|(name, files)| files.len() > 1 && !is_pair(name, files))
        .collect();
    assert!(
        shared.is_empty(),
        "give each of these a name of its own: {shared:#?}"
    );
}

/// The names of the operations in `text`.
fn operation_names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut before = "";
    for line in text.lines().map(str::trim_start) {
        let constant = line.starts_with("const ") && line.contains("NAME: &'static str = ");
        if constant || before.starts_with("fn name(&self) -> &'static str {") {
            names.extend(line.split('"').nth(1));
        }
        before = line;
    }
    names
}

#[test]
fn operations_are_called_after_their_file_and_no_two_alike() {
    let registered: BTreeSet<&str> = REGISTRY.iter().map(|op| op.name).collect();
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for (file, text) in sources("src/ops") {
        let stem = file.split('/').next().unwrap().trim_end_matches(".rs");
        for name in operation_names(&text) {
            let rest = name.strip_prefix(stem);
            let after_its_file = rest.is_some_and(|r| r.is_empty() || r.starts_with('_'));
            assert!(
                after_its_file && registered.contains(stem),
                "src/ops/{file} has an operation called {name}"
            );
            if let Some(other) = owners.insert(name.to_string(), file.clone()) {
                panic!("{name} is an operation of {other} and of {file}");
            }
        }
    }
    // Every operation of the cases was found in the text of its file.
    for op in REGISTRY {
        for case in (op.cases)(&mut Stream::new(1, 1)) {
            let name = case.op.name();
            assert!(
                owners.contains_key(name),
                "{name} was not found in the sources"
            );
            let file = owners[name]
                .split('/')
                .next()
                .unwrap()
                .trim_end_matches(".rs");
            assert_eq!(file, op.name, "{name} is a case of {}", op.name);
        }
    }
}
