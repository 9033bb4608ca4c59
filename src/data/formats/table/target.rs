//! The column to predict: which one it is, whether it is a class or a number, and its values for a model.

use super::classes::Classes;
use super::csv::CsvTable;
use super::dates::DateForm;
use super::distinct::distinct;
use super::missing::value;
use super::number::{Decimals, NumberForm, is_infinite, number};
use super::scale::Scale;
use super::{TargetKind, decimals_in};
use crate::data::{DataError, DataSettings, Fitted, Targets};
use std::path::Path;

/// Names of columns that are detected as the target.
const NAMES: [&str; 4] = ["target", "label", "class", "y"];
/// A target column of whole numbers with at most this many different values is taken as classes.
pub(in crate::data::formats) const MOST_CLASSES: usize = 20;
/// Classes that are different in more than half of at least this many rows are reported.
const ROWS: usize = 20;

/// Encoding of the target.
pub(super) enum Target {
    Classes(Classes),
    Numbers(Scale, NumberForm),
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
    let place = table.place(name);
    let place = place.ok_or_else(|| DataError::unusable(path, format!("has no column {name}")))?;
    let known = |(line, cell): (u64, &'t str)| match value(cell) {
        Some(cell) => Ok((line, cell)),
        None => {
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
    };
    table.column(place).map(known).collect()
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

/// The values of the `cells` of the column `name` for a model.
pub(super) fn targets(
    cells: &[(u64, &str)],
    target: &Target,
    name: &str,
    file: (&CsvTable, &Path),
) -> Result<Targets, DataError> {
    match target {
        Target::Classes(classes) => {
            let label = |cell: &(u64, &str)| classes.index(*cell, name, file.1);
            let labels = cells.iter().map(label).collect::<Result<_, _>>();
            labels.map(Targets::Classes)
        }
        Target::Numbers(scale, form) => {
            let numbers = numbers(cells, name, form, file)?;
            let scaled = |x: &f64| ((x - scale.mean) / scale.std) as f32;
            Ok(Targets::Values {
                values: numbers.iter().map(scaled).collect(),
                columns: 1,
                offset: 0,
                length: 1,
            })
        }
    }
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
