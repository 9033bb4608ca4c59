//! Tables with a column that names the part of each row.

use super::TableFiles;
use crate::data::formats::part_folders::{Role, role};
use crate::data::formats::table::CsvTable;
use std::path::Path;

/// Names of columns that may hold parts.
const NAMES: [&str; 7] = [
    "split",
    "set",
    "part",
    "subset",
    "partition",
    "dataset",
    "data_set",
];

/// The column of `table` that names the part of each row: by its name, and because each of its cells is the name of a part.
pub(in crate::data::formats) fn column(table: &CsvTable) -> Option<&String> {
    let is_part = |cell: &str| matches!(role(Path::new(cell)), Some((_, rest)) if rest.is_empty());
    let holds_parts = |name: &&String| {
        let place = table.place(name);
        NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
            && place.is_some_and(|place| table.column(place).all(|(_, cell)| is_part(cell)))
    };
    let found = table.names.iter().find(holds_parts);
    found.filter(|_| !table.rows.is_empty())
}

/// The table of `files` as one for each part that its column `name` names, if the training part is among them.
pub(super) fn files_of_parts(
    files: &TableFiles,
    table: &CsvTable,
    name: &str,
) -> Option<TableFiles> {
    let has = |wanted: Role| has_part(table, name, wanted).then(|| files.train.clone());
    has(Role::Train)?;
    Some(TableFiles {
        train: files.train.clone(),
        validation: has(Role::Validation),
        test: has(Role::Test),
    })
}

fn has_part(table: &CsvTable, name: &str, wanted: Role) -> bool {
    let cells = table.place(name).map(|place| table.column(place));
    cells.is_some_and(|mut cells| cells.any(|(_, cell)| part_of(cell) == Some(wanted)))
}

/// Keeps the rows of `table` whose cell in the column `name` is this part.
pub(super) fn keep(table: &mut CsvTable, name: &str, wanted: Role) {
    if let Some(place) = table.place(name) {
        table.keep_rows(|row| row.get(place).and_then(part_of) == Some(wanted));
    }
}

/// The part that a cell names. An evaluation part is a validation part.
pub(in crate::data::formats) fn part_of(cell: &str) -> Option<Role> {
    match role(Path::new(cell))?.0 {
        Role::Evaluation => Some(Role::Validation),
        other => Some(other),
    }
}
