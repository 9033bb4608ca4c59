//! Tables: CSV files with columns of numbers and of categories, one of which is to be predicted.

mod classes;
mod columns;
mod csv;

pub use columns::{Column, ColumnKind};

pub(super) use self::classes::Classes;
use self::columns::{Unknown, encode, places};
pub(super) use self::csv::{CsvTable, first_rows, header};
use self::csv::{number, value};
#[cfg(test)]
use super::tests::Sample;
use super::{
    Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, PredictItem,
    only_file, row_name, text_table,
};
use crate::data::files::set_name;
use crate::data::source::has_ending;
use crate::data::split::Drawn;
use crate::data::{
    DataError, DataSettings, Dataset, Entry, Fitted, Part, Parts, RowSet, Rows, Samples, Source,
    Targets,
};
use crate::error::Result;
use ::csv::StringRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files of the parts, without ending, in the order of training, validation and test.
const PARTS: [&[&str]; 3] = [
    &["train", "training"],
    &["val", "valid", "validation", "dev"],
    &["test", "testing"],
];
const ENDINGS: [&str; 2] = ["csv", "tsv"];
/// Names of columns that are taken for the target where none is said.
const TARGETS: [&str; 4] = ["target", "label", "class", "y"];
/// A column of whole numbers with no more different ones than this is taken for classes.
const MOST_CLASSES: usize = 20;

/// What is to be predicted of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// One of several classes.
    Class,
    /// A number.
    Number,
}

/// Scale of a target that is a number: a model learns `(value - mean) / std`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Mean of the training part.
    pub mean: f64,
    /// Standard deviation of the training part.
    pub std: f64,
}

/// Where the parts of a table lie: one file, or a file for each.
pub(super) struct TableFiles {
    pub train: PathBuf,
    pub validation: Option<PathBuf>,
    pub test: Option<PathBuf>,
}

impl TableFiles {
    /// The files of `source`, if it is a table or a folder of one.
    pub fn of(source: &Source) -> Option<TableFiles> {
        let single = |train: &Path| TableFiles {
            train: train.to_owned(),
            validation: None,
            test: None,
        };
        if source.is_file() {
            return has_table_ending(source.path()).then(|| single(source.path()));
        }
        let is_table = |entry: &&Entry| !entry.is_folder && has_table_ending(&entry.path);
        let tables: Vec<&Entry> = source.entries().iter().filter(is_table).collect();
        let part = |names: &[&str]| {
            let is = |entry: &&&Entry| {
                let stem = entry.path.file_stem();
                let stem = stem.map(|stem| stem.to_string_lossy().to_lowercase());
                stem.is_some_and(|stem| names.contains(&&*stem))
            };
            tables.iter().find(is).map(|entry| entry.path.clone())
        };
        match (part(PARTS[0]), &tables[..]) {
            (Some(train), _) => Some(TableFiles {
                train,
                validation: part(PARTS[1]),
                test: part(PARTS[2]),
            }),
            (None, [only]) => Some(single(&only.path)),
            _ => None,
        }
    }

    /// Reads the parts that there are: training first.
    pub fn read(&self, header: Option<bool>) -> Result<Vec<(CsvTable, PathBuf)>, DataError> {
        let paths = [
            Some(&self.train),
            self.validation.as_ref(),
            self.test.as_ref(),
        ];
        let read = |path: &PathBuf| Ok((CsvTable::read(path, header)?, path.clone()));
        paths.into_iter().flatten().map(read).collect()
    }

    /// Of the parts after the first that [`TableFiles::read`] gives, whether each is the test part.
    pub fn is_test(&self) -> impl Iterator<Item = bool> {
        let parts = [(&self.validation, false), (&self.test, true)];
        parts
            .into_iter()
            .filter(|(path, _)| path.is_some())
            .map(|(_, test)| test)
    }
}

/// Whether a cell is a number.
pub(super) fn is_number(cell: &str) -> bool {
    number(cell).is_some()
}

