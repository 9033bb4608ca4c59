//! Which IDX files of a folder are images and labels, and of which part: by their names and, where these say nothing, by their
//! dimensions and counts.

use super::file::kind_of;
use crate::data::formats::array::{Named, Role};
use crate::data::packed::unpacked_name;
use crate::data::{DataError, Part, Source};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders with more files are searched by names alone.
const MOST_FILES: usize = 64;

/// Usual number of dimensions of a file.
pub(super) fn dimensions_of(role: Role) -> u8 {
    match role {
        Role::Inputs => 3,
        Role::Labels => 1,
    }
}

/// Whether a file may have this number of dimensions: images also channels, and labels a row for each sample.
pub(super) fn accepts(role: Role, dimensions: u8) -> bool {
    match role {
        Role::Inputs => matches!(dimensions, 3 | 4),
        Role::Labels => matches!(dimensions, 1 | 2),
    }
}

/// Images and labels of `part`, for messages.
pub(super) fn what(part: Part, role: Role) -> &'static str {
    match (part, role) {
        (Part::Train, Role::Inputs) => "training images",
        (Part::Train, Role::Labels) => "training labels",
        (Part::Validation, Role::Inputs) => "validation images",
        (Part::Validation, Role::Labels) => "validation labels",
        (Part::Test, Role::Inputs) => "test images",
        (Part::Test, Role::Labels) => "test labels",
    }
}

/// The names of MNIST for a file, for the message that it is missing.
fn usual_names(part: Part, role: Role) -> String {
    let part = match part {
        Part::Train => "train",
        Part::Validation => "val",
        Part::Test => "t10k",
    };
    let (role, dimensions) = match role {
        Role::Inputs => ("images", 3),
        Role::Labels => ("labels", 1),
    };
    let names = ["-idx", ".idx"].iter().flat_map(|mark| {
        ["", ".gz"].map(|end| format!("{part}-{role}{mark}{dimensions}-ubyte{end}"))
    });
    names.collect::<Vec<_>>().join(", ")
}

/// A file that is IDX by its name or its first bytes.
#[derive(Debug)]
struct Candidate {
    path: PathBuf,
    role: Role,
    part: Option<Part>,
    /// The other words of its name: those of the set.
    set: String,
    /// Number of samples that its header declares, if it can be read.
    count: Option<u32>,
}

impl Candidate {
    fn of(path: &Path, source: &Source, looks_inside: bool) -> Option<Candidate> {
        let name = unpacked_name(path);
        let name = name.file_name()?.to_string_lossy().to_lowercase();
        let is_named = is_named(&name);
        let head = match is_named || looks_inside {
            true => source.head(path),
            false => return None,
        };
        let kind = kind_of(&head);
        if kind.is_none() && !is_named {
            return None;
        }
        // Without `idx3-ubyte`, which would name the set.
        let stem = name.find("idx").map_or_else(
            || name.split('.').next().unwrap_or_default(),
            |at| &name[..at],
        );
        let named = Named::of(stem);
        let dimensions = kind.map_or(3, |(_, dimensions)| dimensions);
        let roles = [Role::Inputs, Role::Labels];
        let by_dimensions = roles.into_iter().find(|&role| accepts(role, dimensions));
        let count = head.get(4..8).and_then(|bytes| bytes.try_into().ok());
        Some(Candidate {
            path: path.to_owned(),
            role: named.role.or(by_dimensions)?,
            part: named.part,
            set: named.rest.join("-"),
            count: count.map(u32::from_be_bytes),
        })
    }
}

/// Whether a name in lower case is that of an IDX file, such as `train-images-idx3-ubyte`.
fn is_named(name: &str) -> bool {
    let after = name.split("idx").nth(1);
    name.contains("-ubyte")
        || after.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Images and labels of a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub part: Part,
    pub images: PathBuf,
    pub labels: PathBuf,
}

