//! From the rows of tables to encoded columns and targets: the target, the parts, and the encoding fitted to the training part.

use super::classes::Classes;
use super::columns::{Column, ColumnKind, Unknown, encode, places};
use super::csv::{CsvTable, number, value};
use super::{MOST_CLASSES, Scale, TARGETS, TableFiles, TargetKind, is_number, notes_on_unknown};
use crate::data::split::Drawn;
use crate::data::{DataError, DataSettings, Fitted, Part, Parts, Targets};
use csv::StringRecord;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Encoding of the target.
enum Target {
    Classes(Classes),
    Numbers(Scale),
}

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
    let name = target_name(table, settings, fitted, path)?;
    let own_cells = target_cells(table, &name, path)?;
    let known = fitted.predict.is_some();
    fitted.target = Some(name.clone());
    let kind = settings.predict.or(fitted.predict);
    let kind = kind.unwrap_or_else(|| kind_of(&own_cells));
    fitted.predict = Some(kind);
    let classes = match kind {
        TargetKind::Class => Some(Classes::of(&own_cells, fitted, &name, path)?),
        TargetKind::Number => None,
    };
    let has = |wanted: bool| files.is_test().any(|is_test| is_test == wanted);
    let drawn = Drawn::of(settings, has(false), has(true));
    let label = |cell: &str| {
        let place = classes.as_ref().and_then(|classes| classes.position(cell));
        place.unwrap_or(0) as u32
    };
    let labels: Vec<u32> = own_cells.iter().map(|(_, cell)| label(cell)).collect();
    let of_each = drawn.parts(&labels, settings, seed)?;
    let learned = |index: &usize| of_each[*index] == Part::Train;
    let mut notes = Vec::new();
    if !known {
        let left_out = [&name[..]].into_iter().chain(pictures).collect::<Vec<_>>();
        fitted.columns = learn(table, settings, &left_out, learned, path)?;
        notes = nearly_numbers(table, &fitted.columns, &settings.categories);
    }
    let columns = &fitted.columns;
    if pictures.is_none() && columns.iter().map(Column::width).sum::<usize>() == 0 {
        return Err(DataError::unusable(path, "has no column to predict from"));
    }
    let target = match classes {
        Some(classes) => Target::Classes(classes),
        None => {
            let seen = own_cells
                .iter()
                .enumerate()
                .filter(|(index, _)| learned(index));
            let scale = match fitted.scale {
                Some(scale) => scale,
                None => scale_of(seen.map(|(_, cell)| *cell), &name, path)?,
            };
            fitted.scale = Some(scale);
            Target::Numbers(scale)
        }
    };
    let mut unknown = Unknown::new();
    let mut rows_of = |at: usize, keep: &dyn Fn(usize) -> bool| {
        let (table, path) = &tables[at];
        let kept: Vec<usize> = (0..table.rows.len()).filter(|&index| keep(index)).collect();
        let encoded = places(table, columns, path)?;
        let rows = kept.iter().map(|&index| &table.rows[index]);
        let values = encode(rows, columns, &encoded, path, &mut unknown)?;
        let cells = target_cells(table, &name, path)?;
        let cells = kept.iter().map(|&index| cells[index]);
        Ok::<PartRows, DataError>(PartRows {
            values,
            targets: targets(cells, &target, &name, path)?,
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
    notes.extend(notes_on_unknown(&unknown));
    Ok(LoadedParts {
        parts,
        classes: match target {
            Target::Classes(classes) => classes.names,
            Target::Numbers(_) => Vec::new(),
        },
        notes,
    })
}

/// The target column: the one of the settings or the one that the run recorded, one with a usual name, or the last.
pub(in crate::data::formats) fn target_name(
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
    let called = |wanted: &&str| {
        table
            .names
            .iter()
            .find(|name| name.eq_ignore_ascii_case(wanted))
    };
    let found = TARGETS.iter().find_map(called).or(table.names.last());
    found
        .cloned()
        .ok_or_else(|| DataError::unusable(path, "has no columns"))
}

/// The cells of the target, each with its line.
pub(in crate::data::formats) fn target_cells<'t>(
    table: &'t CsvTable,
    name: &str,
    path: &Path,
) -> Result<Vec<(u64, &'t str)>, DataError> {
    let place = table.place(name);
    let place = place.ok_or_else(|| DataError::unusable(path, format!("has no column {name}")))?;
    let cell = |(line, row): &'t (u64, StringRecord)| {
        let cell = value(row.get(place).unwrap_or_default()).ok_or_else(|| {
            DataError::unusable(
                path,
                format!(
                    "has no value at line {line} in column {name}: fill it in, or remove such rows"
                ),
            )
        })?;
        Ok((*line, cell))
    };
    table.rows.iter().map(cell).collect()
}

