//! Arrays of two axes as tables: a row of numbers is a sample, and its label the last column.

use super::choose::{Pair, choose};
use super::stored::arrays;
use super::{no_labels, same_count};
use crate::data::files::check_memory;
use crate::data::formats::array::{Array, Labels};
use crate::data::formats::table::{
    CsvTable, TableFiles, TableRows, columns_in_words, encode_rows, is_table, load_tables,
    read_rows, target_in_words,
};
use crate::data::formats::{
    InputContext, LoadContext, PredictInput, PredictInputs, PredictItem, only_file, row_name,
};
use crate::data::{DataError, Dataset, Fitted, Part, Samples, Source};
use csv::StringRecord;
use std::path::Path;

/// Name of the column of labels.
const TARGET: &str = "target";

/// Loads the tables of `pairs`.
///
/// # Errors
/// Names the array that is wrong.
pub(super) fn load(pairs: &[Pair], cx: &mut LoadContext<'_>) -> crate::Result<Dataset<Samples>> {
    let mut tables = Vec::new();
    for pair in pairs {
        let labels = pair.labels.as_ref().ok_or_else(|| no_labels(pair))?;
        let inputs = pair.inputs.read(&|_| Ok(()))?;
        let labels = labels.read(&same_count(&inputs, &pair.inputs))?;
        let path = pair.inputs.path.with_file_name(&pair.inputs.name);
        tables.push((table(&inputs, Some(&labels), &path)?, path));
    }
    let file = |part: Part| {
        let pair = pairs.iter().find(|pair| pair.part == part);
        pair.map(|pair| pair.inputs.path.clone())
    };
    let files = TableFiles {
        train: file(Part::Train).unwrap_or_default(),
        validation: file(Part::Validation),
        test: file(Part::Test),
    };
    let path = cx.source.path();
    let (settings, seed) = (cx.settings, cx.seed);
    Ok(load_tables(
        path, tables, &files, settings, cx.fitted, seed,
    )?)
}

/// The columns of a table, and its target; nothing for images.
pub(super) fn describe(fitted: &Fitted) -> Vec<String> {
    columns_in_words(fitted)
        .chain(target_in_words(fitted))
        .collect()
}

/// Rows to predict: of arrays, or of a CSV file.
///
/// # Errors
/// If there is not one file, or it does not fit the run.
pub(super) fn read_inputs(
    inputs: &[PredictInput],
    cx: &InputContext<'_>,
) -> crate::Result<PredictInputs> {
    let path = only_file(inputs, "arrays or tables")?;
    let (set, notes) = match is_table(path) {
        true => read_rows(path, cx.settings, cx.fitted)?,
        false => {
            let source = Source::look(&path.display().to_string())?;
            let (pairs, _) = choose(&arrays(&source)?, path)?;
            let inputs = match &pairs[..] {
                [pair] => pair.inputs.read(&|_| Ok(()))?,
                _ => {
                    let problem = "holds several parts: save the rows to predict as one array";
                    return Err(DataError::unusable(path, problem).into());
                }
            };
            encode_rows(&table(&inputs, None, path)?, path, cx.settings, cx.fitted)?
        }
    };
    let rows = 1..=set.starts.len();
    Ok(PredictInputs {
        items: rows
            .map(|row| PredictItem::file(row_name(path, row)))
            .collect(),
        cells: None,
        set: set.into(),
        notes,
    })
}

/// The table of `inputs`, with columns named by their number, and of the labels, if there are some.
fn table(inputs: &Array, labels: Option<&Array>, path: &Path) -> Result<CsvTable, DataError> {
    let wrong = |problem: String| DataError::unusable(path, problem);
    let (count, width) = match inputs.shape[..] {
        [count] => (count, 1),
        [count, width] => (count, width),
        _ => {
            let problem = format!("has shape {}, which is no table", inputs.shape_in_words());
            return Err(wrong(problem));
        }
    };
    if inputs.bytes.is_empty() {
        return Err(wrong("holds no rows".to_string()));
    }
    // A name for each column, and the text of each cell.
    let cells = (count as u64).saturating_mul(width as u64);
    let texts_and_names = (width as u64)
        .saturating_mul(192)
        .saturating_add(cells.saturating_mul(16));
    check_memory(path, TableRows::bytes(texts_and_names, count as u64, cells))?;
    let targets = labels.map(|labels| targets(labels, path)).transpose()?;
    let names = (1..=width).map(|place| format!("column_{place}"));
    let names: StringRecord = names
        .chain(labels.map(|_| TARGET.to_string()))
        .collect::<Vec<_>>()
        .into();
    let mut rows = TableRows::default();
    let mut values = texts(inputs);
    for row in 0..count {
        let target = targets.as_ref();
        let target = target.map(|targets| targets.get(row).cloned().unwrap_or_default());
        let cells = values.by_ref().take(width).chain(target);
        rows.push(row as u64 + 1, cells).map_err(wrong)?;
    }
    CsvTable::of_cells(Some(names), rows, "those of an array are numbered", path)
}

