//! Columns of texts: which texts are categories, and what the user should know of them.

use super::columns::Reading;
use super::dates::DateForm;
use super::distinct::distinct;
use super::missing::value;
use super::number::{NumberForm, digits, is_infinite, number};
use std::collections::HashMap;

/// At most this many texts are categories.
const MOST: usize = 1000;
/// The number of categories that are kept of more than those.
const FREQUENT: usize = 100;
/// One cell in this many makes no difference: to a column of numbers, or of texts that all differ.
const NEARLY: usize = 10;
/// Columns of digits with more different cells than this are hardly categories.
const FEW: usize = 20;
/// Texts that differ are only judged in at least this many cells.
const MANY: usize = 20;

/// The categories of a column of texts, sorted, and notes for the user. A column with another text in nearly every cell names the
/// rows and has none, unless the `reading` asks for it; of very many, the most frequent are kept.
///
/// # Errors
/// If it is a column of numbers or dates but for a few cells: the rest of a sentence about the file that names the first of them.
pub(super) fn learn<'a>(
    name: &str,
    cells: impl Iterator<Item = (u64, &'a str)> + Clone,
    reading: Reading,
) -> Result<(Option<Vec<String>>, Vec<String>), String> {
    let checked = match reading.category {
        true => Checked::default(),
        false => check(name, cells.clone())?,
    };
    let mut notes = checked.notes;
    let texts = || {
        cells
            .clone()
            .map(|(_, cell)| value(cell).unwrap_or_default())
    };
    let count = texts().filter(|text| !text.is_empty()).count();
    let mut categories = distinct(texts());
    let different = categories.iter().filter(|text| !text.is_empty()).count();
    let is_names = count >= MANY && (count - different) * NEARLY <= count;
    let is_wanted = reading.category || reading.names;
    if is_names && !is_wanted && checked.numbers * 2 <= count {
        let note = format!(
            "column {name} is left out: it has another text in nearly every row ({different} in {count}), as where it names the rows{}; \
             categories = [\"{name}\"] keeps it, and text = \"{name}\" with format = \"text_table\" trains on its words",
            checked.digits
        );
        return Ok((None, vec![note]));
    }
    if categories.len() > MOST {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        texts().for_each(|text| *counts.entry(text).or_default() += 1);
        // Texts that are equally frequent stay in their order.
        categories.sort_by_key(|text| std::cmp::Reverse(counts.get(text).copied().unwrap_or(0)));
        categories.truncate(FREQUENT);
        categories.sort_unstable();
        let kept: usize = categories.iter().filter_map(|text| counts.get(text)).sum();
        let all = texts().count();
        notes.push(format!(
            "column {name} has {different} different texts: the {FREQUENT} most frequent are categories, and the other {:.0}% of its \
             cells are encoded as zeros; drop = [\"{name}\"] leaves it out",
            (all - kept) as f64 * 100.0 / all as f64
        ));
    }
    let categories = categories.into_iter().map(str::to_string);
    Ok((Some(categories.collect()), notes))
}

/// What was seen in a column of texts.
#[derive(Default)]
struct Checked {
    /// Notes on a column that may be meant as numbers, or that differs in nearly every row.
    notes: Vec<String>,
    /// Cells that are numbers.
    numbers: usize,
    /// How many cells are mostly digits, if most are: the rest of a sentence about the column.
    digits: String,
}

