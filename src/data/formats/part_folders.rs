//! Shared by formats of images: which folders are the parts of a data set, by their usual names.

use crate::data::DataError;
use crate::data::files::name_as_text;
use std::collections::BTreeMap;
use std::path::Path;

const TRAIN: [&str; 4] = ["train", "training", "trn", "trainval"];
const VALIDATION: [&str; 6] = [
    "val",
    "valid",
    "validation",
    "validate",
    "dev",
    "development",
];
/// The validation part, or the test part if there is a validation part but no test part.
const EVALUATION: [&str; 2] = ["eval", "evaluation"];
const TEST: [&str; 4] = ["test", "testing", "tst", "holdout"];
/// Words that may stand beside the name of a part.
const FILLERS: [&str; 12] = [
    "set", "data", "dataset", "images", "image", "imgs", "img", "pictures", "photos", "samples",
    "split", "part",
];

/// The part that a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Train,
    Validation,
    Evaluation,
    Test,
}

/// The part that the folder `path` stands for, and what else its name says: `seg_Train-Set` is the training part of `seg`.
pub(super) fn role(path: &Path) -> Option<(Role, String)> {
    let name = name_as_text(path.file_name().unwrap_or_default());
    let mut found = None;
    let mut rest = Vec::new();
    for word in words(&name) {
        match role_of_word(&word) {
            // A name with two parts is neither.
            Some(_) if found.is_some() => return None,
            Some(role) => found = Some(role),
            None if FILLERS.contains(&&*word) => {}
            None => rest.push(word),
        }
    }
    Some((found?, rest.join(" ")))
}

/// The words of a name, in lower case: they end at other characters than letters and digits, before a capital letter that follows
/// a small one, and between letters and digits.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut last: Option<char> = None;
    for letter in name.chars() {
        let ends = last.is_some_and(|last| {
            last.is_lowercase() && letter.is_uppercase() || last.is_numeric() != letter.is_numeric()
        });
        if (ends || !letter.is_alphanumeric()) && words.last().is_some_and(|word| !word.is_empty())
        {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_alphanumeric(), words.last_mut()) {
            word.extend(letter.to_lowercase());
        }
        last = Some(letter);
    }
    words.retain(|word| !word.is_empty());
    words
}

fn role_of_word(word: &str) -> Option<Role> {
    let exact = |word: &str| match word {
        word if TRAIN.contains(&word) => Some(Role::Train),
        word if VALIDATION.contains(&word) => Some(Role::Validation),
        word if EVALUATION.contains(&word) => Some(Role::Evaluation),
        word if TEST.contains(&word) => Some(Role::Test),
        _ => None,
    };
    let joined = || {
        FILLERS
            .iter()
            .find_map(|filler| exact(word.strip_suffix(filler)?))
    };
    exact(word).or_else(joined)
}

/// The folders of the parts of a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartFolders<'t> {
    pub train: Option<&'t Path>,
    pub validation: Option<&'t Path>,
    pub test: Option<&'t Path>,
    /// Folders that are no parts.
    pub others: Vec<&'t Path>,
}

