//! From the rows of tables to encoded columns and targets: the target, the parts, and the encoding fitted to the training part.

use super::columns::{Column, Differences, Reading, check_repeated, encode};
use super::csv::CsvTable;
use super::several::Several;
use super::target::{One, Target};
use super::{TableFiles, decimals_in, notes_on, report, row_index};
use crate::data::split::Drawn;
use crate::data::{DataError, DataSettings, Fitted, Part, Parts, Targets};
use std::path::{Path, PathBuf};

/// Maximum number of columns that can't be read and are named in a message.
const MOST_PROBLEMS: usize = 5;

/// Rows of a part of a data set: encoded columns and targets, and the origin of the rows.
pub(in crate::data::formats) struct PartRows {
    /// The encoded columns, row after row.
    pub values: Vec<f32>,
    /// The target of each row.
    pub targets: Targets,
    /// Index of their table.
    pub table: usize,
    /// Their indices in that table.
    pub places: Vec<usize>,
}

/// Result of [`load_parts`].
pub(in crate::data::formats) struct LoadedParts {
    pub parts: Parts<PartRows>,
    pub classes: Vec<String>,
    /// Notes for the user.
    pub notes: Vec<String>,
    /// How the tables were read.
    pub found: Vec<String>,
}

/// Splits `tables`, as returned by [`TableFiles::read`], into parts and encodes their rows. The encoding is fitted to the training
/// part and stored in `fitted`, unless it is there already. The column `pictures` is not encoded, and may be the only column.
///
/// # Errors
/// Names the file, and the line or column in it, that is wrong.
pub(in crate::data::formats) fn load_parts(
    tables: &[(CsvTable, PathBuf)],
    files: &TableFiles,
    settings: &DataSettings,
    fitted: &mut Fitted,
    seed: u64,
    pictures: Option<&str>,
) -> Result<LoadedParts, DataError> {
    let Some((table, path)) = tables.first() else {
        return Err(DataError::unusable(&settings.source, "is not a table"));
    };
    let mut found: Vec<String> = tables
        .iter()
        .flat_map(|(table, path)| table.in_words(path))
        .collect();
    let mut notes: Vec<String> = tables
        .iter()
        .flat_map(|(table, path)| table.notes(path))
        .collect();
    let known = fitted.predict.is_some();
    let goal = match Several::of(table, settings, fitted, path, pictures.is_some())? {
        Some(several) => Goal::Several(several),
        None => {
            let one = One::of((table, path), settings, fitted)?;
            notes.extend(one.notes.iter().cloned());
            found.extend(one.found.iter().cloned());
            Goal::One(Box::new(one))
        }
    };
    let has = |wanted: bool| files.is_test().any(|is_test| is_test == wanted);
    let drawn = Drawn::of(settings, has(false), has(true));
    let labels = match &goal {
        Goal::One(one) => one.labels(),
        Goal::Several(_) => vec![0; table.rows.len()],
    };
    let of_each = drawn.parts(&labels, settings, seed)?;
    let learned = |index: &usize| of_each[*index] == Part::Train;
    if !known {
        let targets = goal.columns().iter().map(|name| &**name);
        let mut left_out: Vec<&str> = targets.chain(pictures).collect();
        let index = index_of(table, settings, &left_out);
        if let Some(reason) = index {
            left_out.push(&table.names[0]);
            found.push(format!(
                "column {} is left out as an index of the rows: it {reason} (data.keep keeps it)",
                table.names[0]
            ));
        }
        let mut read = learn(table, settings, &left_out, false, learned, path)?;
        if read.columns.is_empty() && pictures.is_none() {
            // There is nothing else to predict from.
            read = learn(table, settings, &left_out, true, learned, path)?;
        }
        fitted.columns = std::mem::take(&mut read.columns);
        notes.extend(report::capped(read.notes));
        found.extend(report::capped(read.found));
    }
    if pictures.is_none() && fitted.columns.iter().map(Column::width).sum::<usize>() == 0 {
        return Err(DataError::unusable(path, "has no column to predict from"));
    }
    let target = match goal {
        Goal::Several(several) => {
            let line = several.fit(table, fitted, learned, path)?;
            Target::Several(several, line)
        }
        Goal::One(one) => (*one).fitted((table, path), fitted, learned)?,
    };
    let (fitted, columns) = (&*fitted, &fitted.columns);
    let other = fitted.other_columns(settings);
    for (table, path) in &tables[usize::from(!known)..] {
        check_repeated(table, columns, &other, path)?;
    }
    let mut differences = Differences::default();
    let mut rows_of = |at: usize, keep: &dyn Fn(usize) -> bool| {
        let (table, path) = &tables[at];
        let kept: Vec<usize> = (0..table.rows.len()).filter(|&index| keep(index)).collect();
        let rows = kept.iter().filter_map(|&index| table.rows.row(index));
        let values = encode(rows, columns, (table, path), &mut differences)?;
        Ok::<PartRows, DataError>(PartRows {
            values,
            targets: target.of_rows(&kept, fitted, (table, path))?,
            table: at,
            places: kept,
        })
    };
    let mut own = |part: Part| rows_of(0, &|index| of_each[index] == part);
    let mut parts = Parts {
        train: own(Part::Train)?,
        validation: match drawn.validation {
            true => Some(own(Part::Validation)?),
            false => None,
        },
        test: match drawn.test {
            true => Some(own(Part::Test)?),
            false => None,
        },
    };
    if !drawn.test {
        for (at, is_test) in (1..tables.len()).zip(files.is_test()) {
            let rows = Some(rows_of(at, &|_| true)?);
            match is_test {
                true => parts.test = rows,
                false => parts.validation = rows,
            }
        }
    }
    notes.extend(notes_on(&differences));
    found.extend(report::missing(table, columns, path));
    found.extend(report::columns(columns));
    found.push(target.in_words());
    let classes = match target {
        Target::Classes(_, classes) => classes.names,
        Target::Several(Several::Numbers(_), _) | Target::Numbers(..) => Vec::new(),
        Target::Several(..) => fitted.classes.clone(),
    };
    Ok(LoadedParts {
        parts,
        found,
        classes,
        notes,
    })
}

