//! Reading Parquet and Arrow files, batch by batch.

use super::cells::cells;
use crate::data::DataError;
use crate::data::files::check_memory;
use crate::data::formats::table::csv::CsvTable;
use crate::data::formats::table::header::Names;
use crate::data::formats::table::rows::TableRows;
use crate::guard::guarded;
use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _};
use std::path::Path;

/// Rows that are decoded at once.
const BATCH: usize = 8192;

/// The batches of a file.
type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// A file whose columns are known.
struct Opened {
    schema: SchemaRef,
    batches: Batches,
    /// The number of rows, if the file says it before they are read.
    rows: Option<u64>,
}

/// The names of the columns of the table in `path`.
///
/// # Errors
/// If it is not such a file, or damaged.
pub(in crate::data::formats::table) fn names(path: &Path) -> Result<Vec<String>, DataError> {
    let schema = guarded_open(path)?.schema;
    let columns = columns(&schema);
    Ok(Names::of(&columns.into_iter().map(|column| column.name).collect()).names)
}

/// The table in `path`. Of the columns to `drop`, those that have no cells, such as lists, are read as empty.
///
/// # Errors
/// Names the column that holds lists or other values that are no cells.
pub(in crate::data::formats::table) fn read(
    path: &Path,
    drop: &[String],
) -> Result<CsvTable, DataError> {
    let Opened {
        schema,
        batches,
        rows: count,
    } = guarded_open(path)?;
    let columns = columns(&schema);
    // Most cells are numbers of few digits; cells that are not are checked as they come.
    let memory = |rows: u64| {
        let cells = rows.saturating_mul(columns.len() as u64);
        TableRows::bytes(cells.saturating_mul(8), rows, cells)
    };
    check_memory(path, memory(count.unwrap_or(0)))?;
    let read = guarded(|| {
        let mut rows = TableRows::default();
        for batch in batches {
            let batch = batch.map_err(|e| damaged(path, &e))?;
            check_memory(path, memory(batch.num_rows() as u64))?;
            add(&mut rows, &batch, &columns, drop, path)?;
        }
        Ok::<_, DataError>(rows)
    });
    let rows = read.map_err(|message| damaged(path, &message))??;
    let names = columns.into_iter().map(|column| column.name).collect();
    CsvTable::of_cells(Some(names), rows, "columns have names in such a file", path)
}

/// Adds the rows of a batch, with their numbers.
fn add(
    rows: &mut TableRows,
    batch: &RecordBatch,
    columns: &[Column],
    drop: &[String],
    path: &Path,
) -> Result<(), DataError> {
    let mut texts = Vec::with_capacity(columns.len());
    for column in columns {
        let array = batch.column(column.place);
        texts.push(match cells(array) {
            Some(cells) => cells,
            None if drop.contains(&column.name) => vec![String::new(); batch.num_rows()],
            None => {
                let problem = format!(
                    "holds values of type {} in column {}, which are no cells of a table: leave it out with drop = [\"{}\"]",
                    array.data_type(),
                    column.name,
                    column.name
                );
                return Err(DataError::unusable(path, problem));
            }
        });
    }
    for row in 0..batch.num_rows() {
        let cells = texts.iter().map(|cells| &cells[row]);
        rows.push(rows.len() as u64 + 1, cells)
            .map_err(|problem| DataError::unusable(path, problem))?;
    }
    Ok(())
}

/// A column of a table.
struct Column {
    /// Its place in the file.
    place: usize,
    /// Its name; empty for an index of the rows that pandas gave none.
    name: String,
}

