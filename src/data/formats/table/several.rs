//! Several targets of a row: columns of numbers, columns of labels that a row has (1) or not (0), or one column that lists the labels
//! of a row, with separators between them.

use super::TargetKind;
use super::csv::CsvTable;
use super::distinct::distinct;
use super::left_out::leave_out_without;
use super::missing::value;
use super::number::NumberForm;
use super::scale::Scale;
use super::target::{kept_cells, numbers, place_of, target_cells, target_name};
use crate::data::{DataError, DataSettings, Fitted, Targets, field};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What may separate labels in a cell, besides white space.
const SEPARATORS: [char; 3] = ['|', ';', ','];
/// Maximum number of labels.
const MOST_LABELS: usize = 10_000;

/// Several targets.
pub(super) enum Several {
    /// A number in each of these columns.
    Numbers(Vec<String>),
    /// Whether a row has a label, in a column for each.
    Columns(Vec<String>),
    /// The labels of a row in one column.
    Listed {
        column: String,
        /// What separates them.
        separator: char,
    },
}

impl Several {
    /// The targets that `settings` ask for, or that the run recorded; `None` if there is one. With `pictures`, a column whose cells are
    /// separated by `|` lists labels, as that of the ChestX-ray14 set does.
    ///
    /// # Errors
    /// If the settings contradict each other or the `table` at `path`.
    pub fn of(
        table: &CsvTable,
        settings: &DataSettings,
        fitted: &Fitted,
        path: &Path,
        pictures: bool,
    ) -> Result<Option<Several>, DataError> {
        let wrong = |problem: String| Err(DataError::unusable(path, problem));
        let names = match fitted.targets.is_empty() {
            true => &settings.targets,
            false => &fitted.targets,
        };
        let kind = fitted.predict.or(settings.predict);
        if !names.is_empty() {
            if settings.target.is_some() {
                return wrong(
                    "has one column to predict by data.target and several by data.targets: leave out one of the two".to_string(),
                );
            }
            if let Some(name) = names.iter().find(|name| table.place(name).is_none()) {
                return wrong(format!(
                    "has no target column {name}: it has {}",
                    table.listed()
                ));
            }
            if let Some(name) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
                return wrong(format!(
                    "has the column {} twice in data.targets: name it once",
                    names[name]
                ));
            }
            let names = names.clone();
            return match kind {
                Some(TargetKind::Number) => Ok(Some(Several::Numbers(names))),
                Some(TargetKind::Labels) => Ok(Some(Several::Columns(names))),
                Some(TargetKind::Class) => wrong(
                    "has several columns to predict by data.targets, which can't each be a class: set data.predict to \"labels\" or \
                     \"number\""
                        .to_string(),
                ),
                None if holds_labels(table, &names) => Ok(Some(Several::Columns(names))),
                None => Ok(Some(Several::Numbers(names))),
            };
        }
        if !(kind == Some(TargetKind::Labels) || pictures && kind.is_none()) {
            return Ok(None);
        }
        let column = target_name(table, settings, fitted, path)?;
        let place = table.place(&column).unwrap_or_default();
        let has = |separator: &char| {
            table
                .column(place)
                .any(|(_, cell)| cell.contains(*separator))
        };
        let separator = match fitted.separator {
            None if kind.is_none() && !has(&SEPARATORS[0]) => return Ok(None),
            None => SEPARATORS.into_iter().find(has).unwrap_or(' '),
            Some(separator) => separator,
        };
        Ok(Some(Several::Listed { column, separator }))
    }

    /// The columns of the targets.
    pub fn columns(&self) -> &[String] {
        match self {
            Several::Numbers(names) | Several::Columns(names) => names,
            Several::Listed { column, .. } => std::slice::from_ref(column),
        }
    }

    /// Removes the rows of `tables` that lack a number. Returns how many of each, in words. A label may be missing, and a row may
    /// have none.
    ///
    /// # Errors
    /// If no row is left.
    pub fn leave_out(&self, tables: &mut [(CsvTable, PathBuf)]) -> Result<Vec<String>, DataError> {
        let mut left_out = Vec::new();
        if let Several::Numbers(names) = self {
            for name in names {
                left_out.extend(leave_out_without(tables, name, "one of the targets")?);
            }
        }
        Ok(left_out)
    }

    /// Fits scales of numbers to the rows of the training `table` that `learned` accepts, and names the labels; what `fitted` has
    /// already stays. Returns what was found, in words.
    ///
    /// # Errors
    /// Names the line of a cell that is no number, or the column with too many labels.
    pub fn fit(
        &self,
        table: &CsvTable,
        fitted: &mut Fitted,
        learned: impl Fn(&usize) -> bool,
        path: &Path,
    ) -> Result<String, DataError> {
        match self {
            Several::Numbers(names) => {
                fitted.predict = Some(TargetKind::Number);
                fitted.targets.clone_from(names);
                if fitted.scales.is_empty() {
                    for name in names {
                        let cells = target_cells(table, name, path)?.into_iter().enumerate();
                        let cells = cells.filter(|(index, _)| learned(index));
                        let cells: Vec<(u64, &str)> = cells.map(|(_, cell)| cell).collect();
                        let form = NumberForm::default();
                        let numbers = numbers(&cells, name, &form, (table, path))?;
                        fitted.scales.push(Scale::of(&numbers));
                    }
                }
                Ok(format!(
                    "to predict: {} numbers: {}",
                    names.len(),
                    names.join(", ")
                ))
            }
            Several::Columns(names) => {
                fitted.predict = Some(TargetKind::Labels);
                fitted.targets.clone_from(names);
                fitted.classes.clone_from(names);
                Ok(format!(
                    "to predict: {} labels: {}",
                    names.len(),
                    names.join(", ")
                ))
            }
            Several::Listed { column, separator } => {
                fitted.predict = Some(TargetKind::Labels);
                fitted.target = Some(column.clone());
                fitted.separator = Some(*separator);
                if fitted.classes.is_empty() {
                    let place = table.place(column).unwrap_or_default();
                    let cells = table.column(place).filter_map(|(_, cell)| value(cell));
                    let all = distinct(cells.flat_map(|cell| labels_in(cell, *separator)));
                    fitted.classes = all.into_iter().map(str::to_string).collect();
                    fitted.classes.sort();
                }
                let count = fitted.classes.len();
                if !(1..=MOST_LABELS).contains(&count) {
                    let problem = format!(
                        "has {count} different labels in column {column}: name another with data.target, or set data.predict"
                    );
                    return Err(DataError::unusable(path, problem));
                }
                let between = match separator {
                    ' ' => "spaces".to_string(),
                    separator => format!("\"{separator}\""),
                };
                Ok(format!(
                    "to predict: {column}, {count} labels separated by {between}"
                ))
            }
        }
    }

    /// The targets of the rows `kept` of a table, as `fitted` says.
    ///
    /// # Errors
    /// Names the line of a cell that is no number, or no label.
    pub fn targets(
        &self,
        kept: &[usize],
        fitted: &Fitted,
        (table, path): (&CsvTable, &Path),
    ) -> Result<Targets, DataError> {
        let columns = fitted.several();
        let mut values = vec![0.0; kept.len() * columns];
        match self {
            Several::Numbers(names) => {
                for (at, (name, scale)) in names.iter().zip(&fitted.scales).enumerate() {
                    let cells = kept_cells(table, name, kept, path)?;
                    let form = NumberForm::default();
                    let numbers = numbers(&cells, name, &form, (table, path))?;
                    for (row, x) in values.chunks_exact_mut(columns).zip(numbers) {
                        row[at] = ((x - scale.mean) / scale.std) as f32;
                    }
                }
                return Ok(Targets::Values {
                    values,
                    columns,
                    offset: 0,
                    length: 1,
                });
            }
            Several::Columns(names) => {
                for (at, name) in names.iter().enumerate() {
                    let place = place_of(table, name, path)?;
                    for (row, &index) in values.chunks_exact_mut(columns).zip(kept) {
                        let Some((line, cells)) = table.rows.row(index) else {
                            continue;
                        };
                        let cell = cells.get(place).unwrap_or_default();
                        row[at] = match label(cell) {
                            Some(Some(has)) => f32::from(u8::from(has)),
                            None if cell != "-1" && cell != "-1.0" => {
                                let problem = format!(
                                    "has \"{cell}\" at line {line} in column {name}, where a label is 1 or 0, or empty if not known: \
                                     fix that row, or set data.predict = \"number\""
                                );
                                return Err(DataError::unusable(path, problem));
                            }
                            Some(None) | None => field::NOT_KNOWN,
                        };
                    }
                }
            }
            Several::Listed { column, separator } => {
                let known: HashMap<&str, usize> =
                    fitted.classes.iter().map(|name| &**name).zip(0..).collect();
                let place = place_of(table, column, path)?;
                for (row, &index) in values.chunks_exact_mut(columns).zip(kept) {
                    let Some((line, cells)) = table.rows.row(index) else {
                        continue;
                    };
                    let cell = value(cells.get(place).unwrap_or_default()).unwrap_or_default();
                    for label in labels_in(cell, *separator) {
                        let Some(&at) = known.get(label) else {
                            let problem = format!(
                                "has the label {label} at line {line} in column {column}, which did not occur in training"
                            );
                            return Err(DataError::unusable(path, problem));
                        };
                        row[at] = 1.0;
                    }
                }
            }
        }
        Ok(Targets::Labels {
            values,
            labels: columns,
        })
    }
}

/// The labels in a cell.
fn labels_in(cell: &str, separator: char) -> impl Iterator<Item = &str> {
    let is_between = move |c: char| c == separator || separator == ' ' && c.is_whitespace();
    cell.split(is_between)
        .map(str::trim)
        .filter(|label| !label.is_empty())
}

/// Whether a cell of labels says that a row has one; `Some(None)` if that is missing, `None` if it says something else.
fn label(cell: &str) -> Option<Option<bool>> {
    let Some(cell) = value(cell) else {
        return Some(None);
    };
    match &*cell.to_lowercase() {
        "1" | "1.0" | "true" | "yes" => Some(Some(true)),
        "0" | "0.0" | "false" | "no" => Some(Some(false)),
        _ => None,
    }
}

/// Whether all cells of these columns say whether a row has a label.
fn holds_labels(table: &CsvTable, names: &[String]) -> bool {
    let places = names.iter().filter_map(|name| table.place(name));
    let mut cells = places.flat_map(|place| table.column(place));
    cells.all(|(_, cell)| label(cell).is_some())
}
