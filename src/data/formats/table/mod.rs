//! Tables: CSV, JSON, Parquet and Arrow files, and workbooks, with numeric and categorical columns, one of which is the target.

mod categories;
mod classes;
mod columnar;
mod columns;
mod comments;
mod csv;
mod dates;
mod dialect;
mod distinct;
mod header;
mod json;
mod left_out;
mod lines;
mod missing;
mod number;
mod parts;
mod pieces;
mod profile;
mod prose;
mod quotes;
mod report;
mod row_index;
mod rows;
mod scale;
mod several;
mod target;
mod workbook;

#[cfg(test)]
mod written;

pub(super) use columns::Reading;
pub use columns::{Column, ColumnKind};
pub use dates::{DateForm, Moment};
pub use number::NumberForm;
pub use rows::{TableRow, TableRows};
pub use scale::Scale;
pub use workbook::SheetName;

pub(super) use self::classes::Classes;
use self::columns::{Differences, check_repeated, encode};
use self::csv::header;
pub(super) use self::csv::{CsvTable, first_rows, head_rows};
pub(super) use self::dialect::LOOKED_AT;
use self::header::Names;
pub(super) use self::left_out::leave_out_without;
pub(super) use self::missing::value;
use self::number::Decimals;
pub(super) use self::parts::{PartRows, load_parts};
pub(super) use self::prose::words_in;
pub(super) use self::row_index::{counts_up, find as index_reason};
use self::several::Several;
pub(super) use self::target::{MOST_CLASSES, target_beside, target_cells, target_name};
#[cfg(test)]
use super::tests::Sample;
use super::{
    Detection, Format, InputCells, InputContext, LoadContext, PredictInput, PredictInputs,
    PredictItem, only_file, row_name, text_table,
};
use crate::data::files::set_name;
use crate::data::groups;
use crate::data::packed::{has_ending, stem};
use crate::data::profile::TableProfile;
use crate::data::{
    DataError, DataSettings, Dataset, Entry, Fitted, GroupColumn, Parts, RowSet, SampleNames,
    Samples, Source, Targets, WindowRows,
};
use crate::error::Result;
use ::csv::StringRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Files of the parts, without extension, in the order of training, validation and test.
const PARTS: [&[&str]; 3] = [
    &["train", "training"],
    &["val", "valid", "validation", "dev"],
    &["test", "testing"],
];
/// Endings of files of text that are always tables.
const TEXT_ENDINGS: [&str; 2] = ["csv", "tsv"];
/// Number of rows that show what separates decimals.
const DECIMAL_ROWS: usize = 1000;

/// Kind of target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// One of several classes.
    Class,
    /// A number.
    Number,
    /// Labels, of which a row may have several: columns of 0 and 1 (`data.targets`), or a column that lists them (`data.target`).
    Labels,
}

/// The number of rows of the table in `source`, estimated from the first mebibyte of its training part; 0 if it is no table.
pub fn estimated_rows(source: &Source) -> usize {
    let Some(files) = TableFiles::of(source) else {
        return 0;
    };
    if !is_text(&files.train) {
        return whole(source, &files.train).map_or(0, |table| table.rows.len());
    }
    let head = source.head(&files.train);
    let lines = head.iter().filter(|&&byte| byte == b'\n').count();
    let bytes = std::fs::metadata(&files.train).map_or(0, |file| file.len());
    (lines as f64 * bytes as f64 / head.len().max(1) as f64) as usize
}

