//! The YAML file that describes data in YOLO's layout.

use crate::data::DataError;
use crate::data::formats::boxes::text_of;
use std::path::Path;
use yaml_rust2::Event;
use yaml_rust2::parser::Parser;

/// Maximum number of mappings and lists within each other.
const DEEPEST: usize = 16;

/// What a data file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DataFile {
    /// Images of the training part.
    pub train: Option<String>,
    /// Images of the validation part.
    pub validation: Option<String>,
    /// Images of the test part.
    pub test: Option<String>,
    /// Names of the classes.
    pub names: Vec<String>,
}

/// Reads the file `path`.
///
/// # Errors
/// If it is no YAML.
pub(super) fn read_data_file(path: &Path) -> Result<DataFile, DataError> {
    parsed(&text_of(path)?).map_err(|what| DataError::unusable(path, what))
}

fn parsed(text: &str) -> Result<DataFile, String> {
    let mut parser = Parser::new(text.chars());
    let mut file = DataFile::default();
    // For each mapping or list around the current place, its key at the moment, if it is a mapping.
    let mut around: Vec<Option<Option<String>>> = Vec::new();
    loop {
        let (event, place) = parser
            .next_token()
            .map_err(|e| format!("is no YAML: {}", e.to_string().replace('\n', " ")))?;
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if around.len() >= DEEPEST {
                    return Err(format!("has over {DEEPEST} lists within each other"));
                }
                around.push(matches!(event, Event::MappingStart(..)).then_some(None));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                around.pop();
                end_value(&mut around);
            }
            Event::Scalar(value, ..) => {
                let is_key = matches!(around.last(), Some(Some(None)));
                if let (true, Some(Some(key))) = (is_key, around.last_mut()) {
                    *key = Some(value);
                    continue;
                }
                file.take(&around, value);
                end_value(&mut around);
            }
            Event::Alias(_) => {
                return Err(format!(
                    "has an alias (*) at line {}, which is not read",
                    place.line()
                ));
            }
            Event::StreamEnd => return Ok(file),
            _ => {}
        }
    }
}

/// The value of the innermost mapping's key ends.
fn end_value(around: &mut [Option<Option<String>>]) {
    if let Some(Some(key)) = around.last_mut() {
        *key = None;
    }
}

impl DataFile {
    /// Takes the `value` at a place, if it is one of those that matter.
    fn take(&mut self, around: &[Option<Option<String>>], value: String) {
        let key = |at: usize| {
            around
                .get(at)
                .and_then(Option::as_ref)
                .and_then(Option::as_deref)
        };
        let is_empty = value.is_empty() || value == "~" || value == "null";
        match (around.len(), key(0)) {
            (2, Some("names")) => self.names.push(value),
            // Of several folders, the first.
            (1 | 2, Some(part)) if !is_empty => {
                let place = match part {
                    "train" => &mut self.train,
                    "val" | "valid" | "validation" => &mut self.validation,
                    "test" => &mut self.test,
                    _ => return,
                };
                place.get_or_insert(value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_list_or_a_mapping() {
        let list = parsed(
            "path: ../x\ntrain: images/train\nval: [a, b]\nnc: 2\nnames: ['cat', \"dog\"]\n",
        );
        let list = list.unwrap();
        assert_eq!(list.names, ["cat", "dog"]);
        assert_eq!(list.train.as_deref(), Some("images/train"));
        assert_eq!(list.validation.as_deref(), Some("a"));
        let mapping =
            parsed("names:\n  0: person\n  1: car\ntest:\nextra:\n  names: [x]\n").unwrap();
        assert_eq!(
            (mapping.names, mapping.test),
            (vec!["person".into(), "car".into()], None)
        );
    }

    #[test]
    fn aliases_and_broken_files_are_refused() {
        assert!(
            parsed("a: &x [1]\nnames: [*x, *x]")
                .unwrap_err()
                .contains("alias")
        );
        assert!(parsed("names: [a, b").unwrap_err().contains("no YAML"));
        assert!(parsed(&"[".repeat(100)).is_err());
    }
}
