//! The column to predict: which one it is, whether it is a class or a number, and its values for a model.

use super::classes::Classes;
use super::csv::CsvTable;
use super::dates::DateForm;
use super::distinct::distinct;
use super::missing::value;
use super::number::{Decimals, NumberForm, is_infinite, number};
use super::scale::Scale;
use super::several::Several;
use super::{TargetKind, decimals_in, report};
use crate::data::{DataError, DataSettings, Fitted, Targets};
use std::path::Path;

/// Names of columns that are detected as the target.
const NAMES: [&str; 4] = ["target", "label", "class", "y"];
/// A target column of whole numbers with at most this many different values is taken as classes.
pub(in crate::data::formats) const MOST_CLASSES: usize = 20;
/// Classes that are different in more than half of at least this many rows are reported.
const ROWS: usize = 20;

/// What is to be predicted, fitted to the training part.
pub(super) enum Target {
    /// Classes in the column of this name.
    Classes(String, Classes),
    /// Numbers in the column of this name.
    Numbers(String, Scale, NumberForm),
    /// Several targets, and what they are, in words.
    Several(Several, String),
}

impl Target {
    /// The targets of the rows `kept` of a table.
    ///
    /// # Errors
    /// Names the line of a cell that is none.
    pub fn of_rows(
        &self,
        kept: &[usize],
        fitted: &Fitted,
        file: (&CsvTable, &Path),
    ) -> Result<Targets, DataError> {
        let cells = |name: &str| kept_cells(file.0, name, kept, file.1);
        match self {
            Target::Classes(name, classes) => {
                let label = |cell: &(u64, &str)| classes.index(*cell, name, file.1);
                let labels = cells(name)?.iter().map(label).collect::<Result<_, _>>();
                labels.map(Targets::Classes)
            }
            Target::Numbers(name, scale, form) => {
                let numbers = numbers(&cells(name)?, name, form, file)?;
                let scaled = |x: &f64| ((x - scale.mean) / scale.std) as f32;
                Ok(Targets::Values {
                    values: numbers.iter().map(scaled).collect(),
                    columns: 1,
                    offset: 0,
                    length: 1,
                })
            }
            Target::Several(several, _) => several.targets(kept, fitted, file),
        }
    }

    /// What is to be predicted, in words.
    pub fn in_words(&self) -> String {
        match self {
            Target::Classes(name, classes) => report::target(name, &classes.names),
            Target::Numbers(name, ..) => report::target(name, &[]),
            Target::Several(_, line) => line.clone(),
        }
    }
}

/// A single target column of the training table.
pub(super) struct One<'t> {
    pub name: String,
    cells: Vec<(u64, &'t str)>,
    classes: Option<Classes>,
    /// Notes for the user, and how the column is read.
    pub notes: Vec<String>,
    pub found: Vec<String>,
}

impl<'t> One<'t> {
    /// The target of `table`: its name, kind and classes go to `fitted`, unless they are there.
    ///
    /// # Errors
    /// If there is no such column, or its cells are not of one kind.
    pub fn of(
        (table, path): (&'t CsvTable, &Path),
        settings: &DataSettings,
        fitted: &mut Fitted,
    ) -> Result<One<'t>, DataError> {
        let name = target_name(table, settings, fitted, path)?;
        let cells = target_cells(table, &name, path)?;
        fitted.target = Some(name.clone());
        let (mut notes, mut found) = (Vec::new(), Vec::new());
        let wanted = settings.predict.or(fitted.predict);
        let kind = match fitted.predict {
            Some(_) => wanted.unwrap_or(TargetKind::Class),
            None => {
                let judged = judge(&cells, &name, wanted, decimals_in(table));
                let judged: Judged =
                    judged.map_err(|problem| DataError::unusable(path, problem))?;
                notes.extend(judged.notes);
                found.extend(judged.found);
                fitted.target_form = judged.form;
                judged.kind
            }
        };
        fitted.predict = Some(kind);
        let classes = match kind {
            TargetKind::Class | TargetKind::Labels => {
                Some(Classes::of(&cells, fitted, &name, path)?)
            }
            TargetKind::Number => None,
        };
        Ok(One {
            name,
            cells,
            classes,
            notes,
            found,
        })
    }