/// The files of a table: a single one, or one for each part.
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
        let with = |is_table: &dyn Fn(&Path) -> bool| -> Vec<&Entry> {
            let files = source.entries().iter().filter(|entry| !entry.is_folder);
            files.filter(|entry| is_table(&entry.path)).collect()
        };
        let mut tables = with(&|path| has_one(path, &TEXT_ENDINGS) || !is_text(path));
        if tables.is_empty() {
            // A file of JSON beside other data is often none.
            tables = with(&|path| {
                has_one(path, &json::ENDINGS) && !json::head_rows(&source.head(path), 2).is_empty()
            });
        }
        let part = |names: &[&str]| {
            let is = |entry: &&&Entry| names.contains(&&*stem(&entry.path));
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

    /// Reads the existing parts, training first. Whether they have headers is detected unless `settings` say so: those of a run hold
    /// the names of `fitted`, and those of the later parts the names of the training part.
    pub fn read(
        &self,
        settings: &DataSettings,
        fitted: &Fitted,
    ) -> Result<Vec<(CsvTable, PathBuf)>, DataError> {
        let train = CsvTable::read(&self.train, settings, &fitted.input_columns())?;
        let names = train.names.clone();
        let settings = DataSettings {
            header: settings.header.or((!train.has_header()).then_some(false)),
            ..settings.clone()
        };
        let mut tables = vec![(train, self.train.clone())];
        for path in [&self.validation, &self.test].into_iter().flatten() {
            tables.push((CsvTable::read(path, &settings, &names)?, path.clone()));
        }
        Ok(tables)
    }

    /// For each part after the first that [`TableFiles::read`] returns, whether it is the test part.
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
    NumberForm::reads(cell)
}

/// What separates decimals in `table`: what one of its columns shows, or else a comma if semicolons separate cells.
pub(super) fn decimals_in(table: &CsvTable) -> Decimals {
    let shown = (0..table.names.len()).filter_map(|place| {
        let cells = table.column(place).take(DECIMAL_ROWS);
        NumberForm::decimals_of(cells.filter_map(|(_, cell)| missing::value(cell)))
    });
    let mut found = None;
    for decimals in shown {
        if decimals == Decimals::Comma {
            return Decimals::Comma;
        }
        found = Some(decimals);
    }
    found.unwrap_or(match table.has_semicolons() {
        true => Decimals::Comma,
        false => Decimals::Point,
    })
}

/// All rows of `table`, encoded by `columns`.
pub(super) fn encode_columns(
    table: &CsvTable,
    columns: &[Column],
    path: &Path,
) -> Result<Vec<f32>, DataError> {
    encode(
        table.rows.iter(),
        columns,
        (table, path),
        &mut Differences::default(),
    )
}

/// The names of the columns in the table `path` of `source`, and its first rows unless it is a Parquet or Arrow file, if it can be
/// read.
pub(super) fn head_of(source: &Source, path: &Path) -> Option<(Vec<String>, Vec<StringRecord>)> {
    if has_one(path, &columnar::ENDINGS) {
        return Some((columnar::names(path).ok()?, Vec::new()));
    }
    if !is_text(path) {
        let table = whole(source, path)?;
        let rows = table.rows.head(LOOKED_AT);
        return Some((table.names, rows));
    }
    let head = source.head(path);
    let mut rows = head_rows(&head, LOOKED_AT + 1);
    let names = match header(&head) {
        Some(names) => {
            rows.remove(0);
            names
        }
        None => Names::numbered(rows.first()?.len()).names,
    };
    Some((names, rows))
}

/// The table `path` of `source`, whose cells are not at the beginning of the file, if it can be read.
fn whole(source: &Source, path: &Path) -> Option<CsvTable> {
    let settings = DataSettings {
        sheet: source.sheet().cloned(),
        ..DataSettings::default()
    };
    CsvTable::read(path, &settings, &[]).ok()
}

/// Whether `path` is a file with the extension of a table.
pub(super) fn is_table(path: &Path) -> bool {
    path.is_file() && has_table_ending(path)
}

fn has_table_ending(path: &Path) -> bool {
    has_one(path, &TEXT_ENDINGS) || has_one(path, &json::ENDINGS) || !is_text(path)
}

/// Whether the table `path` is no workbook, Parquet or Arrow file.
fn is_text(path: &Path) -> bool {
    !has_one(path, &workbook::ENDINGS) && !has_one(path, &columnar::ENDINGS)
}