/// The files of a set.
#[derive(Debug)]
pub(super) struct SetFiles {
    /// The training part, and the others that exist.
    pub pairs: Vec<Pair>,
    /// The words of its files' names that are not those of parts and roles, such as `emnist-letters`.
    pub set: String,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// The IDX files of `source`, with the evidence that continues "it has".
pub(super) fn evidence(source: &Source) -> Option<(u8, String)> {
    let found = candidates(source);
    let name = |candidate: &Candidate| {
        let name = candidate.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    if let Some(named) = found
        .iter()
        .map(name)
        .find(|name| is_named(&name.to_lowercase()))
    {
        return Some((95, format!("a file {named}")));
    }
    let images = found.iter().find(|c| c.role == Role::Inputs)?;
    Some((85, format!("the first bytes of IDX in {}", name(images))))
}

fn candidates(source: &Source) -> Vec<Candidate> {
    if source.is_file() {
        let own = Candidate::of(source.path(), source, true);
        let Some(own) = own else { return Vec::new() };
        // The other files of its set lie beside it.
        let folder = source.path().parent();
        let entries = folder.and_then(|folder| crate::data::files::sorted_entries(folder).ok());
        let beside = entries.unwrap_or_default();
        let looks = beside.len() <= MOST_FILES;
        let beside = beside
            .iter()
            .filter(|path| path.is_file() && **path != own.path);
        let beside = beside.filter_map(|path| Candidate::of(path, source, looks));
        let mut found: Vec<Candidate> = beside.filter(|other| other.set == own.set).collect();
        found.insert(0, own);
        return found;
    }
    let files: Vec<_> = source.entries().iter().filter(|e| !e.is_folder).collect();
    let looks = files.len() <= MOST_FILES;
    let found = files.iter();
    found
        .filter_map(|entry| Candidate::of(&entry.path, source, looks))
        .collect()
}

/// Chooses the files of one set in `source`.
///
/// # Errors
/// Names the file that is missing, or the sets of which there are several.
pub(super) fn choose(source: &Source) -> Result<SetFiles, DataError> {
    let all = candidates(source);
    let sets: BTreeSet<&str> = all.iter().map(|candidate| &*candidate.set).collect();
    let complete = |set: &&&str| {
        let has = |role| all.iter().any(|c| c.set == **set && c.role == role);
        has(Role::Inputs) && has(Role::Labels)
    };
    let complete: Vec<&str> = sets.iter().filter(complete).copied().collect();
    let mut notes = Vec::new();
    let set = match complete[..] {
        // The names of images and labels have nothing in common.
        [] => None,
        [only] => Some(only),
        _ => return Err(several(source, &all, &complete)),
    };
    let (chosen, others): (Vec<&Candidate>, Vec<&Candidate>) = all
        .iter()
        .partition(|candidate| set.is_none_or(|set| candidate.set == set));
    if !others.is_empty() {
        let names: Vec<_> = others.iter().map(|other| name(&other.path)).collect();
        notes.push(format!(
            "{} belong to no images with labels and are not read",
            names.join(", ")
        ));
    }
    let folder = match source.is_file() {
        true => source.path().parent().unwrap_or(source.path()),
        false => source.path(),
    };
    Ok(SetFiles {
        pairs: pairs(&chosen, folder)?,
        set: set.unwrap_or_default().to_string(),
        notes,
    })
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn several(source: &Source, all: &[Candidate], sets: &[&str]) -> DataError {
    let images = |set: &&str| {
        let images = all
            .iter()
            .find(|c| c.set == **set && c.role == Role::Inputs);
        images.map(|images| name(&images.path))
    };
    let images: Vec<String> = sets.iter().filter_map(images).collect();
    let problem = format!(
        "holds several sets of IDX files: set data.source to a file of images of one of them, {}",
        images.join(" or ")
    );
    DataError::unusable(source.path(), problem)
}

/// Images and labels of each part.
fn pairs(chosen: &[&Candidate], folder: &Path) -> Result<Vec<Pair>, DataError> {
    let of = |role: Role, part: Option<Part>| -> Vec<&Candidate> {
        let found = chosen.iter().filter(|c| c.role == role && c.part == part);
        found.copied().collect()
    };
    let missing = |part, role| DataError::MissingFile {
        folder: folder.to_owned(),
        what: what(part, role),
        looked_for: usual_names(part, role),
    };
    let several = |part, role, found: &[&Candidate]| {
        let names: Vec<String> = found.iter().map(|c| name(&c.path)).collect();
        let problem = format!(
            "holds several files of {}: {}; put `train` and `test` into their names, or leave one",
            what(part, role),
            names.join(", ")
        );
        DataError::unusable(folder, problem)
    };
    let mut pairs = Vec::new();
    for part in [Part::Train, Part::Validation, Part::Test] {
        let with_part = |role| {
            let found = of(role, Some(part));
            // Files without a part are the training part.
            match found.is_empty() && part == Part::Train {
                true => of(role, None),
                false => found,
            }
        };
        let images = with_part(Role::Inputs);
        let mut labels = with_part(Role::Labels);
        if part != Part::Train && images.is_empty() && labels.is_empty() {
            continue;
        }
        let images = match images[..] {
            [] => return Err(missing(part, Role::Inputs)),
            [images] => images,
            _ => return Err(several(part, Role::Inputs, &images)),
        };
        if labels.is_empty() {
            labels = of(Role::Labels, None);
        }
        if labels.len() > 1 {
            labels.retain(|labels| labels.count == images.count);
        }
        let labels = match labels[..] {
            [] => return Err(missing(part, Role::Labels)),
            [labels] => labels,
            _ => return Err(several(part, Role::Labels, &labels)),
        };
        pairs.push(Pair {
            part,
            images: images.path.clone(),
            labels: labels.path.clone(),
        });
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn header(shape: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|n| n.to_be_bytes()));
        bytes
    }

    /// The images and labels that are chosen from files with these names and shapes, and the name of the set.
    fn chosen(files: &[(&str, &[u32])]) -> Result<(Vec<[String; 2]>, String), String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, shape) in files {
            fs::write(dir.path().join(name), header(shape)).unwrap();
        }
        let source = Source::look(&dir.path().display().to_string()).unwrap();
        let found = choose(&source).map_err(|e| e.to_string())?;
        let names = |pair: &Pair| [name(&pair.images), name(&pair.labels)];
        Ok((found.pairs.iter().map(names).collect(), found.set))
    }