/// Notes on a column of texts that may be meant as numbers, or that differ in nearly every row.
///
/// # Errors
/// If it is a column of numbers but for a few cells: names the first of them.
fn check<'a>(
    name: &str,
    cells: impl Iterator<Item = (u64, &'a str)> + Clone,
) -> Result<Checked, String> {
    let values = || cells.clone().filter(|(_, cell)| value(cell).is_some());
    let is_number = |cell: &str| NumberForm::reads(cell);
    let is_date = |cell: &str| DateForm::reads(cell);
    let count = values().count();
    let dates = values().filter(|(_, cell)| is_date(cell)).count();
    if dates > 0 && (count - dates) * NEARLY <= count {
        let stray = values()
            .find(|(_, cell)| !is_date(cell))
            .or(values().next());
        let (line, text) = stray.unwrap_or_default();
        return Err(format!(
            "has \"{text}\" at line {line} in column {name}, where {dates} of {count} cells are dates, but not in one form: write all in \
             the same way, leave cells empty, or set categories = [\"{name}\"]"
        ));
    }
    let numbers = values().filter(|(_, cell)| is_number(cell)).count();
    let stray = values().find(|(_, cell)| !is_number(cell));
    // Cells that are numbers, but not all in one form.
    let stray = stray.or_else(|| values().find(|(_, cell)| number(cell).is_none()));
    let (line, text) = stray.unwrap_or_default();
    let different = distinct(values().map(|(_, cell)| cell)).len();
    if (count - numbers) * NEARLY <= count {
        if different > FEW || is_infinite(text) {
            let why = if is_infinite(text) {
                "which is not finite, "
            } else {
                ""
            };
            return Err(format!(
                "has \"{text}\" at line {line} in column {name}, {why}where {} of {count} cells are numbers: fix that cell, leave it \
                 empty, or set categories = [\"{name}\"]",
                values().filter(|(_, cell)| number(cell).is_some()).count()
            ));
        }
        let note = format!(
            "column {name} is taken for categories, because of \"{text}\" at line {line}: of its {count} cells {numbers} are numbers"
        );
        return Ok(Checked {
            notes: vec![note],
            numbers,
            digits: String::new(),
        });
    }
    let is_mostly_digits = |cell: &str| digits(cell) * 2 > cell.chars().count();
    let coded = values().filter(|(_, cell)| is_mostly_digits(cell)).count();
    let (mut notes, mut mostly) = (Vec::new(), String::new());
    if coded * 2 > count && different > FEW {
        mostly = format!(
            ", with {coded} cells that are mostly digits, but no numbers in one form, such as \"{text}\" at line {line}"
        );
        notes.push(format!(
            "column {name} is taken for {different} categories, because of \"{text}\" at line {line}: {coded} of its {count} cells are \
             mostly digits"
        ));
    } else if different * 2 > count && count >= MANY {
        notes.push(format!(
            "column {name} is taken for {different} categories in {count} cells: leave it out with drop = [\"{name}\"] if it names \
             the rows"
        ));
    }
    Ok(Checked {
        notes,
        numbers,
        digits: mostly,
    })
}

#[cfg(test)]
mod tests {
    use super::super::number::Decimals;
    use super::*;

    fn learned(texts: &[String], wanted: bool) -> (Option<Vec<String>>, Vec<String>) {
        let cells = texts.iter().enumerate();
        let cells = cells.map(|(line, text)| (line as u64 + 2, &**text));
        let reading = Reading {
            category: wanted,
            names: false,
            decimals: Decimals::Point,
            pieces: 0,
        };
        learn("a", cells, reading).unwrap()
    }

    #[test]
    fn a_column_that_names_the_rows_is_left_out_unless_it_is_wanted() {
        let mut names: Vec<String> = (0..40).map(|i| format!("name {i}")).collect();
        let (categories, notes) = learned(&names, false);
        assert_eq!(categories, None);
        assert!(
            notes[0].contains("left out") && notes[0].contains("(40 in 40)"),
            "{notes:?}"
        );
        assert_eq!(learned(&names, true).0.unwrap().len(), 40);
        // A few that repeat or are missing change nothing, and many do.
        names[0] = "name 1".to_string();
        names[2].clear();
        assert_eq!(learned(&names, false).0, None);
        names[5..20].fill("name 5".to_string());
        assert!(learned(&names, false).0.is_some());
        // Few rows show nothing.
        assert!(learned(&names[20..35], false).0.is_some());
    }

    #[test]
    fn of_very_many_categories_the_most_frequent_are_kept() {
        // The texts from 0 to 1199: those below 200 four times, the others twice.
        let repeats = |i: usize| if i < 200 { 4 } else { 2 };
        let texts = (0..1200).flat_map(|i| vec![format!("t{i:04}"); repeats(i)]);
        let (categories, notes) = learned(&texts.collect::<Vec<_>>(), false);
        let wanted: Vec<String> = (0..100).map(|i| format!("t{i:04}")).collect();
        assert_eq!(categories.unwrap(), wanted);
        // 400 of 2800 cells are kept.
        let last = notes.last().unwrap();
        assert!(
            last.contains("1200 different texts") && last.contains("86%"),
            "{last}"
        );
    }
}