fn has_one(path: &Path, endings: &[&str]) -> bool {
    endings.iter().any(|ending| has_ending(path, ending))
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
        "one .csv, .tsv, .jsonl or .json file, a workbook (.xlsx, .xls, .xlsb, .ods), a .parquet or .feather file, or train.csv and test.csv"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let files = TableFiles::of(source)?;
        // A table of texts is a format of its own.
        match text_table::text_column_of(source, &files) {
            Some(_) => None,
            None => Detection::new(70, "rows of cells"),
        }
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        Ok(load(cx.source, cx.settings, cx.fitted, cx.seed)?)
    }

    fn profile(
        &self,
        source: &Source,
        settings: &DataSettings,
        fitted: &Fitted,
    ) -> Result<Option<TableProfile>> {
        // The profile associates columns with one target.
        match fitted.several() {
            0 => Ok(Some(profile::profile(source, settings, fitted)?)),
            _ => Ok(None),
        }
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        let path = only_file(inputs, "tables")?;
        let table = CsvTable::read(path, cx.settings, &cx.fitted.input_columns())?;
        let (set, notes) = encode_rows(&table, path, cx.settings, cx.fitted)?;
        let mut set = Samples::from(set);
        if let Some(thresholds) = &cx.fitted.thresholds {
            let places: Vec<usize> = (0..table.rows.len()).collect();
            let groups = group_columns(&table, path, &thresholds.columns, &places)?;
            set = set.with_groups(groups);
            set.add_group_field(&thresholds.columns, &thresholds.values())?;
        }
        let rows = 1..=table.rows.len();
        Ok(PredictInputs {
            items: rows
                .map(|row| PredictItem::file(row_name(path, row)))
                .collect(),
            cells: Some(InputCells {
                names: table.names,
                rows: table.rows,
            }),
            set,
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
            // In the middle of the first row after the header.
            .cut("people.csv", header.len() + 4)
    }
}

/// A description of each column that is read.
pub(super) fn columns_in_words(fitted: &Fitted) -> impl Iterator<Item = String> {
    let in_words = |column: &Column| format!("column {}: {}", column.name, column.kind);
    fitted.columns.iter().map(in_words)
}

/// A description of the target column.
pub(super) fn target_in_words(fitted: &Fitted) -> Option<String> {
    if !fitted.targets.is_empty() {
        return Some(format!("targets: {}", fitted.targets.join(", ")));
    }
    let scale = fitted.scale;
    let scale = scale.map(|s| format!(" (mean {:.4}, standard deviation {:.4})", s.mean, s.std));
    let target = fitted.target.as_ref()?;
    Some(format!("target: {target}{}", scale.unwrap_or_default()))
}

/// Loads the table of `source`. The encoding is fitted to the training part and stored in `fitted`, unless it is there already:
/// then this table evaluates an earlier run.
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
            "is not a table: give a .csv, .jsonl, .json, .xlsx, .xls, .xlsb, .ods, .parquet or .feather file, or a folder with train.csv and test.csv",
        )
    })?;
    let tables = files.read(settings, fitted)?;
    load_tables(path, tables, &files, settings, fitted, seed)
}

/// Loads the `tables` of the source `path`, one for each of its `files`, training first. Rows without a target are left out.
///
/// # Errors
/// Names the file, and the line or column in it, that is wrong.
pub(super) fn load_tables(
    path: &Path,
    mut tables: Vec<(CsvTable, PathBuf)>,
    files: &TableFiles,
    settings: &DataSettings,
    fitted: &mut Fitted,
    seed: u64,
) -> Result<Dataset<Samples>, DataError> {
    let left_out = leave_out_without_target(&mut tables, settings, fitted, false)?;
    let read = load_parts(&tables, files, settings, fitted, seed, None)?;
    let groups = groups::wanted(settings, fitted);
    let samples = |part: PartRows| {
        let (table, path) = &tables[part.table];
        let rows = part.places.iter().map(|&place| table.row_number(place));
        let names = SampleNames::Rows(rows.collect());
        let groups = group_columns(table, path, &groups, &part.places)?;
        let rows = row_set(part.values, &fitted.columns, part.targets);
        Ok::<Samples, DataError>(Samples::from(rows).named(names).with_groups(groups))
    };
    let parts = Parts {
        train: samples(read.parts.train)?,
        validation: read.parts.validation.map(samples).transpose()?,
        test: read.parts.test.map(samples).transpose()?,
    };
    let mut dataset = Dataset::of_parts(path, parts, read.classes);
    dataset.name = set_name(path);
    dataset.notes.extend(read.notes);
    dataset.found = read.found;
    dataset.found.extend(left_out);
    Ok(dataset)
}

