//! Columns of a table: their encoding, fitted to the training part, and their cells as numbers for a model.

use super::categories;
use super::csv::CsvTable;
use super::dates::{DateForm, Moment, in_words};
use super::decimals_in;
use super::distinct::Indices;
use super::missing::value;
use super::number::{Decimals, NumberForm};
use super::pieces;
use super::rows::TableRow;
use super::scale::Scale;
use crate::data::DataError;
use crate::data::files::check_memory;
use crate::html::plot::significant;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// A column that a model reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// Name in the header.
    pub name: String,
    /// Encoding of its cells.
    #[serde(flatten)]
    pub kind: ColumnKind,
}

/// Encoding of the cells of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ColumnKind {
    /// `(cell - mean) / std`, then a number for each of its pieces; zeros for a missing cell. If cells were missing in training, a
    /// last number is 1 for missing cells.
    Number {
        /// Mean of the training part.
        mean: f64,
        /// Standard deviation of the training part, 1 if that is 0.
        std: f64,
        /// Whether there is a number for missing cells.
        missing: bool,
        /// Edges of the pieces of the piecewise linear encoding (`data.pieces`), increasing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pieces: Vec<f64>,
        /// How the numbers are written.
        #[serde(default, skip_serializing_if = "NumberForm::is_plain")]
        form: NumberForm,
    },
    /// `(year - mean) / std`, then sine and cosine of month, day of the week and, if there are times, hour; zeros for a missing
    /// cell. If cells were missing in training, a last number is 1 for missing cells.
    Date {
        /// How the dates are written.
        form: DateForm,
        /// Mean year of the training part.
        mean: f64,
        /// Standard deviation of the year, 1 if that is 0.
        std: f64,
        /// Whether there are times.
        time: bool,
        /// Whether there is a number for missing cells.
        missing: bool,
    },
    /// One-hot: one number per category, 1 for the cell's own; all zeros for a category that was not learned.
    Category {
        /// The categories of the training part, sorted; the empty one stands for missing cells.
        values: Vec<String>,
    },
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnKind::Number {
                mean,
                std,
                missing,
                pieces,
                form,
            } => {
                let missing = if *missing { ", some missing" } else { "" };
                write!(
                    f,
                    "numbers, mean {mean:.4}, standard deviation {std:.4}{missing}"
                )?;
                if let Some(count) = pieces.len().checked_sub(1) {
                    write!(f, ", in {count} pieces")?;
                }
                match form.is_plain() {
                    true => Ok(()),
                    false => write!(f, ", with {form}"),
                }
            }
            ColumnKind::Date {
                form,
                time,
                missing,
                ..
            } => {
                let hour = if *time { " and hour" } else { "" };
                let missing = if *missing { ", some missing" } else { "" };
                let name = form.name();
                write!(f, "{name}, as year, month, day of the week{hour}{missing}")
            }
            ColumnKind::Category { values } => {
                /// Maximum number of categories that are listed.
                const SHOWN: usize = 6;
                let shown = values.iter().take(SHOWN).map(|value| match &**value {
                    "" => "(missing)",
                    value => value,
                });
                let shown = shown.collect::<Vec<&str>>().join(", ");
                let more = if values.len() > SHOWN { ", …" } else { "" };
                write!(f, "{} categories: {shown}{more}", values.len())
            }
        }
    }
}

/// Differences between tables and the training part, by column.
#[derive(Default)]
pub(super) struct Differences {
    /// Categories that were not learned: the number of cells, and the first one.
    pub unknown: BTreeMap<String, (usize, String)>,
    /// Numbers that are written in another way: how.
    pub forms: BTreeMap<String, String>,
}

/// How the cells of a column are to be read.
#[derive(Clone, Copy)]
pub(in crate::data::formats) struct Reading {
    /// As a category, even if all cells are numbers.
    pub category: bool,
    /// As a category, even if nearly all texts differ.
    pub names: bool,
    /// The decimal marks in the table.
    pub decimals: Decimals,
    /// Maximum number of pieces of the piecewise linear encoding of numbers.
    pub pieces: usize,
}

/// Result of [`Column::learn`].
pub(in crate::data::formats) struct Learned {
    /// The column; `None` if it is left out, because all of its cells are missing, or name the rows.
    pub column: Option<Column>,
    /// What may surprise.
    pub notes: Vec<String>,
    /// How the column was read.
    pub found: Vec<String>,
}

