//! The classes of labels: which label is which class, and their names.

use super::Labels;
use crate::data::Fitted;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Maximum number of classes, so that a damaged label does not imply a billion of them.
const MOST: i64 = 65_536;

/// Names of classes that a file gives.
pub(in crate::data::formats) enum ClassNames {
    /// One after another.
    Lines(Vec<String>),
    /// By label.
    ByLabel(BTreeMap<i64, String>),
}

/// The classes of a data set.
pub(in crate::data::formats) struct Classes {
    /// Name of each class.
    pub names: Vec<String>,
    /// The number of the first class, if the labels are numbers in sequence.
    pub first: i64,
    /// How the labels were read, if that is not obvious.
    pub found: Option<String>,
    /// The class of each label; numbers count from 0, and names are those of classes, if there are none.
    cells: Option<HashMap<String, u32>>,
}

impl Classes {
    /// The classes of `fitted`, or else those of the labels `train`, which other parts may only repeat. Numbers are classes from 0,
    /// or from 1 if no part has a 0; other numbers are classes by their values, as names are. The labels of classes that differ
    /// from their names and places are stored in `fitted`.
    ///
    /// # Errors
    /// If there are too many, as the rest of a sentence about the labels.
    pub fn of(
        train: &Labels,
        others: &[&Labels],
        names: Option<ClassNames>,
        fitted: &mut Fitted,
    ) -> Result<Classes, String> {
        if !fitted.classes.is_empty() {
            return Ok(Classes::fitted(train, fitted));
        }
        let numbers = match train {
            Labels::Names(names) => {
                let distinct: BTreeSet<&String> = names.iter().collect();
                let names: Vec<String> = distinct.into_iter().cloned().collect();
                return Classes::from_zero(names);
            }
            Labels::Numbers(numbers) => numbers,
        };
        let all = [train].into_iter().chain(others.iter().copied());
        let least = all.filter_map(Labels::least).min().unwrap_or(0);
        let most = numbers.iter().copied().max().unwrap_or(0);
        let (values, names, first) = match names {
            Some(ClassNames::ByLabel(names)) => {
                let (values, names): (Vec<i64>, Vec<String>) = names.into_iter().unzip();
                let first = values.first().copied().unwrap_or(0);
                (values, names, first)
            }
            Some(ClassNames::Lines(names)) => {
                let count = names.len() as i64;
                let first = i64::from(least >= 1 && most == count);
                ((first..first + count).collect(), names, first)
            }
            None => {
                let first = if (0..=1).contains(&least) { least } else { 0 };
                let values: Vec<i64> = match least == first && most - first < MOST {
                    true => (first..=most).collect(),
                    false => {
                        let distinct: BTreeSet<i64> = numbers.iter().copied().collect();
                        distinct.into_iter().collect()
                    }
                };
                let names = values.iter().map(i64::to_string).collect();
                (values, names, first)
            }
        };
        let mut classes = Classes::from_zero(names)?;
        if values.iter().copied().eq(0..values.len() as i64) {
            return Ok(classes);
        }
        let range = values.first().zip(values.last());
        classes.found = range.map(|(first, last)| match is_sequence(&values) {
            true => format!("are counted from {first} to {last}"),
            false => format!(
                "are {} values from {first} to {last}, each of which is a class",
                values.len()
            ),
        });
        classes.first = first;
        let cells: Vec<String> = values.iter().map(i64::to_string).collect();
        classes.cells = Some(places(&cells));
        fitted.class_cells = cells;
        Ok(classes)
    }

    /// The classes of a run, and numbered ones after them if `train` has larger numbers.
    fn fitted(train: &Labels, fitted: &Fitted) -> Classes {
        let (mut names, cells) = (fitted.classes.clone(), &fitted.class_cells);
        if let (Labels::Numbers(numbers), true) = (train, cells.is_empty()) {
            let most = numbers.iter().copied().max().unwrap_or(0).min(MOST - 1);
            names.extend((names.len() as i64..=most).map(|number| number.to_string()));
        }
        Classes {
            names,
            first: 0,
            found: None,
            cells: (!cells.is_empty()).then(|| places(cells)),
        }
    }

    fn from_zero(names: Vec<String>) -> Result<Classes, String> {
        if names.len() as i64 > MOST {
            return Err(format!(
                "have {} different values; there can be {MOST} classes",
                names.len()
            ));
        }
        Ok(Classes {
            names,
            first: 0,
            found: None,
            cells: None,
        })
    }

    /// The class of every label.
    ///
    /// # Errors
    /// The index of the first label that is none of the classes.
    pub fn indices(&self, labels: &Labels) -> Result<Vec<u32>, usize> {
        let by_name;
        let cells = match (labels, &self.cells) {
            (_, Some(cells)) => cells,
            (Labels::Numbers(numbers), None) => {
                let count = self.names.len() as i64;
                let class = |(index, number): (usize, &i64)| match (0..count).contains(number) {
                    true => Ok(*number as u32),
                    false => Err(index),
                };
                return numbers.iter().enumerate().map(class).collect();
            }
            (Labels::Names(_), None) => {
                by_name = places(&self.names);
                &by_name
            }
        };
        let class = |index: usize| cells.get(&*labels.cell(index)).copied().ok_or(index);
        (0..labels.len()).map(class).collect()
    }
}