/// All rows of `table` as the numbers that `columns` make of them.
pub(super) fn encode_columns(
    table: &CsvTable,
    columns: &[Column],
    path: &Path,
) -> Result<Vec<f32>, DataError> {
    let places = places(table, columns, path)?;
    encode(
        table.rows.iter(),
        columns,
        &places,
        path,
        &mut Unknown::new(),
    )
}

/// Whether `path` is a file whose ending is that of a table.
pub(super) fn is_table(path: &Path) -> bool {
    path.is_file() && has_table_ending(path)
}

fn has_table_ending(path: &Path) -> bool {
    ENDINGS.iter().any(|ending| has_ending(path, ending))
}

/// A CSV file, or one for each part.
pub struct Table;

impl Format for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn about(&self) -> &'static str {
        "a table"
    }

    fn looks_for(&self) -> &'static str {
        "one .csv or .tsv file, or train.csv and test.csv"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let files = TableFiles::of(source)?;
        // A table of texts is a format of its own.
        match text_table::text_column(&header(&source.head(&files.train)).unwrap_or_default()) {
            Some(_) => None,
            None => Detection::new(70, format!("a table {}", set_name(&files.train))),
        }
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        Ok(load(cx.source, cx.settings, cx.fitted, cx.seed)?)
    }

    fn describe(&self, fitted: &Fitted) -> Vec<String> {
        columns_in_words(fitted)
            .chain(target_in_words(fitted))
            .collect()
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        let path = only_file(inputs, "tables")?;
        let (set, notes) = read_rows(path, cx.settings, cx.fitted)?;
        let rows = 1..=set.starts.len();
        Ok(PredictInputs {
            items: rows
                .map(|row| PredictItem::file(row_name(path, row)))
                .collect(),
            set: set.into(),
            notes,
        })
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let row = |n: usize| {
            format!(
                "{n},{},{}\n",
                ["Rome", "Oslo"][n % 2],
                ["no", "yes"][n / 2 % 2]
            )
        };
        let rows = (0..20).map(row).collect::<String>();
        let (header, classes) = ("age,city,label\n", "no\nyes\n");
        Sample::in_folder(dir)
            .with("people.csv", header.to_string() + &rows)
            .with("classes.txt", classes)
            // Within the first row after the header.
            .cut("people.csv", header.len() + 4)
    }
}

/// A sentence on each column that is read.
pub(super) fn columns_in_words(fitted: &Fitted) -> impl Iterator<Item = String> {
    let in_words = |column: &Column| format!("column {}: {}", column.name, column.kind);
    fitted.columns.iter().map(in_words)
}

/// A sentence on the column that is predicted.
pub(super) fn target_in_words(fitted: &Fitted) -> Option<String> {
    let scale = fitted.scale;
    let scale = scale.map(|s| format!(" (mean {:.4}, deviation {:.4})", s.mean, s.std));
    let target = fitted.target.as_ref()?;
    Some(format!("to predict: {target}{}", scale.unwrap_or_default()))
}

/// What the cells of the target become.
enum Target {
    Classes(Classes),
    Numbers(Scale),
}