/// What is to be predicted, before it is fitted to the training part.
enum Goal<'t> {
    One(Box<One<'t>>),
    Several(Several),
}

impl Goal<'_> {
    /// The columns of the targets.
    fn columns(&self) -> &[String] {
        match self {
            Goal::One(one) => std::slice::from_ref(&one.name),
            Goal::Several(several) => several.columns(),
        }
    }
}

/// Why the first column is an index of the rows, unless it is needed for something else, kept, or the only one to predict from.
fn index_of(table: &CsvTable, settings: &DataSettings, left_out: &[&str]) -> Option<String> {
    let name = &table.names[0];
    let is_other = |name: &String| left_out.contains(&&**name) || settings.drop.contains(name);
    let is_kept = settings.keep.contains(name) || settings.categories.contains(name);
    let others = table.names.iter().skip(1).filter(|name| !is_other(name));
    match is_other(name) || is_kept || others.count() == 0 {
        true => None,
        false => row_index::find(table),
    }
}

/// Result of [`learn`].
struct LearnedColumns {
    columns: Vec<Column>,
    notes: Vec<String>,
    found: Vec<String>,
}

/// Fits the encoding of all columns except those `left_out`, those to drop and, unless `names` are to be kept, those of texts that
/// name the rows.
fn learn(
    table: &CsvTable,
    settings: &DataSettings,
    left_out: &[&str],
    names: bool,
    learned: impl Fn(&usize) -> bool,
    path: &Path,
) -> Result<LearnedColumns, DataError> {
    for name in settings
        .drop
        .iter()
        .chain(&settings.categories)
        .chain(&settings.keep)
    {
        if table.place(name).is_none() {
            return Err(DataError::unusable(
                path,
                format!("has no column {name}: it has {}", table.listed()),
            ));
        }
    }
    let decimals = decimals_in(table);
    let kept: Vec<bool> = (0..table.rows.len()).map(|index| learned(&index)).collect();
    let mut read = LearnedColumns {
        columns: Vec::new(),
        notes: Vec::new(),
        found: Vec::new(),
    };
    // All columns that can't be read are named at once.
    let mut problems = Vec::new();
    for (place, name) in table.names.iter().enumerate() {
        if left_out.contains(&&**name) || settings.drop.contains(name) {
            continue;
        }
        let cells = table.column(place).zip(&kept);
        let cells = cells.filter(|(_, kept)| **kept).map(|(cell, _)| cell);
        let reading = Reading {
            category: settings.categories.contains(name),
            names,
            decimals,
            pieces: settings.pieces,
        };
        match Column::learn(name, cells, reading) {
            Err(problem) => problems.push(problem),
            Ok(learned) => {
                read.columns.extend(learned.column);
                read.notes.extend(learned.notes);
                read.found.extend(learned.found);
            }
        }
    }
    if problems.is_empty() {
        return Ok(read);
    }
    let more = problems.len().saturating_sub(MOST_PROBLEMS);
    problems.truncate(MOST_PROBLEMS);
    let mut message = problems.join("; it ");
    if more > 0 {
        message += &format!("; and so it is in {more} more columns");
    }
    Err(DataError::unusable(path, message))
}