/// The place of each of `cells`.
fn places(cells: &[String]) -> HashMap<String, u32> {
    cells.iter().cloned().zip(0..).collect()
}

fn is_sequence(values: &[i64]) -> bool {
    values
        .windows(2)
        .all(|pair| pair[1].checked_sub(pair[0]) == Some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(numbers: &[i64]) -> Labels {
        Labels::Numbers(numbers.to_vec())
    }

    /// The classes of the labels of a training and a test part, and their indices, also with the fitted values.
    fn of(train: &Labels, test: &Labels, names: Option<ClassNames>) -> (Classes, [Vec<u32>; 2]) {
        let mut fitted = Fitted::default();
        let classes = Classes::of(train, &[test], names, &mut fitted).unwrap();
        let indices = [train, test].map(|labels| classes.indices(labels).unwrap());
        fitted.classes = classes.names.clone();
        let again = Classes::of(test, &[], None, &mut fitted).unwrap();
        assert_eq!(again.indices(test).unwrap(), indices[1]);
        (classes, indices)
    }

    #[test]
    fn numbers_are_classes_from_0_or_1_and_others_by_value() {
        let (classes, indices) = of(&numbers(&[2, 0]), &numbers(&[1]), None);
        assert_eq!(
            (&classes.names[..], classes.first),
            (&["0".to_string(), "1".into(), "2".into()][..], 0)
        );
        assert_eq!((indices, classes.found), ([vec![2, 0], vec![1]], None));
        let (classes, indices) = of(&numbers(&[3, 1]), &numbers(&[2]), None);
        assert_eq!(
            (&*classes.names[0], classes.names.len(), classes.first),
            ("1", 3, 1)
        );
        assert_eq!(indices, [vec![2, 0], vec![1]]);
        assert_eq!(classes.found.unwrap(), "are counted from 1 to 3");
        // A 0 of another part makes them begin there.
        let (classes, indices) = of(&numbers(&[3, 1]), &numbers(&[0]), None);
        assert_eq!((classes.names.len(), indices), (4, [vec![3, 1], vec![0]]));
        let (classes, indices) = of(&numbers(&[-1, 1]), &numbers(&[1]), None);
        assert_eq!(
            (classes.names, indices),
            (vec!["-1".into(), "1".into()], [vec![0, 1], vec![1]])
        );
        let (classes, _) = of(&numbers(&[1 << 40, 7]), &numbers(&[7]), None);
        assert_eq!(classes.names.len(), 2);
    }

    #[test]
    fn names_come_from_labels_or_from_a_file() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| name.to_string())
                .collect::<Vec<_>>()
        };
        let labels = |labels: &[&str]| Labels::Names(names(labels));
        let (classes, indices) = of(&labels(&["no", "yes"]), &labels(&["yes"]), None);
        assert_eq!(
            (classes.names, indices),
            (names(&["no", "yes"]), [vec![0, 1], vec![1]])
        );
        let lines = || Some(ClassNames::Lines(names(&["a", "b"])));
        let (classes, indices) = of(&numbers(&[0, 1]), &numbers(&[1]), lines());
        assert_eq!(
            (classes.names, indices),
            (names(&["a", "b"]), [vec![0, 1], vec![1]])
        );
        let (classes, indices) = of(&numbers(&[1, 2]), &numbers(&[1]), lines());
        assert_eq!(
            (classes.names, indices),
            (names(&["a", "b"]), [vec![0, 1], vec![0]])
        );
        let by_label = [(5, "five".to_string()), (7, "seven".to_string())];
        let by_label = Some(ClassNames::ByLabel(by_label.into()));
        let (classes, indices) = of(&numbers(&[7, 5]), &numbers(&[7]), by_label);
        assert_eq!(
            (classes.names, indices),
            (names(&["five", "seven"]), [vec![1, 0], vec![1]])
        );
    }

    #[test]
    fn a_label_that_is_no_class_is_found() {
        let train = numbers(&[0, 1]);
        let classes = Classes::of(&train, &[], None, &mut Fitted::default()).unwrap();
        assert_eq!(classes.indices(&numbers(&[1, 2])), Err(1));
        // Data with more classes than a run.
        let mut fitted = Fitted {
            classes: vec!["no".into(), "yes".into()],
            ..Fitted::default()
        };
        let classes = Classes::of(&numbers(&[3, 0]), &[], None, &mut fitted).unwrap();
        assert_eq!(classes.names, ["no", "yes", "2", "3"]);
        let many: Vec<i64> = (0..70_000).map(|i| i * 1000 - 1).collect();
        let many = Classes::of(&numbers(&many), &[], None, &mut Fitted::default());
        assert!(many.err().unwrap().contains("70000 different values"));
    }
}