impl Column {
    /// Fits the encoding of a column of `cells`, each with its line: numeric if all cells that are not missing are numbers in one
    /// form, unless it is to be a category.
    ///
    /// # Errors
    /// If it is neither a column of numbers nor of categories, as the rest of a sentence about the file.
    pub(in crate::data::formats) fn learn<'a>(
        name: &str,
        cells: impl Iterator<Item = (u64, &'a str)> + Clone,
        reading: Reading,
    ) -> Result<Learned, String> {
        let Reading {
            category,
            decimals,
            pieces,
            ..
        } = reading;
        let values = || cells.clone().filter_map(|(_, cell)| value(cell));
        let (all, count) = (cells.clone().count(), values().count());
        let mut learned = Learned {
            column: None,
            notes: Vec::new(),
            found: Vec::new(),
        };
        if count == 0 {
            let line = format!("column {name} is left out: all of its {all} cells are missing");
            learned.found.push(line);
            return Ok(learned);
        }
        let date = match category {
            true => None,
            false => DateForm::of(name, values()),
        };
        let form = match category || date.is_some() {
            true => None,
            false => NumberForm::of(values(), decimals),
        };
        let kind = match (date, form) {
            (Some((form, is_guess)), _) => {
                if is_guess {
                    learned.notes.push(format!(
                        "column {name} holds dates such as {}, of which the month is taken to be first: write them as in 2020-12-31 if \
                         it is not",
                        values().next().unwrap_or_default()
                    ));
                }
                let dates: Vec<Moment> = values().filter_map(|cell| form.parse(cell)).collect();
                let years: Vec<f64> = dates.iter().map(Moment::year).collect();
                let Scale { mean, std } = Scale::of(&years);
                ColumnKind::Date {
                    form,
                    mean,
                    std,
                    time: dates.iter().any(Moment::has_time),
                    missing: count < all,
                }
            }
            (None, Some(form)) => {
                if !form.is_plain() {
                    learned
                        .found
                        .push(format!("column {name} is read with {form}"));
                }
                let numbers: Vec<f64> = values().filter_map(|cell| form.parse(cell)).collect();
                let Scale { mean, std } = Scale::of(&numbers);
                ColumnKind::Number {
                    mean,
                    std,
                    missing: count < all,
                    pieces: pieces::edges(&numbers, pieces),
                    form,
                }
            }
            (None, None) => {
                let (values, notes) = categories::learn(name, cells, reading)?;
                learned.notes = notes;
                let Some(values) = values else {
                    return Ok(learned);
                };
                ColumnKind::Category { values }
            }
        };
        let name = name.to_string();
        learned.column = Some(Column { name, kind });
        Ok(learned)
    }

    /// The cell that was encoded as `values`, as text.
    pub fn cell(&self, values: &[f32]) -> String {
        const MISSING: &str = "(missing)";
        match &self.kind {
            ColumnKind::Number { missing: true, .. } if values.last() == Some(&1.0) => {
                MISSING.to_string()
            }
            &ColumnKind::Number { mean, std, .. } => {
                let scale = Scale { mean, std };
                let value = values.first().map(|&x| scale.restore(x));
                significant(value.unwrap_or(f64::NAN), 6)
            }
            ColumnKind::Date { missing: true, .. } if values.last() == Some(&1.0) => {
                MISSING.to_string()
            }
            ColumnKind::Date {
                mean, std, time, ..
            } => {
                let year = values.first().map_or(0.0, |&x| f64::from(x) * std + mean);
                let end = if *time { 7 } else { 5 };
                in_words(year, values.get(1..end).unwrap_or_default())
            }
            ColumnKind::Category { values: names } => {
                let at = values.iter().position(|&x| x == 1.0);
                match at.and_then(|at| names.get(at)).map(String::as_str) {
                    Some("") => MISSING.to_string(),
                    Some(name) => name.to_string(),
                    None => "(unknown)".to_string(),
                }
            }
        }
    }

    /// The values of a cell with this number; `None` if the cells are dates. All zeros if it is not among the categories.
    pub(crate) fn values_of(&self, number: f32) -> Option<Vec<f32>> {
        let mut values = vec![0.0; self.width()];
        match &self.kind {
            ColumnKind::Number {
                mean, std, pieces, ..
            } => write_number(number.into(), [*mean, *std], pieces, &mut values),
            ColumnKind::Category { values: names } => {
                let own = names.iter().position(|name| name.parse() == Ok(number));
                own.into_iter().for_each(|own| values[own] = 1.0);
            }
            ColumnKind::Date { .. } => return None,
        }
        Some(values)
    }

    /// Number of values per cell.
    pub fn width(&self) -> usize {
        match &self.kind {
            ColumnKind::Number {
                missing, pieces, ..
            } => 1 + pieces.len().saturating_sub(1) + usize::from(*missing),
            ColumnKind::Date { time, missing, .. } => {
                5 + 2 * usize::from(*time) + usize::from(*missing)
            }
            ColumnKind::Category { values } => values.len(),
        }
    }
}

