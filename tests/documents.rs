//! What the documents say holds: links lead somewhere, commands exist, README's program is the one that compiles, settings
//! of the examples are right and say the command that runs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wgrad::nn::{InputSpec, Network};
use wgrad::settings::Settings;

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
        let settings = Settings::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        settings
            .check()
            .unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        // Those whose input is that of the data are built when the data are there.
        if settings.model.input != InputSpec::Auto {
            Network::new(settings.model).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        }
        let name = file.file_name().unwrap().to_str().unwrap();
        let command = format!("wgrad train examples/{name}");
        assert!(text(&file).contains(&command), "{name} says no command");
    }
}