/// The columns of a file. Those that pandas saved as the index of the rows come first, as in its CSV files.
fn columns(schema: &Schema) -> Vec<Column> {
    let pandas = schema.metadata().get("pandas");
    let pandas: Option<serde_json::Value> = pandas.and_then(|text| serde_json::from_str(text).ok());
    let index: Vec<String> = pandas
        .and_then(|pandas| Some(pandas.get("index_columns")?.as_array()?.clone()))
        .unwrap_or_default()
        .iter()
        .filter_map(|name| Some(name.as_str()?.to_string()))
        .collect();
    let fields = schema.fields().iter().enumerate();
    let mut columns: Vec<Column> = fields
        .map(|(place, field)| Column {
            place,
            name: field.name().trim().to_string(),
        })
        .collect();
    columns.sort_by_key(|column| !index.contains(&column.name));
    for column in &mut columns {
        if index.contains(&column.name) && column.name.starts_with("__index_level_") {
            column.name.clear();
        }
    }
    columns
}

fn damaged(path: &Path, message: &dyn std::fmt::Display) -> DataError {
    DataError::unusable(
        path,
        format!("is not a readable Parquet or Arrow file ({message})"),
    )
}

fn guarded_open(path: &Path) -> Result<Opened, DataError> {
    guarded(|| open(path)).map_err(|message| damaged(path, &message))?
}

/// Opens `path`, whose first bytes say which of the formats it has.
fn open(path: &Path) -> Result<Opened, DataError> {
    let unreadable = |source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut start = Vec::new();
    (&mut file)
        .take(6)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    match &start[..] {
        [b'P', b'A', b'R', b'1', ..] => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(file);
            let reader = reader.map_err(|e| damaged(path, &e))?;
            let rows = reader.metadata().file_metadata().num_rows();
            Ok(Opened {
                schema: reader.schema().clone(),
                rows: Some(u64::try_from(rows).unwrap_or(u64::MAX)),
                batches: Box::new(
                    reader
                        .with_batch_size(BATCH)
                        .build()
                        .map_err(|e| damaged(path, &e))?,
                ),
            })
        }
        b"ARROW1" => {
            let reader = FileReader::try_new(BufReader::new(file), None);
            let reader = reader.map_err(|e| damaged(path, &e))?;
            Ok(Opened {
                schema: reader.schema(),
                rows: None,
                batches: Box::new(reader),
            })
        }
        _ => Err(DataError::unusable(
            path,
            "is neither a Parquet file nor an Arrow file (Feather, version 2): save it as one of them, or as .csv",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSettings;
    use std::path::PathBuf;

    fn fixture(name: &str) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        root.join("tests/fixtures/columnar").join(name)
    }

    fn table(name: &str) -> CsvTable {
        CsvTable::read(&fixture(name), &DataSettings::default(), &[]).unwrap()
    }

    #[test]
    fn cells_are_those_that_pandas_wrote() {
        // The same rows, as pandas writes them to CSV.
        let wanted = table("people.csv");
        for name in ["people.parquet", "people.feather", "brotli.parquet"] {
            let found = table(name);
            assert_eq!(found.names, wanted.names, "{name}");
            for ((_, found), (_, wanted)) in found.rows.iter().zip(wanted.rows.iter()) {
                assert_eq!(found.record(), wanted.record(), "{name}");
            }
            assert_eq!(found.rows.len(), wanted.rows.len());
            let words = found.in_words(&fixture(name)).join("\n");
            assert!(words.contains("column 1 has no name"), "{words}");
            assert_eq!(names(&fixture(name)).unwrap(), wanted.names);
        }
    }

    #[test]
    fn lists_are_no_cells_unless_their_column_is_dropped() {
        let path = fixture("lists.parquet");
        let message = read(&path, &[]).err().unwrap().to_string();
        assert!(
            message.contains("in column tags") && message.contains("drop = [\"tags\"]"),
            "{message}"
        );
        let table = read(&path, &["tags".to_string()]).unwrap();
        assert_eq!(table.rows.row(1).unwrap().1.record(), ["2", ""][..]);
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["people.parquet", "people.feather"] {
            let bytes = std::fs::read(fixture(name)).unwrap();
            let path = dir.path().join(name);
            for cut in [0, 5, bytes.len() / 2, bytes.len() - 1] {
                std::fs::write(&path, &bytes[..cut]).unwrap();
                let message = read(&path, &[]).err().unwrap().to_string();
                assert!(message.contains(name), "{message}");
            }
        }
    }
}