    /// The class of each row; 0 for numbers.
    pub fn labels(&self) -> Vec<u32> {
        let label = |cell: &str| {
            let place = self
                .classes
                .as_ref()
                .and_then(|classes| classes.position(cell));
            place.unwrap_or(0) as u32
        };
        self.cells.iter().map(|(_, cell)| label(cell)).collect()
    }

    /// The target with the scale of its numbers, of the rows that `learned` accepts, unless `fitted` has one.
    ///
    /// # Errors
    /// Names the line of a cell that is no number.
    pub fn fitted(
        self,
        file: (&CsvTable, &Path),
        fitted: &mut Fitted,
        learned: impl Fn(&usize) -> bool,
    ) -> Result<Target, DataError> {
        if let Some(classes) = self.classes {
            return Ok(Target::Classes(self.name, classes));
        }
        let seen = self.cells.iter().enumerate();
        let seen = seen.filter(|(index, _)| learned(index));
        let seen: Vec<(u64, &str)> = seen.map(|(_, cell)| *cell).collect();
        let form = fitted.target_form.clone();
        let scale = match fitted.scale {
            Some(scale) => scale,
            None => Scale::of(&numbers(&seen, &self.name, &form, file)?),
        };
        fitted.scale = Some(scale);
        Ok(Target::Numbers(self.name, scale, form))
    }
}

/// The target column: the one of the settings or the one that the run recorded, one with a usual name, or the last.
pub(in crate::data::formats) fn target_name(
    table: &CsvTable,
    settings: &DataSettings,
    fitted: &Fitted,
    path: &Path,
) -> Result<String, DataError> {
    target_beside(None, table, settings, fitted, path)
}

/// As [`target_name`], beside the column `text`, which is only the target if the settings say so.
pub(in crate::data::formats) fn target_beside(
    text: Option<&str>,
    table: &CsvTable,
    settings: &DataSettings,
    fitted: &Fitted,
    path: &Path,
) -> Result<String, DataError> {
    if let Some(name) = settings.target.as_ref().or(fitted.target.as_ref()) {
        return match table.place(name).is_some() {
            true => Ok(name.clone()),
            false => Err(DataError::unusable(
                path,
                format!("has no target column {name}: it has {}", table.listed()),
            )),
        };
    }
    let names = || table.names.iter().filter(|name| Some(&***name) != text);
    let called = |wanted: &&str| names().find(|name| name.eq_ignore_ascii_case(wanted));
    let found = NAMES.iter().find_map(called).or(names().next_back());
    let name = found.ok_or_else(|| DataError::unusable(path, "has no column to predict"))?;
    match table.repeated(name) {
        None => Ok(name.clone()),
        Some(names) => Err(DataError::unusable(
            path,
            format!(
                "has {} columns called {name}: set data.target to one of {}",
                names.len(),
                names.join(", ")
            ),
        )),
    }
}

/// The cells of the target, each with its line.
pub(in crate::data::formats) fn target_cells<'t>(
    table: &'t CsvTable,
    name: &str,
    path: &Path,
) -> Result<Vec<(u64, &'t str)>, DataError> {
    let cells = table.column(place_of(table, name, path)?);
    cells.map(|cell| present(cell, name, path)).collect()
}

/// The cells of the target in the rows at `kept`, each with its line.
pub(super) fn kept_cells<'t>(
    table: &'t CsvTable,
    name: &str,
    kept: &[usize],
    path: &Path,
) -> Result<Vec<(u64, &'t str)>, DataError> {
    let place = place_of(table, name, path)?;
    let rows = kept.iter().filter_map(|&index| table.rows.row(index));
    let cells = rows.map(|(line, row)| (line, row.get(place).unwrap_or_default()));
    cells.map(|cell| present(cell, name, path)).collect()
}

/// The place of the column `name`.
pub(super) fn place_of(table: &CsvTable, name: &str, path: &Path) -> Result<usize, DataError> {
    let place = table.place(name);
    place.ok_or_else(|| DataError::unusable(path, format!("has no column {name}")))
}