/// The index of each of `columns` among the columns of `table`.
///
/// # Errors
/// Names the column that is missing, or that there are several of.
pub(super) fn places(
    table: &CsvTable,
    columns: &[Column],
    path: &Path,
) -> Result<Vec<usize>, DataError> {
    let place = |column: &Column| {
        let found = table.place(&column.name);
        found.ok_or_else(|| {
            DataError::unusable(
                path,
                format!("has no column {}: it has {}", column.name, table.listed()),
            )
        })
    };
    columns.iter().map(place).collect()
}

/// Checks that none of `columns` could be one of several columns of `table` with its name: those that are not `columns` either
/// are `known`, or empty.
///
/// # Errors
/// Names the column, and those that it could be.
pub(super) fn check_repeated(
    table: &CsvTable,
    columns: &[Column],
    known: &[&String],
    path: &Path,
) -> Result<(), DataError> {
    for column in columns {
        let names = table.repeated(&column.name).unwrap_or_default();
        let is_known = |name: &&String| {
            known.contains(name)
                || columns.iter().any(|column| column.name == **name)
                || table
                    .place(name)
                    .is_some_and(|place| table.column(place).all(|(_, cell)| value(cell).is_none()))
        };
        if !names.iter().all(|name| is_known(&name)) {
            return Err(DataError::unusable(
                path,
                format!(
                    "has {} columns called {}, and the training data had one: remove or rename the others",
                    names.len(),
                    column.name
                ),
            ));
        }
    }
    Ok(())
}

/// The cells of `rows` of `table` as numbers, row after row. Numbers and dates of a column that are not in the form of training
/// are read in the form that they have in this table, if it is one. Adds what differs from training to `differences`.
///
/// # Errors
/// Names the line of a cell that should be a number or a date but is not.
pub(super) fn encode<'a>(
    rows: impl Iterator<Item = (u64, TableRow<'a>)> + Clone,
    columns: &[Column],
    (table, path): (&CsvTable, &Path),
    differences: &mut Differences,
) -> Result<Vec<f32>, DataError> {
    let places = places(table, columns, path)?;
    let width: usize = columns.iter().map(Column::width).sum();
    let values = (rows.clone().count() as u64).saturating_mul(width as u64);
    check_memory(path, values.saturating_mul(4))?;
    let mut encoders: Vec<Encoder<'_>> = columns.iter().zip(&places).map(Encoder::of).collect();
    loop {
        let mut unknown = BTreeMap::new();
        let Stray { column, line, text } =
            match encode_with(rows.clone(), values, &encoders, &mut unknown) {
                Ok(values) => {
                    for (column, (count, first)) in unknown {
                        differences.unknown.entry(column).or_insert((0, first)).0 += count;
                    }
                    return Ok(values);
                }
                Err(stray) => stray,
            };
        let encoder = &mut encoders[column];
        let name = &encoder.column.name;
        let place = encoder.place;
        let cells = rows
            .clone()
            .filter_map(|(line, row)| Some((line, value(row.get(place)?)?)));
        let own = encoder
            .notation
            .of(name, cells.clone().map(|(_, cell)| cell), table);
        match own {
            Some(own) if own != encoder.notation => {
                differences.forms.insert(name.clone(), own.in_words());
                encoder.notation = own;
            }
            _ => {
                let is_none = |(_, cell): &(u64, &str)| !encoder.notation.reads(cell);
                let (line, text) = cells.clone().find(is_none).unwrap_or((line, &text));
                let what = encoder.notation.what();
                return Err(DataError::unusable(
                    path,
                    format!(
                        "has \"{text}\" at line {line} in column {name}, which {what}: fix that cell, or leave it empty"
                    ),
                ));
            }
        }
    }
}

/// How the cells of a column of a table are read.
#[derive(PartialEq)]
enum Notation {
    Number(NumberForm),
    Date(DateForm),
    /// By the indices of the categories.
    Text,
}

