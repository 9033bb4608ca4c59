//! The JSON schemas of run and model files accept what the program accepts, and know the same keys.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use wgrad::nn::{LayerKind, ModelSpec};
use wgrad::optim::{OptimizerConfig, Schedule};
use wgrad::settings::{Settings, SweepSettings, model_schema, run_schema, sweep_schema};
use wgrad::tasks::{Loss, REGISTRY, TaskSettings};

/// The part of JSON Schema, draft 7, that the schemas use: why a value is not valid, if it is not.
struct Validator<'s> {
    root: &'s Value,
}

impl Validator<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let Value::Object(schema) = schema else {
            return match schema {
                Value::Bool(true) => Ok(()),
                _ => Err(format!("{at}: nothing is allowed")),
            };
        };
        for (keyword, rule) in schema {
            self.keyword(schema, keyword, rule, value, at)?;
        }
        Ok(())
    }

    fn keyword(
        &self,
        schema: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        let wrong = |what: String| Err(format!("{at}: {what}"));
        let rules = || rule.as_array().unwrap().iter();
        let fitting = || rules().filter(|rule| self.check(rule, value, at).is_ok());
        let holds = match keyword {
            "$schema" | "title" | "description" | "default" | "definitions" | "format"
            | "writeOnly" => true,
            "$ref" => {
                let place = rule.as_str().unwrap().strip_prefix('#').unwrap();
                let target = self
                    .root
                    .pointer(place)
                    .expect("a reference leads somewhere");
                return self.check(target, value, at);
            }
            "type" => match rule {
                Value::String(ty) => has_type(value, ty),
                types => rules_of(types).any(|ty| has_type(value, ty.as_str().unwrap())),
            },
            "enum" => rules().any(|one| one == value),
            "const" => rule == value,
            "minimum" => value.as_f64().is_none_or(|x| x >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|x| x <= rule.as_f64().unwrap()),
            "minItems" => length(value).is_none_or(|n| n >= rule.as_u64().unwrap()),
            "maxItems" => length(value).is_none_or(|n| n <= rule.as_u64().unwrap()),
            "pattern" => value
                .as_str()
                .is_none_or(|text| match rule.as_str().unwrap() {
                    "^\\$" => text.starts_with('$'),
                    "^#[0-9a-fA-F]{6}$" => text.starts_with('#') && text.len() == 7,
                    other => panic!("the pattern {other} is not known here"),
                }),
            "allOf" => return rules().try_for_each(|rule| self.check(rule, value, at)),
            "anyOf" => fitting().next().is_some(),
            "oneOf" => fitting().count() == 1,
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                for (number, item) in items {
                    self.check(rule, item, &format!("{at}[{number}]"))?;
                }
                true
            }
            "properties" => {
                let rules = rule.as_object().unwrap();
                for (key, value) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rules.get(key) {
                        self.check(rule, value, &format!("{at}.{key}"))?;
                    }
                }
                true
            }
            "required" => {
                let missing = value.as_object().and_then(|value| {
                    rules().find(|key| !value.contains_key(key.as_str().unwrap()))
                });
                return missing.map_or(Ok(()), |key| wrong(format!("{key} is missing")));
            }
            "additionalProperties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    let known = schema
                        .get("properties")
                        .is_some_and(|p| p.get(key).is_some());
                    if !known {
                        self.check(rule, value, &format!("{at}.{key}"))?;
                    }
                }
                true
            }
            other => panic!("the keyword {other} is not known here"),
        };
        match holds {
            true => Ok(()),
            false => wrong(format!("{value} does not fit {keyword} {rule}")),
        }
    }
}

fn rules_of(rule: &Value) -> impl Iterator<Item = &Value> {
    rule.as_array().into_iter().flatten()
}