fn kind_of(cells: &[(u64, &str)]) -> TargetKind {
    let numbers: Option<Vec<f64>> = cells.iter().map(|(_, cell)| number(cell)).collect();
    let Some(numbers) = numbers else {
        return TargetKind::Class;
    };
    let distinct: BTreeSet<u64> = numbers.iter().map(|x| x.to_bits()).collect();
    match numbers.iter().all(|x| x.fract() == 0.0) && distinct.len() <= MOST_CLASSES {
        true => TargetKind::Class,
        false => TargetKind::Number,
    }
}

fn scale_of<'a>(
    cells: impl Iterator<Item = (u64, &'a str)>,
    name: &str,
    path: &Path,
) -> Result<Scale, DataError> {
    let numbers = cells.map(|(line, cell)| target_number(line, cell, name, path));
    let numbers = numbers.collect::<Result<Vec<f64>, _>>()?;
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
    let std = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    Ok(Scale { mean, std })
}

fn target_number(line: u64, cell: &str, name: &str, path: &Path) -> Result<f64, DataError> {
    number(cell).ok_or_else(|| {
        DataError::unusable(
            path,
            format!("has \"{cell}\" at line {line} in column {name}, but the target is a number"),
        )
    })
}

fn targets<'a>(
    cells: impl Iterator<Item = (u64, &'a str)>,
    target: &Target,
    name: &str,
    path: &Path,
) -> Result<Targets, DataError> {
    match target {
        Target::Classes(classes) => {
            let label = |cell| classes.index(cell, name, path);
            let labels = cells.map(label).collect::<Result<_, _>>();
            labels.map(Targets::Classes)
        }
        Target::Numbers(scale) => {
            let scaled = |(line, cell)| {
                let x = target_number(line, cell, name, path)?;
                Ok(((x - scale.mean) / scale.std) as f32)
            };
            Ok(Targets::Values {
                values: cells.map(scaled).collect::<Result<_, DataError>>()?,
                columns: 1,
                offset: 0,
                length: 1,
            })
        }
    }
}

/// Fits the encoding of all columns except those `left_out` and those to drop.
fn learn(
    table: &CsvTable,
    settings: &DataSettings,
    left_out: &[&str],
    learned: impl Fn(&usize) -> bool,
    path: &Path,
) -> Result<Vec<Column>, DataError> {
    for name in settings.drop.iter().chain(&settings.categories) {
        if table.place(name).is_none() {
            return Err(DataError::unusable(
                path,
                format!("has no column {name}: it has {}", table.listed()),
            ));
        }
    }
    let read = |name: &&String| !left_out.contains(&&***name) && !settings.drop.contains(*name);
    let columns = table.names.iter().filter(read).map(|name| {
        let place = table.place(name).unwrap_or(0);
        let rows: Vec<&str> = (0..table.rows.len())
            .filter(&learned)
            .map(|index| table.rows[index].1.get(place).unwrap_or_default())
            .collect();
        Column::learn(
            name,
            rows.iter().copied(),
            settings.categories.contains(name),
        )
        .map_err(|problem| DataError::unusable(path, problem))
    });
    columns.collect()
}

/// Notes on columns that are categorical although nearly all of their cells are numbers.
fn nearly_numbers(table: &CsvTable, columns: &[Column], categories: &[String]) -> Vec<String> {
    /// A column counts as nearly numeric if at most one in this many cells is not a number.
    const CELLS: usize = 10;
    let asked = |column: &&Column| !categories.contains(&column.name);
    let note = |column: &Column| {
        if let ColumnKind::Number { .. } = column.kind {
            return None;
        }
        let place = table.place(&column.name)?;
        let cells = table.rows.iter().filter_map(|(line, row)| {
            let cell = value(row.get(place).unwrap_or_default())?;
            Some((*line, cell))
        });
        let (all, texts) = (
            cells.clone().count(),
            cells.filter(|(_, cell)| !is_number(cell)),
        );
        let (line, text) = texts.clone().next()?;
        let count = texts.count();
        (count * CELLS <= all).then(|| {
            format!(
                "column {} is taken for categories, because of \"{text}\" at line {line}: of its {all} cells {} are numbers",
                column.name,
                all - count
            )
        })
    };
    columns.iter().filter(asked).filter_map(note).collect()
}