/// The labels as cells: numbers as they are, and one-hot rows as the places of their ones.
fn targets(labels: &Array, path: &Path) -> Result<Vec<String>, DataError> {
    match labels.shape[..] {
        [_] | [_, 1] => Ok(texts(labels).collect()),
        _ => {
            let (labels, _) = Labels::of(labels).map_err(|problem| {
                DataError::unusable(path, format!("has labels that {problem}"))
            })?;
            let cells = (0..labels.len()).map(|index| labels.cell(index).into_owned());
            Ok(cells.collect())
        }
    }
}

/// The elements of an array as cells.
fn texts(array: &Array) -> Box<dyn Iterator<Item = String> + '_> {
    if let Some(texts) = array.texts() {
        return Box::new(texts);
    }
    let short = array.kind.is_float() && array.kind.bytes <= 4;
    Box::new(array.numbers().map(move |x| match x {
        x if x.is_nan() => String::new(),
        // The shortest text that gives the same float of four bytes.
        x if short => (x as f32).to_string(),
        x => x.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSettings, FormatName, TargetKind, field, load};
    use std::fs;

    fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()
    }

    fn floats(values: impl Iterator<Item = f32>) -> Vec<u8> {
        values.flat_map(f32::to_le_bytes).collect()
    }

    #[test]
    fn arrays_of_two_axes_are_tables_with_classes_or_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let x = floats((0..60).map(|i| (i % 7) as f32 * 0.1));
        fs::write(file("X_train.npy"), npy("<f4", "(20, 3)", &x)).unwrap();
        fs::write(
            file("y_train.npy"),
            npy("|S3", "(20,)", &b"no\0yes".repeat(10)),
        )
        .unwrap();
        let settings = DataSettings {
            source: dir.path().display().to_string(),
            ..DataSettings::default()
        };
        let mut fitted = Fitted::default();
        let set = load(&settings, &mut fitted, 1).unwrap();
        assert_eq!(
            (set.train.len(), set.test.len(), &set.classes[..]),
            (16, 4, &["no".to_string(), "yes".into()][..])
        );
        assert_eq!(
            (set.train.shape(), fitted.format),
            (vec![3], FormatName::named("npz"))
        );
        // Rows to predict have no labels.
        let new = file("new.npy");
        fs::create_dir(file("new")).unwrap();
        let alone = file("new").join("rows.npy");
        fs::write(
            &alone,
            npy("<f4", "(2, 3)", &floats((0..6).map(|i| i as f32))),
        )
        .unwrap();
        let cx = InputContext {
            settings: &settings,
            fitted: &fitted,
            model: "m",
            image: None,
            invert: false,
        };
        let read = read_inputs(&[PredictInput::Path(alone)], &cx).unwrap();
        assert_eq!((read.items.len(), read.set.len()), (2, 2));
        drop(new);
        // Numbers to predict.
        let y = floats((0..20).map(|i| i as f32 * 0.37));
        fs::write(file("y_train.npy"), npy("<f4", "(20, 1)", &y)).unwrap();
        let mut fitted = Fitted::default();
        let set = load(&settings, &mut fitted, 1).unwrap();
        assert_eq!(fitted.predict, Some(TargetKind::Number));
        assert!(set.train.field(field::VALUE).is_some());
        // Two targets in each row.
        fs::write(file("y_train.npy"), npy("<f4", "(20, 2)", &y.repeat(2))).unwrap();
        let message = load(&settings, &mut Fitted::default(), 1)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("X_train") && message.contains("not one-hot"),
            "{message}"
        );
    }
}