/// A cell of the target with its line, if it has a value.
fn present<'t>(
    (line, cell): (u64, &'t str),
    name: &str,
    path: &Path,
) -> Result<(u64, &'t str), DataError> {
    if let Some(cell) = value(cell) {
        return Ok((line, cell));
    }
    let read = match cell.is_empty() {
        true => String::new(),
        false => format!(" (\"{cell}\" means that it is missing)"),
    };
    Err(DataError::unusable(
        path,
        format!(
            "has no value at line {line} in column {name}{read}: fill it in, or remove such rows"
        ),
    ))
}

/// Kind of a target, the form of its numbers, and what the user should know.
pub(super) struct Judged {
    pub kind: TargetKind,
    pub form: NumberForm,
    pub notes: Vec<String>,
    pub found: Vec<String>,
}

/// Judges the `cells` of the target column `name`. Its kind is `wanted`, if that is given.
///
/// # Errors
/// Names the line of a cell that is no number among numbers, as the rest of a sentence about the file.
pub(super) fn judge(
    cells: &[(u64, &str)],
    name: &str,
    wanted: Option<TargetKind>,
    decimals: Decimals,
) -> Result<Judged, String> {
    let texts = || cells.iter().map(|(_, cell)| *cell);
    let mut judged = Judged {
        kind: TargetKind::Class,
        form: NumberForm::default(),
        notes: Vec::new(),
        found: Vec::new(),
    };
    if wanted == Some(TargetKind::Class) {
        return Ok(judged);
    }
    if wanted.is_none() && DateForm::of(name, texts()).is_some() {
        return Err(format!(
            "holds dates in column {name}, which is taken for the one to predict: set data.target to another column, or data.predict if \
             this is meant"
        ));
    }
    if let Some(form) = NumberForm::of(texts(), decimals) {
        let numbers: Vec<f64> = texts().filter_map(|cell| form.parse(cell)).collect();
        let count = count(&numbers);
        judged.kind = wanted.unwrap_or_else(|| kind_of(&numbers));
        let whole = numbers.iter().all(|x| x.fract() == 0.0);
        if wanted.is_none() && whole && judged.kind == TargetKind::Number {
            judged.found.push(format!(
                "column {name} is a number to predict, because it has {count} different whole numbers: \
                 set data.predict = \"class\" if they are classes"
            ));
        }
        if !form.is_plain() && judged.kind == TargetKind::Number {
            judged
                .found
                .push(format!("column {name} is read with {form}"));
        }
        judged.form = form;
        return Ok(judged);
    }
    let is_number = |cell: &str| NumberForm::reads(cell);
    let strange = cells
        .iter()
        .find(|(_, cell)| number(cell).is_none() && !is_number(cell));
    let strange = strange.or_else(|| cells.iter().find(|(_, cell)| number(cell).is_none()));
    let Some((line, cell)) = strange else {
        return Ok(judged);
    };
    if wanted == Some(TargetKind::Number) {
        return Err(no_number(*line, cell, name));
    }
    let numbers: Vec<f64> = texts().filter_map(number).collect();
    let (count, all) = (numbers.len(), cells.len());
    if count * 2 >= all && kind_of(&numbers) == TargetKind::Number {
        let why = if is_infinite(cell) {
            "which is not finite, "
        } else {
            ""
        };
        return Err(format!(
            "has \"{cell}\" at line {line} in column {name}, {why}where {count} of {all} cells are numbers: fix that row or remove it, \
             or set data.predict = \"class\" if they are classes"
        ));
    }
    if count * 2 >= all {
        judged.notes.push(format!(
            "column {name} is taken for classes, because of \"{cell}\" at line {line}: of its {all} cells {count} are numbers"
        ));
    }
    let classes = distinct(texts()).len();
    if classes * 2 > all && all >= ROWS {
        judged.notes.push(format!(
            "column {name} is taken for classes, but has {classes} different ones in {all} rows: if it is not what to predict, set \
             data.target"
        ));
    }
    Ok(judged)
}

