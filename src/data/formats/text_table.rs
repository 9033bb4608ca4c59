//! A table with a text and its class in each row.

use super::table::{
    Classes, CsvTable, TableFiles, TargetKind, header_of, is_table, leave_out_without,
    target_cells, target_in_words, target_name,
};
#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, texts};
use crate::data::split::Drawn;
use crate::data::{
    DataError, DataSettings, Dataset, Fitted, Part, Parts, SampleNames, Samples, Source, TokenKind,
};
use crate::error::Result;
use std::path::Path;

/// Names of columns that are detected as the text.
const TEXTS: [&str; 4] = ["text", "sentence", "review", "content"];
/// A CSV file with a text and its class in each row, or one for each part.
pub struct TextTable;

impl Format for TextTable {
    fn name(&self) -> &'static str {
        "text_table"
    }

    fn about(&self) -> &'static str {
        "a table of texts"
    }

    fn looks_for(&self) -> &'static str {
        "a table with a column text, sentence, review or content"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let names = header_of(source, &TableFiles::of(source)?.train)?;
        Detection::new(72, format!("a column {}", text_column(&names)?))
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        Ok(load(cx.source, cx.settings, cx.fitted, cx.seed)?)
    }

    fn describe(&self, fitted: &Fitted) -> Vec<String> {
        target_in_words(fitted).into_iter().collect()
    }

    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        texts::read_inputs(inputs, cx)
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let row = |n: usize| format!("{},\"text {n}, of many\"\n", ["no", "yes"][n % 2]);
        let rows = (0..20).map(row).collect::<String>();
        let settings = DataSettings {
            context: Some(4),
            ..DataSettings::default()
        };
        let header = "label,text\n";
        Sample {
            settings,
            ..Sample::in_folder(dir)
        }
        .with("train.csv", header.to_string() + &rows)
        .with("test.csv", header.to_string() + &rows)
        // In the middle of a quoted cell.
        .cut("train.csv", header.len() + 8)
    }
}

pub(super) fn text_column(names: &[String]) -> Option<&String> {
    let called = |wanted: &&str| names.iter().find(|name| name.eq_ignore_ascii_case(wanted));
    TEXTS.iter().find_map(called)
}

/// Loads a table with a text and its class in each row: samples are the first `context` tokens of a text, padded with
/// [`PADDING`]. The tokenizer is trained on the training part, unless `fitted` has one.
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
            "is not a table: give a .csv, .jsonl, .json, .xlsx, .xls, .xlsb, .ods, .parquet or .feather file",
        )
    })?;
    let mut tables = files.read(settings, fitted)?;
    let (train, train_path) = &tables[0];
    let target = target_name(train, settings, fitted, train_path)?;
    fitted.target = Some(target.clone());
    fitted.predict = Some(TargetKind::Class);
    let column = match settings.text.as_ref().or(fitted.text.as_ref()) {
        Some(name) => name.clone(),
        None => text_column(&train.names).cloned().ok_or_else(|| {
            DataError::unusable(
                train_path,
                format!(
                    "has no column called text: it has {}; name one in data.text",
                    train.listed()
                ),
            )
        })?,
    };
    fitted.text = Some(column.clone());
    let mut left_out = leave_out_without(&mut tables, &target, "the target")?;
    left_out.extend(leave_out_without(&mut tables, &column, "the text")?);
    let (train, train_path) = &tables[0];
    let labels = target_cells(train, &target, train_path)?;
    let classes = Classes::of(&labels, fitted, &target, train_path)?;
    let labels = |cells: Vec<(u64, &str)>, path: &Path| -> Result<Vec<u32>, DataError> {
        cells
            .into_iter()
            .map(|cell| classes.index(cell, &target, path))
            .collect()
    };
    let train_labels = labels(target_cells(train, &target, train_path)?, train_path)?;
    let has = |wanted: bool| files.is_test().any(|is_test| is_test == wanted);
    let drawn = Drawn::of(settings, has(false), has(true));
    let of_each = drawn.parts(&train_labels, settings, seed)?;
    let texts = target_cells(train, &column, train_path)?;
    let seen = texts
        .iter()
        .zip(&of_each)
        .filter(|&(_, &part)| part == Part::Train);
    let seen: Vec<&str> = seen.map(|((_, text), _)| *text).collect();
    let tokenizer = fitted.tokenizer_of(settings, TokenKind::Words, seen.into_iter());
    let rows: usize = tables.iter().map(|(table, _)| table.rows.len()).sum();
    texts::check_tokens(rows, settings, path)?;
    let mut cut = 0;
    let mut set =
        |table: &CsvTable, texts: &[(u64, &str)], labels: &[u32], keep: &dyn Fn(usize) -> bool| {
            let kept: Vec<usize> = (0..texts.len()).filter(|&index| keep(index)).collect();
            let own = kept.iter().map(|&index| (texts[index].1, labels[index]));
            let rows = kept.iter().map(|&index| table.row_number(index));
            let names = SampleNames::Rows(rows.collect());
            texts::samples(own, tokenizer, settings, &mut cut).named(names)
        };
    let mut own = |part: Part| {
        set(train, &texts, &train_labels, &|index| {
            of_each[index] == part
        })
    };
    let mut parts = Parts {
        train: own(Part::Train),
        validation: drawn.validation.then(|| own(Part::Validation)),
        test: drawn.test.then(|| own(Part::Test)),
    };
    if !drawn.test {
        for ((table, path), is_test) in tables[1..].iter().zip(files.is_test()) {
            let texts = target_cells(table, &column, path)?;
            let labels = labels(target_cells(table, &target, path)?, path)?;
            let samples = Some(set(table, &texts, &labels, &|_| true));
            match is_test {
                true => parts.test = samples,
                false => parts.validation = samples,
            }
        }
    }
    let mut dataset = Dataset::of_parts(path, parts, classes.names);
    let read = tables.iter().map(|(table, path)| table.in_words(path));
    dataset.found = read.flatten().chain(left_out).collect();
    let read = tables.iter().map(|(table, path)| table.notes(path));
    dataset.notes.extend(read.flatten());
    dataset.notes.extend(texts::note_on_cut(cut, settings));
    Ok(dataset)
}