/// Loads the table of `source`. What is learned on its training part is put into `fitted`, unless it is there: then the
/// run that learned it is measured on this table.
///
/// # Errors
/// Names the file, and the line or column in it, that is wrong.
fn load(
    source: &Source,
    settings: &DataSettings,
    fitted: &mut Fitted,
    seed: u64,
) -> Result<Dataset<Samples>, DataError> {
    let path = source.path();
    let files = TableFiles::of(source).ok_or_else(|| {
        DataError::unusable(
            path,
            "is no table: give a .csv file, or a folder with train.csv and test.csv",
        )
    })?;
    let header = settings.header;
    let read = |path: &Path| CsvTable::read(path, header);
    let table = read(&files.train)?;
    let other =
        |path: Option<&'_ PathBuf>| path.map(|path| Ok((read(path)?, path.clone()))).transpose();
    let (validation, test) = (
        other(files.validation.as_ref())?,
        other(files.test.as_ref())?,
    );
    let name = target_name(&table, settings, fitted, &files.train)?;
    fitted.target = Some(name.clone());
    let own_cells = target_cells(&table, &name, &files.train)?;
    let known = !fitted.columns.is_empty();
    let kind = settings.predict.or(fitted.predict);
    let kind = kind.unwrap_or_else(|| kind_of(&own_cells));
    fitted.predict = Some(kind);
    let classes = match kind {
        TargetKind::Class => Some(Classes::of(&own_cells, fitted, &name, &files.train)?),
        TargetKind::Number => None,
    };
    let drawn = Drawn::of(settings, validation.is_some(), test.is_some());
    let label = |cell: &str| {
        let place = classes.as_ref().and_then(|classes| classes.position(cell));
        place.unwrap_or(0) as u32
    };
    let labels: Vec<u32> = own_cells.iter().map(|(_, cell)| label(cell)).collect();
    let of_each = drawn.parts(&labels, settings, seed)?;
    let learned = |index: &usize| of_each[*index] == Part::Train;
    let mut notes = Vec::new();
    if !known {
        fitted.columns = learn(&table, settings, &name, learned, &files.train)?;
        notes = nearly_numbers(&table, &fitted.columns, &settings.categories);
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
                None => scale_of(seen.map(|(_, cell)| *cell), &name, &files.train)?,
            };
            fitted.scale = Some(scale);
            Target::Numbers(scale)
        }
    };
    let columns = &fitted.columns;
    let mut unknown = Unknown::new();
    let mut set = |table: &CsvTable, path: &Path, keep: &dyn Fn(usize) -> bool| {
        let rows = || {
            table
                .rows
                .iter()
                .enumerate()
                .filter(|(index, _)| keep(*index))
        };
        let places = places(table, columns, path)?;
        let values = encode(
            rows().map(|(_, row)| row),
            columns,
            &places,
            path,
            &mut unknown,
        )?;
        let cells = target_cells(table, &name, path)?;
        let cells = cells
            .into_iter()
            .enumerate()
            .filter(|(index, _)| keep(*index));
        let targets = targets(cells.map(|(_, cell)| cell), &target, &name, path)?;
        Ok::<Samples, DataError>(row_set(values, columns, targets).into())
    };
    let train = set(&table, &files.train, &|index| of_each[index] == Part::Train)?;
    let mut part = |part: Part, own: &Option<(CsvTable, PathBuf)>, is_drawn: bool| match own {
        _ if is_drawn => set(&table, &files.train, &|index| of_each[index] == part).map(Some),
        Some((table, path)) if !drawn.test => set(table, path, &|_| true).map(Some),
        _ => Ok(None),
    };
    let parts = Parts {
        train,
        validation: part(Part::Validation, &validation, drawn.validation)?,
        test: part(Part::Test, &test, drawn.test)?,
    };
    let classes = match target {
        Target::Classes(classes) => classes.names,
        Target::Numbers(_) => Vec::new(),
    };
    let mut dataset = Dataset::of_parts(path, parts, classes);
    dataset.name = set_name(path);
    dataset
        .notes
        .extend(notes.into_iter().chain(told(&unknown)));
    Ok(dataset)
}