fn count(numbers: &[f64]) -> usize {
    let mut bits: Vec<u64> = numbers.iter().map(|x| (x + 0.0).to_bits()).collect();
    bits.sort_unstable();
    bits.dedup();
    bits.len()
}

fn kind_of(numbers: &[f64]) -> TargetKind {
    match numbers.iter().all(|x| x.fract() == 0.0) && count(numbers) <= MOST_CLASSES {
        true => TargetKind::Class,
        false => TargetKind::Number,
    }
}

fn no_number(line: u64, cell: &str, name: &str) -> String {
    format!(
        "has \"{cell}\" at line {line} in column {name}, but the target is a number: fix that row, or remove it"
    )
}

/// The numbers of the `cells` of the column `name` in `form` or, if they are not all in that form, in the form of this file.
pub(super) fn numbers(
    cells: &[(u64, &str)],
    name: &str,
    form: &NumberForm,
    (table, path): (&CsvTable, &Path),
) -> Result<Vec<f64>, DataError> {
    let texts = || cells.iter().map(|(_, cell)| *cell);
    let in_form =
        |form: &NumberForm| -> Option<Vec<f64>> { texts().map(|cell| form.parse(cell)).collect() };
    let own = || in_form(&NumberForm::of(texts(), decimals_in(table))?);
    in_form(form).or_else(own).ok_or_else(|| {
        let strange = cells.iter().find(|(_, cell)| !NumberForm::reads(cell));
        let strange = strange.or_else(|| cells.iter().find(|(_, cell)| form.parse(cell).is_none()));
        let (line, cell) = strange.copied().unwrap_or_default();
        DataError::unusable(path, no_number(line, cell, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(cells: &[&str]) -> Result<Judged, String> {
        let cells: Vec<(u64, &str)> = (2..).zip(cells.iter().copied()).collect();
        judge(&cells, "y", None, Decimals::Point)
    }

    fn numbers_and(cell: &str) -> Result<Judged, String> {
        let numbers: Vec<String> = (0..50)
            .map(|i| format!("{}", f64::from(i % 25) * 0.5))
            .collect();
        let cells = numbers.iter().map(|cell| &**cell);
        judged(&cells.chain([cell]).collect::<Vec<_>>())
    }

    #[test]
    fn one_cell_that_is_no_number_makes_no_classes_of_numbers() {
        assert_eq!(numbers_and("3.75").unwrap().kind, TargetKind::Number);
        for cell in ["inf", "1e400", "1,5", "high", "-", "12.5 kg"] {
            let message = numbers_and(cell).err().unwrap();
            let wanted = format!("has \"{cell}\" at line 52 in column y");
            assert!(
                message.contains(&wanted) && message.contains("50 of 51"),
                "{message}"
            );
        }
        assert!(numbers_and("inf").err().unwrap().contains("not finite"));
    }

    #[test]
    fn few_whole_numbers_and_words_are_classes() {
        for (cells, notes) in [
            (&["0", "1", "1.0", "0"][..], 0),
            (&["no", "yes"], 0),
            (&["0", "1", "2", "3+"], 1),
        ] {
            let judged = judged(cells).unwrap();
            assert_eq!(
                (judged.kind, judged.notes.len()),
                (TargetKind::Class, notes)
            );
        }
        let names: Vec<String> = (0..30).map(|i| format!("name {i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(judged(&names).unwrap().notes.len(), 1);
    }

    #[test]
    fn numbers_with_signs_and_commas_are_numbers() {
        let judged = judged(&["1,5 €", "2,25 €"]).unwrap();
        assert_eq!(judged.kind, TargetKind::Number);
        assert!(
            judged.found[0].contains("decimal comma and the sign €"),
            "{:?}",
            judged.found
        );
        let letters: Vec<String> = (0..26).map(|i| i.to_string()).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        let judged = super::tests::judged(&letters).unwrap();
        assert_eq!(judged.kind, TargetKind::Number);
        assert!(judged.found[0].contains("data.predict = \"class\""));
    }
}