impl<'t> PartFolders<'t> {
    /// The parts among `folders`. Names with other words beside that of the part count if the training part and another one have the
    /// same words: `seg_train` and `seg_test`.
    ///
    /// # Errors
    /// If two folders are the same part.
    pub fn of(folders: &[&'t Path]) -> Result<PartFolders<'t>, DataError> {
        let mut groups: BTreeMap<String, Vec<(Role, &'t Path)>> = BTreeMap::new();
        for &folder in folders {
            if let Some((role, rest)) = role(folder) {
                groups.entry(rest).or_default().push((role, folder));
            }
        }
        let has_train =
            |group: &[(Role, &Path)]| group.iter().any(|(role, _)| *role == Role::Train);
        // The first group is that without other words.
        let whole = |(rest, group): &(&String, &Vec<(Role, &Path)>)| {
            has_train(group)
                && (rest.is_empty() || group.iter().any(|(role, _)| *role != Role::Train))
        };
        let chosen = groups
            .iter()
            .find(whole)
            .or_else(|| groups.get_key_value(""));
        let group = chosen.map(|(_, group)| &group[..]).unwrap_or_default();
        let mut parts = PartFolders {
            others: folders.to_vec(),
            ..PartFolders::default()
        };
        parts
            .others
            .retain(|other| group.iter().all(|(_, folder)| folder != other));
        let mut evaluation = None;
        for &(role, folder) in group {
            let place = match role {
                Role::Train => &mut parts.train,
                Role::Validation => &mut parts.validation,
                Role::Evaluation => &mut evaluation,
                Role::Test => &mut parts.test,
            };
            if let Some(other) = place.replace(folder) {
                return Err(DataError::unusable(
                    folder,
                    format!(
                        "is the same part as {}: rename or remove one of the two folders",
                        other.display()
                    ),
                ));
            }
        }
        if let Some(folder) = evaluation {
            let place = match (parts.validation, parts.test) {
                (Some(_), None) => &mut parts.test,
                (None, _) => &mut parts.validation,
                (Some(_), Some(_)) => {
                    parts.others.push(folder);
                    return Ok(parts);
                }
            };
            *place = Some(folder);
        }
        Ok(parts)
    }

    /// The folders of the parts, in words; `None` if there is none.
    pub fn in_words(&self) -> Option<String> {
        let named = [
            ("training", self.train),
            ("validation", self.validation),
            ("test", self.test),
        ];
        let said = named.iter().filter_map(|(part, folder)| {
            let name = name_as_text((*folder)?.file_name().unwrap_or_default());
            Some(format!("{name} is the {part} part"))
        });
        let said: Vec<String> = said.collect();
        (!said.is_empty()).then(|| format!("folders: {}", said.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_parts_in_any_case() {
        let of = |name: &str| role(Path::new(name));
        let plain = |role| Some((role, String::new()));
        for name in [
            "train",
            "Training",
            "TRAIN",
            "train_set",
            "TrainData",
            "trainset",
            "images-train",
        ] {
            assert_eq!(of(name), plain(Role::Train), "{name}");
        }
        for name in ["val", "Valid", "validation_images", "dev", "VAL_SET"] {
            assert_eq!(of(name), plain(Role::Validation), "{name}");
        }
        for name in ["test", "Testing", "test-set", "testdata"] {
            assert_eq!(of(name), plain(Role::Test), "{name}");
        }
        assert_eq!(of("train2017"), Some((Role::Train, "2017".into())));
        assert_eq!(of("seg_test"), Some((Role::Test, "seg".into())));
        for name in [
            "cat",
            "trained",
            "rain",
            "contest",
            "train_test",
            "value",
            "tests",
            "",
        ] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn folders_are_parts_together() {
        let of = |names: &[&'static str]| {
            let folders: Vec<&Path> = names.iter().map(Path::new).collect();
            PartFolders::of(&folders).map(|parts| {
                let name = |path: Option<&Path>| {
                    path.map_or("-".to_string(), |path| path.display().to_string())
                };
                let [train, validation, test] =
                    [parts.train, parts.validation, parts.test].map(name);
                format!("{train} {validation} {test} {}", parts.others.len())
            })
        };
        let found = |names: &[&'static str]| of(names).unwrap();
        assert_eq!(found(&["Testing", "Training"]), "Training - Testing 0");
        assert_eq!(
            found(&["seg_pred", "seg_test", "seg_train"]),
            "seg_train - seg_test 1"
        );
        assert_eq!(found(&["train2017", "val2017"]), "train2017 val2017 - 0");
        assert_eq!(found(&["test1", "train"]), "train - - 1");
        // A single name with other words is that of a class.
        assert_eq!(found(&["bus", "toy_train"]), "- - - 2");
        assert_eq!(found(&["eval", "train"]), "train eval - 0");
        assert_eq!(found(&["dev", "eval", "train"]), "train dev eval 0");
        let message = of(&["train", "Training"]).unwrap_err().to_string();
        assert!(
            message.contains("Training is the same part as train"),
            "{message}"
        );
    }
}