/// Rows of the table in `path` for a model that learned `fitted.columns`; their target is not asked for. Returns with
/// them what the user should hear of.
///
/// # Errors
/// Names the column that is missing, or the line that is wrong.
pub fn read_rows(
    path: &Path,
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<(RowSet, Vec<String>), DataError> {
    let table = CsvTable::read(path, settings.header)?;
    let places = places(&table, &fitted.columns, path)?;
    let mut unknown = Unknown::new();
    let values = encode(
        table.rows.iter(),
        &fitted.columns,
        &places,
        path,
        &mut unknown,
    )?;
    let rows = table.rows.len();
    let targets = match fitted.predict {
        Some(TargetKind::Number) => Targets::Values {
            values: vec![0.0; rows],
            columns: 1,
            offset: 0,
            length: 1,
        },
        _ => Targets::Classes(vec![0; rows]),
    };
    let set = row_set(values, &fitted.columns, targets);
    Ok((set, told(&unknown).collect()))
}

fn row_set(values: Vec<f32>, columns: &[Column], targets: Targets) -> RowSet {
    let columns: usize = columns.iter().map(Column::width).sum();
    let count = values.len() / columns.max(1);
    RowSet {
        rows: Rows::Floats { values, columns },
        starts: (0..count as u32).collect(),
        random_starts: false,
        length: 1,
        targets,
    }
}

fn told(unknown: &Unknown) -> impl Iterator<Item = String> {
    unknown.iter().map(|(column, (count, first))| {
        format!(
            "{count} cells of column {column} hold categories that training did not have, {first} for one: they count as none \
             of those it had"
        )
    })
}

/// The column to predict: the one that is said or that the run knows, or one that is called so, or the last.
pub(super) fn target_name(
    table: &CsvTable,
    settings: &DataSettings,
    fitted: &Fitted,
    path: &Path,
) -> Result<String, DataError> {
    if let Some(name) = settings.target.as_ref().or(fitted.target.as_ref()) {
        return match table.names.contains(name) {
            true => Ok(name.clone()),
            false => Err(DataError::unusable(
                path,
                format!(
                    "has no column {name} to predict: it has {}",
                    table.names.join(", ")
                ),
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
pub(super) fn target_cells<'t>(
    table: &'t CsvTable,
    name: &str,
    path: &Path,
) -> Result<Vec<(u64, &'t str)>, DataError> {
    let place = table.names.iter().position(|known| known == name);
    let place = place.ok_or_else(|| DataError::unusable(path, format!("has no column {name}")))?;
    let cell = |(line, row): &'t (u64, StringRecord)| {
        let cell = value(row.get(place).unwrap_or_default()).ok_or_else(|| {
            DataError::unusable(
                path,
                format!("has no value at line {line} in column {name}: fill it in, or leave such rows out"),
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
            format!(
                "has \"{cell}\" at line {line} in column {name}, where a number is to be predicted"
            ),
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

/// Learns every column but the target and those to leave out.
fn learn(
    table: &CsvTable,
    settings: &DataSettings,
    target: &str,
    learned: impl Fn(&usize) -> bool,
    path: &Path,
) -> Result<Vec<Column>, DataError> {
    for name in settings.drop.iter().chain(&settings.categories) {
        if !table.names.contains(name) {
            return Err(DataError::unusable(
                path,
                format!("has no column {name}: it has {}", table.names.join(", ")),
            ));
        }
    }
    let read = |name: &&String| **name != target && !settings.drop.contains(*name);
    let columns = table.names.iter().filter(read).map(|name| {
        let place = table
            .names
            .iter()
            .position(|known| known == name)
            .unwrap_or(0);
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
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    if columns.iter().map(Column::width).sum::<usize>() == 0 {
        return Err(DataError::unusable(path, "has no column to predict from"));
    }
    Ok(columns)
}

/// Tells of columns that are taken for categories although nearly all of their cells are numbers.
fn nearly_numbers(table: &CsvTable, columns: &[Column], categories: &[String]) -> Vec<String> {
    /// Of so many cells one is a slip.
    const CELLS: usize = 10;
    let asked = |column: &&Column| !categories.contains(&column.name);
    let told = |column: &Column| {
        if let ColumnKind::Number { .. } = column.kind {
            return None;
        }
        let place = table.names.iter().position(|name| *name == column.name)?;
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
    columns.iter().filter(asked).filter_map(told).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
