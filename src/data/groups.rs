//! Groups of samples: what columns of a table say of each sample, whether or not a model sees them.

use super::field::{self, Field, FieldValues};
use super::{DataSettings, Dataset, Fitted, Samples};
use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use std::collections::{BTreeMap, BTreeSet};

/// Most different values of a column of groups, and most groups of several columns together.
pub const MOST_GROUPS: usize = 64;

/// Name of the group of samples without a value.
const MISSING: &str = "(missing)";

/// A column that divides samples into groups.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupColumn {
    /// Name in the header.
    pub name: String,
    /// Its different values, sorted; `(missing)` stands for cells without one.
    pub values: Vec<String>,
    /// For each sample the index of its value.
    pub of_samples: Vec<u32>,
}

impl GroupColumn {
    /// The column `name` with a cell for each sample, `None` where it has no value.
    ///
    /// # Errors
    /// If it has too many different values, as the rest of a sentence about the file.
    pub(crate) fn of<'c>(
        name: &str,
        cells: impl Iterator<Item = Option<&'c str>> + Clone,
    ) -> Result<GroupColumn, String> {
        let mut distinct = BTreeSet::new();
        for cell in cells.clone() {
            distinct.insert(cell.unwrap_or(MISSING));
            if distinct.len() > MOST_GROUPS {
                return Err(format!(
                    "has more than {MOST_GROUPS} different values in column {name}, too many for groups: name a column with few \
                     values, or add one with ranges of it"
                ));
            }
        }
        let places: BTreeMap<&str, u32> = distinct.iter().copied().zip(0..).collect();
        let of_samples = cells.map(|cell| places[cell.unwrap_or(MISSING)]).collect();
        Ok(GroupColumn {
            name: name.to_string(),
            values: distinct.into_iter().map(str::to_string).collect(),
            of_samples,
        })
    }

    /// The value for the sample at `index`.
    pub fn value(&self, index: usize) -> &str {
        let value = self.of_samples.get(index).map(|&value| value as usize);
        let value = value.and_then(|value| self.values.get(value));
        value.map_or(MISSING, String::as_str)
    }

    /// The same column of the samples at `kept`.
    pub(super) fn kept(&self, kept: &[usize]) -> GroupColumn {
        let of_samples = kept.iter().map(|&index| self.of_samples[index]);
        GroupColumn {
            name: self.name.clone(),
            values: self.values.clone(),
            of_samples: of_samples.collect(),
        }
    }
}

/// The problem of a file without the column `name`, which is to divide its rows into groups, as the rest of a sentence about the file:
/// `listed` are its columns for the message, and `known` all of them.
pub(super) fn missing_column<'n>(
    name: &str,
    listed: &str,
    known: impl Iterator<Item = &'n str>,
) -> String {
    format!(
        "has no column {name}, by which its rows are to be divided into groups: it has {listed}{}",
        did_you_mean(name, known)
    )
}

/// The groups that samples fall into by the values of some columns.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleGroups {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The values of each group in these columns, sorted.
    pub values: Vec<Vec<String>>,
    /// For each sample the index of its group.
    pub of_samples: Vec<u32>,
}

impl Samples {
    /// The groups that samples fall into by the columns called `names`. Only groups that have samples are listed.
    ///
    /// # Errors
    /// If a column was not read, has one value only, or the groups are too many.
    pub fn grouped(&self, names: &[String]) -> Result<SampleGroups> {
        let columns = names.iter().map(|name| self.group_column(name));
        let columns = columns.collect::<Result<Vec<&GroupColumn>>>()?;
        for column in &columns {
            let found: BTreeSet<u32> = column.of_samples.iter().copied().collect();
            if found.len() < 2 {
                return Err(Error::Data(format!(
                    "column {} has the same value in all {} {}, {}, and groups need two; name another column",
                    column.name,
                    self.len(),
                    self.noun(),
                    column.value(0)
                )));
            }
        }
        let key = |index: usize| -> Vec<&str> {
            let values = columns.iter().map(|column| column.value(index));
            values.collect()
        };
        let distinct: BTreeSet<Vec<&str>> = (0..self.len()).map(key).collect();
        if distinct.len() > MOST_GROUPS {
            return Err(Error::Data(format!(
                "the columns {} make {} groups together, and at most {MOST_GROUPS} are compared; name fewer columns",
                names.join(", "),
                distinct.len()
            )));
        }
        let places: BTreeMap<&Vec<&str>, u32> = distinct.iter().zip(0..).collect();
        let of_samples = (0..self.len()).map(|index| places[&key(index)]).collect();
        let owned = |group: &Vec<&str>| group.iter().map(|value| value.to_string()).collect();
        Ok(SampleGroups {
            columns: names.to_vec(),
            values: distinct.iter().map(owned).collect(),
            of_samples,
        })
    }

    /// For each sample the place of its group among `groups`, which are values of the columns called `names`; the number of groups
    /// for a sample of none of them.
    ///
    /// # Errors
    /// If a column was not read.
    fn places_among(&self, names: &[String], groups: &[Vec<String>]) -> Result<Vec<u32>> {
        let columns = names.iter().map(|name| self.group_column(name));
        let columns = columns.collect::<Result<Vec<&GroupColumn>>>()?;
        let places: BTreeMap<Vec<&str>, usize> = groups
            .iter()
            .map(|group| group.iter().map(String::as_str).collect())
            .zip(0..)
            .collect();
        let place = |index: usize| {
            let key: Vec<&str> = columns.iter().map(|column| column.value(index)).collect();
            places.get(&key).copied().unwrap_or(groups.len()) as u32
        };
        Ok((0..self.len()).map(place).collect())
    }

