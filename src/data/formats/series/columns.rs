//! The columns of a series: numbers to see and forecast, and categories to see.

use super::dates::index_of;
use crate::data::formats::table::{
    Column, ColumnKind, CsvTable, DateForm, Reading, Scale, decimals_in, is_number, value,
};
use crate::data::{DataError, DataSettings, Fitted};
use std::ops::Range;
use std::path::Path;

/// Fits the columns to the rows `train`. An index of the rows, dates, and a first column of text after the index are left out.
pub(super) fn learn(
    table: &CsvTable,
    settings: &DataSettings,
    train: &Range<usize>,
    file: &Path,
    found: &mut Vec<String>,
) -> Result<Vec<Column>, DataError> {
    let mut columns: Vec<Column> = Vec::new();
    let mut problems = Vec::new();
    let decimals = decimals_in(table);
    let index = index_of(table, settings);
    let first = usize::from(index.is_some());
    if let Some(reason) = index {
        let name = &table.names[0];
        found.push(format!(
            "column {name} is left out as an index of the rows: it {reason} (data.keep keeps it)"
        ));
    }
    for (place, name) in table.names.iter().enumerate().skip(first) {
        if settings.drop.contains(name) {
            continue;
        }
        let cells = table.column(place).skip(train.start).take(train.len());
        let known = cells.clone().filter(|(_, cell)| value(cell).is_some());
        let has_text = known.clone().any(|(_, cell)| !is_number(cell));
        let is_date = settings.date.as_ref() == Some(name);
        if is_date || DateForm::of(name, known.clone().map(|(_, cell)| cell)).is_some() {
            found.push(format!("column {name} is left out, because it holds dates"));
            continue;
        }
        if place == first && has_text && settings.date.is_none() {
            found.push(format!(
                "column {name} is left out, because it holds no numbers"
            ));
            continue;
        }
        let reading = Reading {
            names: false,
            category: settings.categories.contains(name),
            decimals,
            pieces: 0,
        };
        match Column::learn(name, known, reading) {
            Err(problem) => problems.push(problem),
            Ok(learned) => {
                found.extend(learned.found);
                found.extend(learned.notes);
                if let Some(Column {
                    name,
                    kind: ColumnKind::Category { values },
                }) = &learned.column
                {
                    found.push(format!(
                        "column {name} is seen as {} categories and not forecast",
                        values.len()
                    ));
                }
                columns.extend(learned.column);
            }
        }
    }
    if let Some((last, others)) = problems.split_last() {
        let all: Vec<&str> = others.iter().chain([last]).map(String::as_str).collect();
        return Err(DataError::unusable(file, all.join("; it ")));
    }
    if !columns.iter().any(is_number_column) {
        return Err(DataError::unusable(file, "has no column of numbers"));
    }
    Ok(columns)
}

fn is_number_column(column: &Column) -> bool {
    matches!(column.kind, ColumnKind::Number { .. })
}

/// The places among the encoded numbers of a row of those that are forecast: of all columns of numbers, or of `data.targets`.
///
/// # Errors
/// Names the target that is no column of numbers.
pub(super) fn predicted(
    columns: &[Column],
    settings: &DataSettings,
    file: &Path,
) -> Result<Vec<usize>, DataError> {
    let unknown = |name: &&String| {
        !columns
            .iter()
            .any(|column| column.name == **name && is_number_column(column))
    };
    if let Some(name) = settings.targets.iter().find(unknown) {
        let known: Vec<&str> = columns
            .iter()
            .filter(|column| is_number_column(column))
            .map(|column| &*column.name)
            .collect();
        return Err(DataError::unusable(
            file,
            format!(
                "has no target column {name} of numbers: it has {}",
                known.join(", ")
            ),
        ));
    }
    let first = |place: usize| columns[..place].iter().map(Column::width).sum();
    let place = |name: &String| columns.iter().position(|column| column.name == *name);
    Ok(match settings.targets.is_empty() {
        true => (0..columns.len())
            .filter(|&place| is_number_column(&columns[place]))
            .map(first)
            .collect(),
        false => settings
            .targets
            .iter()
            .filter_map(place)
            .map(first)
            .collect(),
    })
}

/// Names and scales of the target columns, for showing forecasts in their units.
pub fn target_scales(settings: &DataSettings, fitted: &Fitted) -> Vec<(String, Scale)> {
    let scale = |column: &Column| match column.kind {
        ColumnKind::Number { mean, std, .. } => Some((column.name.clone(), Scale { mean, std })),
        ColumnKind::Date { .. } | ColumnKind::Category { .. } => None,
    };
    let named = |name: &String| fitted.columns.iter().find(|column| column.name == *name);
    match settings.targets.is_empty() {
        true => fitted.columns.iter().filter_map(scale).collect(),
        false => settings
            .targets
            .iter()
            .filter_map(named)
            .filter_map(scale)
            .collect(),
    }
}
