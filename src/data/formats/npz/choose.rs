//! Which arrays of a source are inputs and labels, and of which part: by their names and, where these say nothing, by their order
//! and axes.

use super::stored::Stored;
use crate::data::formats::array::{Named, Role};
use crate::data::{DataError, Part};
use std::path::Path;

/// Inputs and labels of a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub part: Part,
    pub inputs: Stored,
    /// Absent only where they are not needed.
    pub labels: Option<Stored>,
}

/// Inputs and labels of each part among `arrays`, training first, and the names of arrays that are neither.
///
/// # Errors
/// If no array holds inputs, or several do; `path` is the source.
pub(super) fn choose(
    arrays: &[Stored],
    path: &Path,
) -> Result<(Vec<Pair>, Vec<String>), DataError> {
    let named: Vec<(Named, &Stored)> = arrays
        .iter()
        .map(|stored| (Named::of(&stored.name), stored))
        .collect();
    let is_input = |(named, _): &(Named, &Stored)| named.role == Some(Role::Inputs);
    if !named.iter().any(is_input) {
        return Ok((in_order(arrays, path)?, Vec::new()));
    }
    let mut pairs = Vec::new();
    for part in [Part::Train, Part::Validation, Part::Test] {
        let with = |role: Role, part: Option<Part>| -> Vec<&Stored> {
            let is =
                |(named, _): &&(Named, &Stored)| named.role == Some(role) && named.part == part;
            named.iter().filter(is).map(|(_, stored)| *stored).collect()
        };
        // Arrays without a part are the training part.
        let of = |role: Role| match (with(role, Some(part)), part) {
            (found, Part::Train) if found.is_empty() => with(role, None),
            (found, _) => found,
        };
        let one = |found: Vec<&Stored>| match found[..] {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            _ => {
                let names: Vec<&str> = found.iter().map(|stored| &*stored.name).collect();
                let problem = format!(
                    "holds several arrays of the {} part, {}: leave one of them, or rename the others",
                    part.name(),
                    names.join(", ")
                );
                Err(DataError::unusable(path, problem))
            }
        };
        let (inputs, labels) = (one(of(Role::Inputs))?, one(of(Role::Labels))?);
        match (inputs, labels, part) {
            (Some(inputs), labels, _) => pairs.push(Pair {
                part,
                inputs,
                labels,
            }),
            (None, _, Part::Train) => return Err(missing(path)),
            (None, _, _) => {}
        }
    }
    let others = named.iter().filter(|(_, stored)| {
        let is = |pair: &Pair| pair.inputs == **stored || pair.labels.as_ref() == Some(*stored);
        !pairs.iter().any(is)
    });
    let others = others.map(|(_, stored)| stored.name.clone()).collect();
    Ok((pairs, others))
}

fn missing(path: &Path) -> DataError {
    DataError::unusable(
        path,
        "holds no array x_train, train_images, images or x: name the arrays x_train, y_train, x_test and y_test",
    )
}

/// Pairs of arrays whose names say nothing: `arr_0` and `arr_1` are inputs and labels, `arr_2` and `arr_3` those of the test part;
/// if the first two have equally many axes, they are the inputs of both parts, as of `train_test_split`. Of two arrays with other
/// names, the one with more axes holds the inputs.
fn in_order(arrays: &[Stored], path: &Path) -> Result<Vec<Pair>, DataError> {
    let mut arrays = arrays.to_vec();
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    let is_numbered = |(place, stored): (usize, &Stored)| stored.name == format!("arr_{place}");
    let numbered = arrays.iter().enumerate().all(is_numbered);
    let pair = |part, inputs: &Stored, labels: &Stored| Pair {
        part,
        inputs: inputs.clone(),
        labels: Some(labels.clone()),
    };
    match &arrays[..] {
        [only] => Ok(vec![Pair {
            part: Part::Train,
            inputs: only.clone(),
            labels: None,
        }]),
        [a, b] => {
            let swapped = !numbered && b.shape()?.len() > a.shape()?.len();
            let [inputs, labels] = if swapped { [b, a] } else { [a, b] };
            Ok(vec![pair(Part::Train, inputs, labels)])
        }
        [a, b, c, d] if numbered => {
            let by_kind = a.shape()?.len() == b.shape()?.len();
            let [train, test] = if by_kind {
                [[a, c], [b, d]]
            } else {
                [[a, b], [c, d]]
            };
            Ok(vec![
                pair(Part::Train, train[0], train[1]),
                pair(Part::Test, test[0], test[1]),
            ])
        }
        _ => Err(missing(path)),
    }
}