    /// The column of groups called `name`.
    fn group_column(&self, name: &str) -> Result<&GroupColumn> {
        let found = self.groups().iter().find(|column| column.name == name);
        found.ok_or_else(|| {
            Error::Config(format!(
                "the column {name}, which is to divide the data into groups, was not read; name it in data.groups"
            ))
        })
    }

    /// Adds the field [`field::GROUP`] of the places among `groups`, which are values of the columns called `names`.
    ///
    /// # Errors
    /// If a column was not read.
    pub(super) fn add_group_field(
        &mut self,
        names: &[String],
        groups: &[Vec<String>],
    ) -> Result<()> {
        let places = self.places_among(names, groups)?;
        self.add_field(Field {
            name: field::GROUP,
            values: FieldValues::Labels(places),
        });
        Ok(())
    }
}

/// The columns of groups that are to be read: those of the settings, and those by which an earlier run decides.
pub(super) fn wanted(settings: &DataSettings, fitted: &Fitted) -> Vec<String> {
    let decided = fitted.thresholds.iter().flat_map(|known| &known.columns);
    let mut names: Vec<String> = Vec::new();
    for name in settings.groups.iter().chain(decided) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Adds the field [`field::GROUP`] to the parts that need it: to all of them the groups whose thresholds `fitted` has, or else to the
/// training part its own groups by the columns of the settings. `about` says what the source is.
///
/// # Errors
/// If the source has no columns of groups, or the training part has too few or too many groups.
pub(super) fn assign(
    dataset: &mut Dataset<Samples>,
    settings: &DataSettings,
    fitted: &Fitted,
    about: &str,
) -> Result<()> {
    let wanted = wanted(settings, fitted);
    let Some(first) = wanted.first() else {
        return Ok(());
    };
    if dataset.train.groups().is_empty() {
        return Err(Error::Config(format!(
            "the column {first} is to divide {} into groups (data.groups, --groups), but that is {about}, which has no such columns; \
             groups are those of tables",
            dataset.name
        )));
    }
    if let Some(thresholds) = &fitted.thresholds {
        let groups = thresholds.values();
        let parts = [&mut dataset.train, &mut dataset.test];
        let mut parts = parts.into_iter().chain(&mut dataset.validation);
        return parts.try_for_each(|part| part.add_group_field(&thresholds.columns, &groups));
    }
    if dataset.train.is_empty() {
        return Ok(());
    }
    let groups = dataset.train.grouped(&settings.groups)?;
    dataset
        .train
        .add_group_field(&settings.groups, &groups.values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{RowSet, Targets, WindowRows};

    fn samples(columns: &[(&str, [Option<&str>; 4])]) -> Samples {
        let columns = columns
            .iter()
            .map(|(name, cells)| GroupColumn::of(name, cells.iter().copied()).unwrap());
        let rows = RowSet {
            rows: WindowRows::Floats {
                values: vec![0.0; 4],
                columns: 1,
            },
            starts: vec![0, 1, 2, 3],
            random_starts: false,
            length: 1,
            targets: Targets::Classes(vec![0, 1, 0, 1]),
        };
        Samples::from(rows).with_groups(columns.collect())
    }

    #[test]
    fn several_columns_give_the_groups_that_occur() {
        let samples = samples(&[
            ("sex", [Some("m"), Some("f"), Some("m"), None]),
            (
                "age",
                [Some("old"), Some("old"), Some("young"), Some("old")],
            ),
        ]);
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| name.to_string())
                .collect::<Vec<_>>()
        };
        let by_sex = samples.grouped(&names(&["sex"])).unwrap();
        assert_eq!(by_sex.values, [["(missing)"], ["f"], ["m"]]);
        assert_eq!(by_sex.of_samples, [2, 1, 2, 0]);
        let by_both = samples.grouped(&names(&["sex", "age"])).unwrap();
        assert_eq!(by_both.values[3], ["m", "young"]);
        assert_eq!(by_both.of_samples, [2, 1, 3, 0]);
        // Filtered samples keep theirs.
        let filtered = samples.filtered(|index| index != 1);
        let by_age = filtered.grouped(&names(&["age"])).unwrap();
        assert_eq!((by_age.values.len(), by_age.of_samples), (2, vec![0, 1, 0]));
        let known = vec![names(&["f"])];
        assert_eq!(
            samples.places_among(&names(&["sex"]), &known).unwrap(),
            [1, 0, 1, 1]
        );
    }

    #[test]
    fn one_value_and_too_many_values_are_refused() {
        let same = samples(&[("sex", [Some("m"); 4])]);
        let message = same.grouped(&["sex".to_string()]).unwrap_err().to_string();
        assert!(
            message.contains("has the same value in all 4 rows, m"),
            "{message}"
        );
        let numbers: Vec<String> = (0..=MOST_GROUPS).map(|n| n.to_string()).collect();
        let message = GroupColumn::of("age", numbers.iter().map(|n| Some(&**n))).unwrap_err();
        assert!(
            message.contains("more than 64 different values"),
            "{message}"
        );
        assert!(
            missing_column("sexx", "sex, age", ["sex", "age"].into_iter())
                .ends_with("did you mean `sex`?")
        );
    }
}
