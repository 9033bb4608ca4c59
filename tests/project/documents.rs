//! The documents are correct: links resolve, commands exist, README's program is the one that compiles, and the example settings
//! are valid and mention the command that runs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wgrad::nn::{InputSpec, Network};
use wgrad::settings::{Settings, SweepSettings};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// README, the changelog, and every page under docs, tests/fixtures and benches/peers.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    for folder in ["docs", "tests/fixtures", "benches/peers"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        pages.extend(paths.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    pages
}

#[test]
fn links_lead_somewhere() {
    let mut links = 0;
    for page in pages() {
        let text = text(&page);
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let file = target.split('#').next().unwrap();
            let path = page.parent().unwrap().join(file);
            assert!(path.exists(), "{}: {target} is missing", page.display());
            links += 1;
        }
    }
    assert!(links > 10, "only {links} links were found");
}

#[test]
fn readme_names_every_command_and_no_other() {
    let help = Command::new(env!("CARGO_BIN_EXE_wgrad"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let mut commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    let readme = text(&root().join("README.md"));
    let mut named: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `wgrad "))
        .filter_map(|line| line.split([' ', '`']).next())
        .collect();
    commands.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, commands);
}

#[test]
fn every_task_is_in_the_table_of_settings() {
    let page = text(&root().join("docs/model-format.md"));
    for task in wgrad::tasks::REGISTRY {
        let row = format!("| `\"{}\"` |", task.name);
        assert!(page.contains(&row), "docs/model-format.md has no row {row}");
    }
}

#[test]
fn readme_shows_the_example_that_compiles() {
    let example = text(&root().join("examples/train.rs"));
    let (_, program) = example.split_once("\n\n").unwrap();
    assert!(text(&root().join("README.md")).contains(program));
}

#[test]
fn settings_of_the_examples_are_right() {
    let entries = fs::read_dir(root().join("examples")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    assert!(files.len() > 10, "only {} examples", files.len());
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_string();
        if SweepSettings::is_at(&file) {
            let checked = SweepSettings::read(&file).and_then(|sweep| sweep.check());
            checked.unwrap_or_else(|e| panic!("{name}: {e}"));
            let command = format!("wgrad sweep examples/{name}");
            assert!(text(&file).contains(&command), "{name} says no command");
            continue;
        }
        let settings = Settings::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        settings
            .check()
            .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        // A model whose input depends on the data can't be built without them.
        if settings.model.input != InputSpec::Auto {
            Network::new(settings.model.with_some_sizes())
                .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
        let command = format!("wgrad train examples/{name}");
        assert!(text(&file).contains(&command), "{name} says no command");
    }
}

/// The names in backquotes in the rows of tables of `page` whose first cell is a folder, by folder.
fn named_in_rows(page: &str) -> BTreeMap<String, String> {
    let rows = page.lines().filter(|line| line.starts_with("| `src"));
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for row in rows {
        let folder = row.split('`').nth(1).unwrap().to_string();
        named.entry(folder).or_default().push_str(row);
    }
    named
}

#[test]
fn the_architecture_page_names_every_file() {
    // The files in these folders are named after what they define, so the page need not name them.
    const KINDS: [&str; 7] = [
        "src/ops",
        "src/optim",
        "src/optim/schedule",
        "src/data/formats",
        "src/tasks",
        "src/cli",
        "src/bench",
    ];
    let page = text(&root().join("docs/architecture.md"));
    let named = named_in_rows(&page);
    let mut missing = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        let shown = folder
            .strip_prefix(root())
            .unwrap()
            .to_string_lossy()
            .into_owned();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            // A folder with the name of a file, or of one format, holds parts of it; `mod` and `tests` are in every folder.
            if path.is_dir() {
                if !path.with_extension("rs").is_file() && shown != "src/data/formats" {
                    folders.push(path);
                }
                continue;
            }
            let row = named.get(&shown).map_or("", String::as_str);
            let of_a_kind = KINDS.contains(&shown.as_str()) && is_of_a_kind(&shown, &text(&path));
            if !["mod", "tests"].contains(&&*name)
                && !of_a_kind
                && !row.contains(&format!("`{name}`"))
            {
                missing.push(format!("{shown}/{name}"));
            }
        }
    }
    missing.sort();
    assert!(
        missing.is_empty(),
        "docs/architecture.md does not name {missing:?}"
    );
}

/// Whether the file with this `source` in `folder` is an operation, an optimizer, a schedule, a format, a task or a command.
fn is_of_a_kind(folder: &str, source: &str) -> bool {
    let has = |mark: &str| source.contains(mark);
    match folder {
        "src/ops" => has("impl Op for") || has("impl Pointwise for"),
        "src/optim" => has("impl Optimizer for"),
        "src/optim/schedule" => true,
        "src/data/formats" => has("impl Format for"),
        "src/tasks" => has("static REGISTERED"),
        "src/cli" => has("struct Args"),
        _ => false,
    }
}