    #[test]
    fn parts_and_roles_are_in_names() {
        let names = |images: &str, labels: &str| [images.to_string(), labels.to_string()];
        let (images, labels) = (&[3, 2, 2][..], &[3][..]);
        let found = chosen(&[
            ("emnist-letters-train-images-idx3-ubyte", images),
            ("emnist-letters-train-labels-idx1-ubyte", labels),
            ("emnist-letters-test-images-idx3-ubyte", images),
            ("emnist-letters-test-labels-idx1-ubyte", labels),
        ]);
        let (pairs, set) = found.unwrap();
        assert_eq!((pairs.len(), &*set), (2, "emnist-letters"));
        assert_eq!(pairs[1][1], "emnist-letters-test-labels-idx1-ubyte");
        let found = chosen(&[
            ("X_kannada_MNIST_train-idx3-ubyte", images),
            ("y_kannada_MNIST_train-idx1-ubyte", labels),
        ]);
        let (pairs, set) = found.unwrap();
        let wanted = names(
            "X_kannada_MNIST_train-idx3-ubyte",
            "y_kannada_MNIST_train-idx1-ubyte",
        );
        assert_eq!((pairs, &*set), (vec![wanted], "kannada-mnist"));
        // Names that say nothing.
        let (pairs, _) = chosen(&[("a", images), ("b.bin", labels)]).unwrap();
        assert_eq!(pairs, [names("a", "b.bin")]);
        // Labels without a part are found by their count.
        let found = chosen(&[
            ("images_train", &[5, 2, 2]),
            ("images_test", &[4, 2, 2]),
            ("labels_a", &[4]),
            ("labels_b", &[5]),
        ]);
        let wanted = [
            names("images_train", "labels_b"),
            names("images_test", "labels_a"),
        ];
        assert_eq!(found.unwrap().0, wanted);
    }

    #[test]
    fn several_sets_are_told_apart_by_their_files() {
        let (images, labels) = (&[3, 2, 2][..], &[3][..]);
        let files = [
            ("a-train-images-idx3-ubyte", images),
            ("a-train-labels-idx1-ubyte", labels),
            ("b-train-images-idx3-ubyte", images),
            ("b-train-labels-idx1-ubyte", labels),
        ];
        let message = chosen(&files).unwrap_err();
        assert!(
            message.contains("a-train-images-idx3-ubyte or b-train-images-idx3-ubyte"),
            "{message}"
        );
        let (pairs, _) = chosen(&files[..3]).unwrap();
        assert_eq!(pairs.len(), 1);
        let dir = tempfile::tempdir().unwrap();
        for (name, shape) in &files {
            fs::write(dir.path().join(name), header(shape)).unwrap();
        }
        let own = dir.path().join("b-train-images-idx3-ubyte");
        let source = Source::look(&own.display().to_string()).unwrap();
        let found = choose(&source).unwrap();
        assert_eq!((found.pairs[0].images.clone(), &*found.set), (own, "b"));
        let message = chosen(&[("x1", images), ("x2", images), ("y", labels)]).unwrap_err();
        assert!(
            message.contains("several files of training images"),
            "{message}"
        );
    }
}