fn has_type(value: &Value, ty: &str) -> bool {
    match ty {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("the type {other} is not in TOML"),
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_array().map(|items| items.len() as u64)
}

/// Why the TOML `text` is not valid.
fn check(schema: &Value, text: &str) -> Result<(), String> {
    let value: toml::Table = toml::from_str(text).map_err(|e| e.to_string())?;
    let value = serde_json::to_value(value).unwrap();
    Validator { root: schema }.check(schema, &value, "")
}

fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|e| e == ending));
    paths
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn run_files_of_the_repository_are_valid() {
    let (schema, sweep) = (run_schema(), sweep_schema());
    let mut checked = 0;
    let starters = files("assets/starters", "toml");
    for (path, text) in files("examples", "toml").into_iter().chain(starters) {
        let schema = match SweepSettings::is_at(&path) {
            true => &sweep,
            false => &schema,
        };
        check(schema, &text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        checked += 1;
    }
    let written = toml::to_string(&Settings::preset().unwrap()).unwrap();
    check(&schema, &written).unwrap();
    assert!(checked > 20, "only {checked} files");
}

#[test]
fn built_in_models_are_valid() {
    let schema = model_schema();
    for (path, text) in files("assets/models", "toml") {
        check(&schema, &text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    }
}

/// Whether a task that the settings name exists.
fn has_known_task(settings: Settings) -> bool {
    settings.task.name.is_none() || settings.named_task().is_ok()
}

/// Blocks of TOML in the documents that the program accepts are valid. Some are only parts of files.
#[test]
fn examples_in_the_documents_are_valid() {
    let (run, model) = (run_schema(), model_schema());
    let mut checked = 0;
    for (path, page) in files("docs", "md").into_iter().chain(files("", "md")) {
        for block in page.split("```toml\n").skip(1) {
            let text = block.split("```").next().unwrap();
            let accepted = [
                (
                    &run,
                    toml::from_str::<Settings>(text).is_ok_and(has_known_task),
                ),
                (&model, toml::from_str::<ModelSpec>(text).is_ok()),
            ];
            for (schema, _) in accepted.iter().filter(|(_, accepted)| *accepted) {
                check(schema, text)
                    .unwrap_or_else(|why| panic!("{}: {why}: {text}", path.display()));
                checked += 1;
            }
        }
    }
    assert!(checked > 5, "only {checked} examples");
}

#[test]
fn other_files_are_not_valid() {
    let (run, model) = (run_schema(), model_schema());
    for text in [
        "zzz = 1",
        "epochs = -1",
        "epochs = \"3\"",
        "batch = 1.5",
        "device = \"tpu\"",
        "[data]\nzzz = 1",
        "[data]\nformat = \"zzz\"",
        "[data]\nsize = [1, 2, 3]",
        "[augment]\nzzz = 1",
        "optimizer = \"zzz\"",
        "[optimizer]\nlr = 0.1",
        "[optimizer]\nname = \"adam\"\nmomentum = 0.9",
        "[optimizers.generator]\nname = \"adam\"\nmomentum = 0.9",
        "[schedule]\nname = \"cosine\"\nwarmup = 2",
        "schedule = \"step\"",
        "[[group]]\nlr = 0.1",
        "task = \"zzz\"",
        "[task]\nname = \"classification\"\nlatent = 3",
        "[task]\nname = \"gan\"\nzzz = 3",
        "[model]\nname = \"m\"\ninput = [4]",
        "[model]\nname = \"m\"\ninput = [4]\n[[model.layer]]\ntype = \"zzz\"",
        "[model]\nname = \"m\"\ninput = [4]\n[[model.layer]]\ntype = \"dense\"\nunit = 3",
    ] {
        assert!(check(&run, text).is_err(), "{text}");
    }
    let sweep = sweep_schema();
    for (text, valid) in [
        ("run = \"run.toml\"\nvalues = { batch = [1, 2] }", true),
        ("run = \"run.toml\"\nseeds = [1, 2]\nvalues = {}", true),
        ("run = \"run.toml\"\nseeds = \"two\"\nvalues = {}", false),
        ("run = { zzz = 1 }\nvalues = {}", false),
        ("run = \"run.toml\"", false),
        ("run = \"run.toml\"\nmethod = \"guess\"\nvalues = {}", false),
    ] {
        assert_eq!(check(&sweep, text).is_ok(), valid, "{text}");
    }
    let block = "name = \"m\"\ninput = [4]\nlayer = []\n[[block.b.layer]]\n";
    for (text, valid) in [
        (
            "type = \"dense\"\nunits = \"$units\"\nwhen = \"$bias\"",
            true,
        ),
        ("type = \"dense\"\nunits = 3\nwhen = 3", false),
        ("type = \"dense\"\nunits = 3\nzzz = \"$units\"", false),
    ] {
        assert_eq!(
            check(&model, &format!("{block}{text}")).is_ok(),
            valid,
            "{text}"
        );
    }
}

/// The keys that the program names where the file `text` has an unknown key `zzz`.
fn known_keys<T: serde::de::DeserializeOwned>(text: &str) -> BTreeSet<String> {
    let error = toml::from_str::<T>(text).err().expect("zzz is refused");
    let message = error.message().to_string();
    assert!(message.contains("unknown field `zzz`"), "{message}");
    let (_, expected) = message.split_once("expected").unwrap_or_default();
    quoted(expected)
}

/// The words in backquotes.
fn quoted(text: &str) -> BTreeSet<String> {
    let words = text.split('`').skip(1).step_by(2);
    words.map(str::to_string).collect()
}

fn keys(schema: &Value) -> BTreeSet<String> {
    let properties = schema["properties"].as_object().unwrap();
    properties.keys().cloned().collect()
}

/// The kind of a table, among those of `schema`, whose key `tag` is `name`.
fn kind<'s>(schema: &'s Value, tag: &str, name: &str) -> &'s Value {
    let kinds = schema.get("oneOf").or(schema.get("anyOf"));
    let kinds = kinds.and_then(Value::as_array).unwrap();
    let found = kinds
        .iter()
        .find(|kind| kind["properties"][tag]["const"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in the schema"))
}

fn without(mut keys: BTreeSet<String>, left_out: &[&str]) -> BTreeSet<String> {
    keys.retain(|key| !left_out.contains(&&**key));
    keys
}

#[test]
fn the_schema_has_every_key_that_the_program_knows() {
    let schema = run_schema();
    let definition = |name: &str| &schema["definitions"][name];
    assert_eq!(keys(&schema), known_keys::<Settings>("zzz = 1"));
    for (table, name) in [
        ("data", "DataSettings"),
        ("augment", "AugmentSettings"),
        ("average", "Average"),
        ("fitted", "Fitted"),
        ("group", "GroupSettings"),
    ] {
        let header = if table == "group" {
            "[[group]]".to_string()
        } else {
            format!("[{table}]")
        };
        let known = known_keys::<Settings>(&format!("{header}\nzzz = 1"));
        assert_eq!(keys(definition(name)), known, "{table}");
    }
    assert_eq!(
        keys(&model_schema()),
        known_keys::<ModelSpec>("name = \"m\"\nlayer = []\nzzz = 1")
    );
    for name in OptimizerConfig::NAMES {
        let known = known_keys::<OptimizerConfig>(&format!("name = \"{name}\"\nzzz = 1"));
        let own = keys(kind(definition("optimizer"), "name", name));
        assert_eq!(without(own, &["name"]), known, "{name}");
    }
    for name in Schedule::NAMES {
        let known = known_keys::<Schedule>(&format!("name = \"{name}\"\nzzz = 1"));
        let own = keys(kind(definition("schedule"), "name", name));
        assert_eq!(without(own, &["name"]), known, "{name}");
    }
    for name in Loss::NAMES.iter().filter(|name| **name != "auto") {
        let known = known_keys::<Loss>(&format!("name = \"{name}\"\nzzz = 1"));
        let own = keys(kind(definition("Loss"), "name", name));
        assert_eq!(without(own, &["name"]), known, "{name}");
        Loss::named(name).unwrap();
    }
    let layers = definition("Layer")["oneOf"].as_array().unwrap();
    assert!(layers.len() > 30, "only {} kinds of layers", layers.len());
    for layer in layers {
        let name = layer["properties"]["type"]["const"].as_str().unwrap();
        let known = known_keys::<LayerKind>(&format!("type = \"{name}\"\nzzz = 1"));
        let own = keys(layer);
        assert_eq!(
            without(own, &["type", "name", "input", "inputs"]),
            known,
            "{name}"
        );
    }
    for task in REGISTRY {
        let name = task.name;
        let settings = TaskSettings {
            name: Some(name.to_string()),
            own: toml::Table::from_iter([("zzz".to_string(), 1.into())]),
            ..TaskSettings::default()
        };
        let message = (task.make)(&settings).unwrap_err().to_string();
        let expected = message.split_once("expected").map_or("", |(_, keys)| keys);
        let own = keys(kind(definition("task"), "name", name));
        assert_eq!(without(own, &["name"]), quoted(expected), "{message}");
    }
}

/// A table with a single key may be described in its place.
#[test]
fn every_key_is_described() {
    let mut bare = BTreeSet::new();
    for schema in [run_schema(), model_schema(), sweep_schema()] {
        collect_bare(&schema, "", &mut bare);
    }
    assert!(bare.is_empty(), "{bare:#?}");
}

fn collect_bare(schema: &Value, at: &str, bare: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                let at = format!("{at}/{key}");
                collect_bare(value, &at, bare);
                let is_only = object.contains_key("description")
                    && value.as_object().is_some_and(|value| value.len() == 1);
                let properties = (key == "properties" && !is_only)
                    .then(|| value.as_object())
                    .flatten();
                for (name, property) in properties.into_iter().flatten() {
                    let is_tag = property.get("const").is_some();
                    if property.get("description").is_none() && !is_tag {
                        bare.insert(format!("{at}/{name}"));
                    }
                }
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                collect_bare(item, &format!("{at}/{number}"), bare);
            }
        }
        _ => {}
    }
}

#[test]
fn a_schema_says_what_it_is_and_has_the_defaults() {
    let schema = run_schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let properties = &schema["properties"];
    assert_eq!(properties["batch"]["default"], json!(128));
    assert_eq!(properties["shuffle"]["default"], json!(true));
    let text = serde_json::to_string(&schema).unwrap();
    assert!(!text.contains("\"null\"") && !text.contains("[`"), "{text}");
}