/// Texts, and notes on how they were read.
pub type TextRows = (Vec<String>, Vec<String>);

/// The texts in the rows of the table at `path`, whose other columns are ignored, and notes on how it was read; `None` if it is not
/// a table.
///
/// # Errors
/// If the table can't be read, or lacks the column of the text.
pub fn read_text_rows(
    path: &Path,
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<Option<TextRows>, DataError> {
    if !is_table(path) {
        return Ok(None);
    }
    let table = CsvTable::read(path, settings, &fitted.input_columns())?;
    let wanted = fitted.text.as_ref();
    let place = wanted.and_then(|name| table.place(name));
    let place = place.ok_or_else(|| {
        DataError::unusable(
            path,
            format!(
                "has no column {}, which held the texts in training: it has {}",
                wanted.map_or("text", String::as_str),
                table.listed()
            ),
        )
    })?;
    let texts = table.column(place).map(|(_, cell)| cell.to_string());
    let texts = texts.collect();
    Ok(Some((texts, table.notes(path))))
}

#[cfg(test)]
mod tests {
    use super::super::tests::in_folder;
    use super::*;
    use crate::data::{PADDING, WindowRows, field};

    #[test]
    fn texts_of_a_table_are_padded_and_cut() {
        let settings = DataSettings {
            context: Some(3),
            tokens: Some(TokenKind::Words),
            test_share: Some(0.5),
            ..DataSettings::default()
        };
        let table = "label,text\n1,good good film\n0,bad\n1,\"good, very good\"\n0,bad bad\n";
        let set = in_folder("all.csv", table, &settings).unwrap();
        assert_eq!(
            (set.classes.len(), set.train.len(), set.test.len()),
            (2, 2, 2)
        );
        let WindowRows::Tokens { tokens, .. } = set.train.rows_of(field::TOKENS) else {
            panic!("tokens");
        };
        let labels = set.train.labels().unwrap();
        let bad = labels.iter().position(|&label| label == 0).unwrap();
        assert_eq!(tokens[3 * bad + 2], PADDING);
        assert!(tokens[3 * bad] != PADDING);
    }

    #[test]
    fn rows_without_a_class_or_a_text_are_left_out_and_counted() {
        let settings = DataSettings {
            test_share: Some(0.5),
            ..DataSettings::default()
        };
        let table = "label,text\n1,good\n0,\n,good\n0,bad\nNA,fine\n1,good\n0,bad\n";
        let set = in_folder("all.csv", table, &settings).unwrap();
        assert_eq!(
            (&*set.classes, set.train.len()),
            (&["0", "1"].map(String::from)[..], 2)
        );
        for line in [
            "all.csv: 2 of 7 rows have no value in column label, the target, first at line 4: they are left out",
            "all.csv: 1 of 5 rows have no value in column text, the text, first at line 3: they are left out",
        ] {
            assert!(
                set.found.iter().any(|found| found == line),
                "{:?}",
                set.found
            );
        }
        let none = "label,text\n1,good\n0,bad\n"
            .replace("good", "")
            .replace("bad", "NA");
        let message = in_folder("all.csv", &none, &settings).unwrap_err();
        assert!(
            message.contains("no value in column text, the text, in any row")
                && message.contains("data.text"),
            "{message}"
        );
    }

    #[test]
    fn the_real_news_have_their_counts() {
        let Some(dir) = crate::data::real_set("ag_news") else {
            return;
        };
        let settings = DataSettings {
            source: dir.display().to_string(),
            tokens: Some(TokenKind::Words),
            vocabulary: 5000,
            context: Some(64),
            ..DataSettings::default()
        };
        let set = crate::data::load(&settings, &mut Fitted::default(), 1).unwrap();
        assert_eq!(
            (set.train.len(), set.test.len(), set.classes.len()),
            (8000, 2000, 4)
        );
        assert_eq!(set.train.shape(), [64]);
    }
}
