//! Missing cells of a series: filled from the rows around them, or their rows left out.

use crate::data::formats::table::{Column, ColumnKind, CsvTable, DateForm, encode_columns, value};
use crate::data::{DataError, DataSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What becomes of missing cells of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// They take the value of the row before; those at the beginning that of the first row with one.
    #[default]
    Forward,
    /// Numbers lie on the line between those before and after, which looks ahead; categories take the one before.
    Interpolate,
    /// Their rows are left out.
    Drop,
    /// They are an error.
    Refuse,
}

impl Fill {
    /// Whether this is the default.
    pub fn is_default(&self) -> bool {
        *self == Fill::default()
    }
}

/// With [`Fill::Drop`], removes the rows with a missing cell. Returns how many, in words.
pub(super) fn drop_rows(table: &mut CsvTable, settings: &DataSettings) -> Option<String> {
    if settings.fill != Fill::Drop {
        return None;
    }
    let read: Vec<usize> = (0..table.names.len())
        .filter(|&place| {
            let name = &table.names[place];
            let known = || table.column(place).filter_map(|(_, cell)| value(cell));
            !settings.drop.contains(name)
                && settings.date.as_ref() != Some(name)
                && known().next().is_some()
                && DateForm::of(name, known()).is_none()
        })
        .collect();
    let before = table.rows.len();
    table.keep_rows(|row| {
        read.iter()
            .all(|&place| value(row.get(place).unwrap_or_default()).is_some())
    });
    let dropped = before - table.rows.len();
    (dropped > 0).then(|| {
        format!(
            "{dropped} of {before} rows have a missing cell and are left out (data.fill = \"drop\")"
        )
    })
}

/// The cells of `columns` as numbers, row after row, with the missing ones filled; and what was filled, in words.
///
/// # Errors
/// Names the first missing cell, if they are refused, or the column without any value.
pub(super) fn filled(
    table: &CsvTable,
    columns: &[Column],
    settings: &DataSettings,
    file: &Path,
) -> Result<(Vec<f32>, Vec<String>), DataError> {
    let mut values = encode_columns(table, columns, file)?;
    let width: usize = columns.iter().map(Column::width).sum();
    let (mut first, mut found) = (0, Vec::new());
    for column in columns {
        let own = first..first + column.width();
        first = own.end;
        let Some(place) = table.place(&column.name) else {
            continue;
        };
        let is_known: Vec<bool> = table
            .column(place)
            .map(|(_, cell)| value(cell).is_some())
            .collect();
        let Some(missing) = is_known.iter().position(|known| !known) else {
            continue;
        };
        let (name, line) = (
            &column.name,
            table.rows.row(missing).map_or(0, |(line, _)| line),
        );
        if settings.fill == Fill::Refuse || !is_known.contains(&true) {
            return Err(DataError::unusable(
                file,
                format!(
                    "lacks a value at line {line} in column {name}: fill it in, leave the column out with drop = [\"{name}\"], or set data.fill \
                     = \"forward\""
                ),
            ));
        }
        let is_line =
            settings.fill == Fill::Interpolate && matches!(column.kind, ColumnKind::Number { .. });
        for place in own {
            let mut cells: Vec<f32> = values.iter().skip(place).step_by(width).copied().collect();
            match is_line {
                true => interpolate(&mut cells, &is_known),
                false => forward(&mut cells, &is_known),
            }
            for (row, cell) in cells.into_iter().enumerate() {
                values[row * width + place] = cell;
            }
        }
        let count = is_known.iter().filter(|known| !**known).count();
        let how = match is_line {
            true => "lie on the line between those around them (data.fill = \"interpolate\")",
            false => "take the value of the row before (data.fill sets another way)",
        };
        found.push(format!(
            "column {name}: {count} of {} cells are missing, first at line {line}, and {how}",
            is_known.len()
        ));
    }
    Ok((values, found))
}

/// Replaces unknown cells by the last known one before, or the first known one.
fn forward(cells: &mut [f32], is_known: &[bool]) {
    let Some(first) = is_known.iter().position(|&known| known) else {
        return;
    };
    let mut last = cells[first];
    for (cell, known) in cells.iter_mut().zip(is_known) {
        match known {
            true => last = *cell,
            false => *cell = last,
        }
    }
}

/// Replaces unknown cells by points on the line between the known ones around them; at the ends by the nearest.
fn interpolate(cells: &mut [f32], is_known: &[bool]) {
    let known: Vec<usize> = (0..cells.len()).filter(|&row| is_known[row]).collect();
    let (Some(&first), Some(&last)) = (known.first(), known.last()) else {
        return;
    };
    let (start, end) = (cells[first], cells[last]);
    cells[..first].fill(start);
    cells[last..].fill(end);
    for pair in known.windows(2) {
        let [a, b] = [pair[0], pair[1]].map(|row| f64::from(cells[row]));
        let rows = (pair[1] - pair[0]) as f64;
        for (between, cell) in cells[pair[0]..pair[1]].iter_mut().enumerate().skip(1) {
            *cell = (a + (b - a) * between as f64 / rows) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_cells_are_filled_from_those_around_them() {
        let is_known = [false, true, false, false, true, false];
        let cells = [0.0, 3.0, 0.0, 0.0, 9.0, 0.0];
        let mut own = cells;
        forward(&mut own, &is_known);
        assert_eq!(own, [3.0, 3.0, 3.0, 3.0, 9.0, 9.0]);
        let mut own = cells;
        interpolate(&mut own, &is_known);
        assert_eq!(own, [3.0, 3.0, 5.0, 7.0, 9.0, 9.0]);
    }
}