/// The columns of `table` called `names`, as groups of the rows at `places`.
///
/// # Errors
/// Names the column that is missing, or has too many values; the former with the nearest name.
pub(super) fn group_columns(
    table: &CsvTable,
    path: &Path,
    names: &[String],
    places: &[usize],
) -> Result<Vec<GroupColumn>, DataError> {
    let column = |name: &String| {
        let known = table.names.iter().map(String::as_str);
        let missing = || groups::missing_column(name, &table.listed(), known);
        let at = table.place(name).ok_or_else(missing)?;
        let rows = places.iter().filter_map(|&place| table.rows.row(place));
        GroupColumn::of(
            name,
            rows.map(|(_, row)| value(row.get(at).unwrap_or_default())),
        )
    };
    let columns = names.iter().map(column).collect::<Result<_, String>>();
    columns.map_err(|problem| DataError::unusable(path, problem))
}

/// Removes the rows of `tables`, training first and with or without `pictures`, that lack the target. Returns how many of each, in words.
///
/// # Errors
/// If no row of a table has one, or there is no target column.
pub(super) fn leave_out_without_target(
    tables: &mut [(CsvTable, PathBuf)],
    settings: &DataSettings,
    fitted: &Fitted,
    pictures: bool,
) -> Result<Vec<String>, DataError> {
    let Some((train, path)) = tables.first() else {
        return Ok(Vec::new());
    };
    if let Some(several) = Several::of(train, settings, fitted, path, pictures)? {
        return several.leave_out(tables);
    }
    let name = target_name(train, settings, fitted, path)?;
    leave_out_without(tables, &name, "the target")
}

/// Rows of the table in `path` for a model fitted to `fitted.columns`; the target is not needed. Also returns notes for the
/// user.
///
/// # Errors
/// Names the column that is missing, or the line that is wrong.
pub fn read_rows(
    path: &Path,
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<(RowSet, Vec<String>), DataError> {
    let table = CsvTable::read(path, settings, &fitted.input_columns())?;
    encode_rows(&table, path, settings, fitted)
}

/// The rows of `table`, which was read from `path`, as [`read_rows`] gives them.
pub(super) fn encode_rows(
    table: &CsvTable,
    path: &Path,
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<(RowSet, Vec<String>), DataError> {
    check_repeated(
        table,
        &fitted.columns,
        &fitted.other_columns(settings),
        path,
    )?;
    let mut differences = Differences::default();
    let file = (table, path);
    let values = encode(table.rows.iter(), &fitted.columns, file, &mut differences)?;
    let rows = table.rows.len();
    let targets = match fitted.predict {
        Some(TargetKind::Number) => Targets::Values {
            values: vec![0.0; rows * fitted.several().max(1)],
            columns: fitted.several().max(1),
            offset: 0,
            length: 1,
        },
        Some(TargetKind::Labels) => Targets::Labels {
            values: vec![0.0; rows * fitted.several()],
            labels: fitted.several(),
        },
        _ => Targets::Classes(vec![0; rows]),
    };
    let set = row_set(values, &fitted.columns, targets);
    let notes = table.notes(path).into_iter().chain(notes_on(&differences));
    Ok((set, notes.collect()))
}

fn row_set(values: Vec<f32>, columns: &[Column], targets: Targets) -> RowSet {
    let columns: usize = columns.iter().map(Column::width).sum();
    let count = values.len() / columns.max(1);
    RowSet {
        rows: WindowRows::Floats { values, columns },
        starts: (0..count as u32).collect(),
        random_starts: false,
        length: 1,
        targets,
    }
}

fn notes_on(differences: &Differences) -> impl Iterator<Item = String> {
    let unknown = differences.unknown.iter().map(|(column, (count, first))| {
        format!(
            "{count} cells of column {column} hold categories that were not learned in training, for example {first}; they are encoded \
             as zeros"
        )
    });
    let forms = differences.forms.iter().map(|(column, form)| {
        format!(
            "column {column} is written in another way than in training: it is read with {form}"
        )
    });
    unknown.chain(forms)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
