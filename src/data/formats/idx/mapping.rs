//! Files of class names beside IDX files: `classes.txt`, and the mappings of EMNIST.

use crate::data::formats::array::ClassNames;
use crate::data::{DataError, files};
use std::collections::BTreeMap;
use std::path::Path;

/// The names of classes in a file of `folder`, for the set whose files' names begin with `set`.
///
/// # Errors
/// If the names can't be read.
pub(super) fn class_names(folder: &Path, set: &str) -> Result<Option<ClassNames>, DataError> {
    let lines = folder.join("classes.txt");
    if lines.is_file() {
        let names = files::class_names(&lines)?;
        return Ok(Some(ClassNames::Lines(names)));
    }
    let mapping = folder.join(format!("{set}-mapping.txt"));
    if set.is_empty() || !mapping.is_file() {
        return Ok(None);
    }
    let names = read_mapping(&mapping)?;
    Ok(Some(ClassNames::ByLabel(names)))
}

/// The names in a mapping of EMNIST (Cohen et al. 2017): a label and the code of its character on each line, or the codes of a
/// capital and a small letter, of which the first is the name.
fn read_mapping(path: &Path) -> Result<BTreeMap<i64, String>, DataError> {
    let wrong = |line: usize| DataError::ClassNames {
        path: path.to_owned(),
        problem: format!("has no label and character code in line {line}"),
    };
    let mut names = BTreeMap::new();
    for (line, n) in files::class_names(path)?.iter().zip(1..) {
        let mut numbers = line.split_whitespace();
        let label = numbers.next().and_then(|label| label.parse().ok());
        let code = numbers.next().and_then(|code| code.parse().ok());
        let character = code.and_then(char::from_u32).filter(|c| !c.is_control());
        let (label, character) = label.zip(character).ok_or_else(|| wrong(n))?;
        names.insert(label, character.to_string());
    }
    Ok(names)
}