impl Notation {
    /// The notation of this kind in which all `cells` are written, if there is one.
    fn of<'c>(
        &self,
        name: &str,
        cells: impl Iterator<Item = &'c str> + Clone,
        table: &CsvTable,
    ) -> Option<Notation> {
        match self {
            Notation::Number(_) => NumberForm::of(cells, decimals_in(table)).map(Notation::Number),
            Notation::Date(_) => DateForm::of(name, cells).map(|(form, _)| Notation::Date(form)),
            Notation::Text => None,
        }
    }

    /// Whether a cell is of this kind in any form.
    fn reads(&self, cell: &str) -> bool {
        match self {
            Notation::Number(_) => NumberForm::reads(cell),
            Notation::Date(_) => DateForm::reads(cell),
            Notation::Text => true,
        }
    }

    /// The kind, for use after "which".
    fn what(&self) -> &'static str {
        match self {
            Notation::Number(_) => "is numeric",
            Notation::Date(_) => "holds dates",
            Notation::Text => "holds texts",
        }
    }

    fn in_words(&self) -> String {
        match self {
            Notation::Number(form) if form.is_plain() => "plain numbers".to_string(),
            Notation::Number(form) => form.to_string(),
            Notation::Date(form) => form.name().to_string(),
            Notation::Text => "texts".to_string(),
        }
    }
}

/// How a column of a table is encoded.
struct Encoder<'c> {
    column: &'c Column,
    place: usize,
    notation: Notation,
    /// The indices of categories.
    indices: Indices,
}

impl<'c> Encoder<'c> {
    fn of((column, &place): (&'c Column, &usize)) -> Encoder<'c> {
        let (notation, texts) = match &column.kind {
            ColumnKind::Number { form, .. } => (Notation::Number(form.clone()), &[][..]),
            ColumnKind::Date { form, .. } => (Notation::Date(*form), &[][..]),
            ColumnKind::Category { values } => (Notation::Text, &values[..]),
        };
        Encoder {
            column,
            place,
            notation,
            indices: Indices::of(texts),
        }
    }

    /// Writes `cell` into `out`, which has the width of the column and holds zeros; `None` if it is not of the column's kind, and
    /// whether it is a known category.
    fn write(&self, cell: Option<&str>, out: &mut [f32]) -> Option<bool> {
        match (&self.column.kind, &self.notation, cell) {
            (
                ColumnKind::Number {
                    mean, std, pieces, ..
                },
                Notation::Number(form),
                Some(cell),
            ) => {
                write_number(form.parse(cell)?, [*mean, *std], pieces, out);
            }
            (ColumnKind::Date { mean, std, .. }, Notation::Date(form), Some(cell)) => {
                let date = form.parse(cell)?;
                out[0] = ((date.year() - mean) / std) as f32;
                let cycles = if self.has_time() { 6 } else { 4 };
                for (out, cycle) in out[1..].iter_mut().zip(&date.cycles()[..cycles]) {
                    *out = *cycle as f32;
                }
            }
            (ColumnKind::Number { missing, .. } | ColumnKind::Date { missing, .. }, _, _) => {
                if let (true, Some(last)) = (missing, out.last_mut()) {
                    *last = 1.0;
                }
            }
            (ColumnKind::Category { .. }, _, cell) => {
                let category = self.indices.position(cell.unwrap_or_default());
                if let Some(category) = category {
                    out[category] = 1.0;
                }
                return Some(category.is_some());
            }
        }
        Some(true)
    }

    fn has_time(&self) -> bool {
        matches!(self.column.kind, ColumnKind::Date { time: true, .. })
    }
}

/// Writes a number by the mean and standard deviation of its column, and the edges of its pieces.
fn write_number(number: f64, [mean, std]: [f64; 2], pieces: &[f64], out: &mut [f32]) {
    out[0] = ((number - mean) / std) as f32;
    pieces::encode(number, pieces, &mut out[1..]);
}

/// A cell that is not of the kind of its column.
struct Stray {
    column: usize,
    line: u64,
    text: String,
}

/// The cells of `rows` by the `encoders`: so many `values`.
fn encode_with<'a>(
    rows: impl Iterator<Item = (u64, TableRow<'a>)>,
    values: u64,
    encoders: &[Encoder<'_>],
    unknown: &mut BTreeMap<String, (usize, String)>,
) -> Result<Vec<f32>, Stray> {
    let mut out = Vec::with_capacity(values as usize);
    for (line, row) in rows {
        for (index, encoder) in encoders.iter().enumerate() {
            let cell = value(row.get(encoder.place).unwrap_or_default());
            let first = out.len();
            out.resize(first + encoder.column.width(), 0.0);
            let is_known = encoder
                .write(cell, &mut out[first..])
                .ok_or_else(|| Stray {
                    column: index,
                    line,
                    text: cell.unwrap_or_default().to_string(),
                })?;
            if !is_known {
                let name = encoder.column.name.clone();
                let shown = cell.unwrap_or("(missing)").to_string();
                unknown.entry(name).or_insert((0, shown)).0 += 1;
            }
        }
    }
    Ok(out)
}
