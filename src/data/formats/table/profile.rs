//! The profile of a table: its columns by their kinds, row by row.

use super::classes::Classes;
use super::csv::CsvTable;
use super::dates::DateForm;
use super::leave_out_without_target;
use super::missing::value;
use super::number::{Decimals, NumberForm};
use super::target::target_name;
use super::{ColumnKind, TableFiles, TargetKind, decimals_in};
use crate::data::profile::{Cell, CellKind, ColumnRole, Profiler, Subject, TableProfile};
use crate::data::{DataError, DataSettings, Fitted, Source};
use std::collections::HashMap;
use std::path::Path;

/// How the cells of a column are read.
enum Notation {
    Number(NumberForm),
    Date(DateForm),
    Text,
}

impl Notation {
    /// The notation of all cells of the column at `place`.
    fn of(table: &CsvTable, place: usize, decimals: Decimals) -> Notation {
        let cells = || table.column(place).filter_map(|(_, cell)| value(cell));
        if let Some((form, _)) = DateForm::of(&table.names[place], cells()) {
            return Notation::Date(form);
        }
        match NumberForm::of(cells(), decimals) {
            Some(form) => Notation::Number(form),
            None => Notation::Text,
        }
    }

    fn kind(&self) -> CellKind {
        match self {
            Notation::Number(_) => CellKind::Number,
            Notation::Date(_) => CellKind::Date,
            Notation::Text => CellKind::Text,
        }
    }

    fn read<'c>(&self, cell: &'c str) -> Cell<'c> {
        let Some(cell) = value(cell) else {
            return Cell::Missing;
        };
        let number = match self {
            Notation::Number(form) => form.parse(cell),
            Notation::Date(form) => form.parse(cell).map(|date| date.seconds()),
            Notation::Text => return Cell::Text(cell),
        };
        number.map_or(Cell::Missing, Cell::Number)
    }
}

/// The profile of the training file of `source`, which was loaded into `fitted`: of its rows with a target.
///
/// # Errors
/// If the file can't be read, or is not the one that was loaded.
pub(super) fn profile(
    source: &Source,
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<TableProfile, DataError> {
    let not_a_table = || DataError::unusable(source.path(), "is not a table");
    let path = TableFiles::of(source).ok_or_else(not_a_table)?.train;
    let table = CsvTable::read(&path, settings, &fitted.input_columns())?;
    let mut tables = [(table, path)];
    leave_out_without_target(&mut tables, settings, fitted, false)?;
    let [(table, path)] = tables;
    of_table(&table, &path, settings, fitted)
}

fn of_table(
    table: &CsvTable,
    path: &Path,
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<TableProfile, DataError> {
    let target = target_name(table, settings, fitted, path)?;
    let classes = match fitted.predict {
        Some(TargetKind::Number) => None,
        _ => Some(Classes::of(&[], &mut fitted.clone(), &target, path)?),
    };
    let columns = fitted.columns.iter();
    let fitted_kinds: HashMap<&String, &ColumnKind> =
        columns.map(|column| (&column.name, &column.kind)).collect();
    let is_category = |name: &String| {
        let kind = fitted_kinds.get(name);
        let is_fitted = kind.is_some_and(|kind| matches!(kind, ColumnKind::Category { .. }));
        is_fitted || settings.categories.contains(name) || *name == target && classes.is_some()
    };
    let decimals = decimals_in(table);
    let names = table.names.iter().enumerate();
    let notation = |(place, name): (usize, &String)| match is_category(name) {
        true => Notation::Text,
        false => Notation::of(table, place, decimals),
    };
    let notations: Vec<Notation> = names.map(notation).collect();
    let role = |name: &String| match fitted_kinds.contains_key(name) {
        _ if *name == target => ColumnRole::Target,
        true => ColumnRole::Input,
        false => ColumnRole::LeftOut,
    };
    let subjects = table
        .names
        .iter()
        .zip(&notations)
        .map(|(name, notation)| Subject {
            name: name.clone(),
            role: role(name),
            kind: notation.kind(),
        });
    let names = classes.as_ref().map(|classes| &classes.names[..]);
    let mut profiler = Profiler::new(subjects.collect(), names, table.rows.len());
    let place = table.place(&target).unwrap_or_default();
    for (line, row) in table.rows.iter() {
        let cell = row.get(place).unwrap_or_default();
        let number = match (&classes, notations[place].read(cell)) {
            (Some(classes), _) => f64::from(classes.index((line, cell), &target, path)?),
            (None, Cell::Number(number)) => number,
            (None, _) => {
                let problem = format!(
                    "has \"{cell}\" at line {line} in column {target}, which is numeric: fix that row"
                );
                return Err(DataError::unusable(path, problem));
            }
        };
        let cells = row.iter().zip(&notations).enumerate();
        profiler.push(
            number,
            cells.map(|(at, (cell, notation))| match &classes {
                // Classes have names, and are written in different ways.
                Some(classes) if at == place => Cell::Text(&classes.names[number as usize]),
                _ => notation.read(cell),
            }),
        );
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(profiler.finish(file.into_owned(), target))
}
