//! A table with a text and its class in each row.

use super::table::{
    Classes, CsvTable, TableFiles, TargetKind, header, is_table, target_cells, target_in_words,
    target_name,
};
#[cfg(test)]
use super::tests::Sample;
use super::{
    Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, PredictItem,
    row_name,
};
use crate::data::files::check_memory;
use crate::data::split::Drawn;
use crate::data::{
    DataError, DataSettings, Dataset, Fitted, PADDING, Part, Parts, RowSet, Samples, Source,
    Targets, TokenKind, WindowRows,
};
use crate::error::{Error, Result};
use crate::files::read_text;
use csv::StringRecord;
use std::io::BufRead;
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
        let names = header(&source.head(&TableFiles::of(source)?.train))?;
        Detection::new(72, format!("a column {}", text_column(&names)?))
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        Ok(load(cx.source, cx.settings, cx.fitted, cx.seed)?)
    }

    fn describe(&self, fitted: &Fitted) -> Vec<String> {
        target_in_words(fitted).into_iter().collect()
    }

    /// Inputs are texts, files with one text each, rows of tables, or lines of standard input.
    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        let mut given = GivenTexts::default();
        for (input, n) in inputs.iter().zip(1..) {
            match input {
                PredictInput::Text(text) => {
                    given.add(PredictItem::text(text), format!("text {n}"), text.clone());
                }
                PredictInput::StandardInput => given.add_lines(std::io::stdin().lock())?,
                PredictInput::Path(path) => given.add_file(path, cx),
            }
        }
        let GivenTexts { mut items, texts } = given;
        if items.is_empty() {
            let message = "standard input has no lines to classify";
            return Err(Error::Config(message.to_string()));
        }
        let read = read_texts(&texts, cx.settings, cx.fitted)?;
        let readable = items.iter_mut().filter(|item| item.trouble.is_none());
        for ((index, item), (place, _)) in readable.enumerate().zip(&texts) {
            if read.empty.binary_search(&index).is_ok() {
                item.trouble = Some(format!("{place} is an empty text: add a word"));
            }
        }
        Ok(PredictInputs {
            items,
            set: read.set.into(),
            notes: read.notes,
        })
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

/// Texts to classify.
#[derive(Default)]
struct GivenTexts {
    items: Vec<PredictItem>,
    /// Name and text of each item without trouble.
    texts: Vec<(String, String)>,
}

impl GivenTexts {
    fn add(&mut self, item: PredictItem, place: String, text: String) {
        self.items.push(item);
        self.texts.push((place, text));
    }

    fn add_lines(&mut self, input: impl BufRead) -> Result<()> {
        for (line, n) in input.split(b'\n').zip(1..) {
            let line = line.map_err(Error::io("read", Path::new("standard input")))?;
            let place = format!("line {n} of standard input");
            match String::from_utf8(line) {
                Ok(line) => {
                    let line = line.trim_end_matches('\r').to_string();
                    self.add(PredictItem::text(&line), place, line);
                }
                Err(_) => {
                    let message = format!("{place} is not UTF-8");
                    self.items.push(PredictItem::text(&place).but(message));
                }
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, cx: &InputContext<'_>) {
        let file = PredictItem::file(path.display());
        match read_text_rows(path, cx.settings, cx.fitted) {
            Err(e) => self.items.push(file.but(e)),
            Ok(Some(rows)) => {
                for (text, row) in rows.into_iter().zip(1..) {
                    let name = row_name(path, row);
                    self.add(PredictItem::file(&name), name, text);
                }
            }
            Ok(None) => match read_text(path) {
                Err(e) => {
                    let message = format!("{} can't be read as a text: {e}", path.display());
                    self.items.push(file.but(message));
                }
                Ok(text) => self.add(file, path.display().to_string(), text),
            },
        }
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
    let files = TableFiles::of(source)
        .ok_or_else(|| DataError::unusable(path, "is not a table: give a .csv file"))?;
    let tables = files.read(settings.header, fitted)?;
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
    check_tokens(rows, settings, path)?;
    let mut cut = 0;
    let mut set = |texts: &[(u64, &str)], labels: &[u32], keep: &dyn Fn(usize) -> bool| {
        let kept = (0..texts.len()).filter(|&index| keep(index));
        let (mut tokens, mut own, mut encoder) = (Vec::new(), Vec::new(), tokenizer.encoder());
        let mut count: u32 = 0;
        let mut targets = Vec::new();
        for index in kept {
            own.clear();
            encoder.encode(texts[index].1, &mut own);
            cut += usize::from(own.len() > settings.context());
            own.resize(settings.context(), PADDING);
            tokens.extend_from_slice(&own);
            targets.push(labels[index]);
            count += 1;
        }
        Samples::from(RowSet {
            starts: (0..count).map(|i| i * settings.context() as u32).collect(),
            random_starts: false,
            rows: WindowRows::Tokens {
                tokens,
                vocabulary: tokenizer.vocabulary(),
            },
            length: settings.context(),
            targets: Targets::Classes(targets),
        })
    };
    let mut own = |part: Part| set(&texts, &train_labels, &|index| of_each[index] == part);
    let mut parts = Parts {
        train: own(Part::Train),
        validation: drawn.validation.then(|| own(Part::Validation)),
        test: drawn.test.then(|| own(Part::Test)),
    };
    if !drawn.test {
        for ((table, path), is_test) in tables[1..].iter().zip(files.is_test()) {
            let texts = target_cells(table, &column, path)?;
            let labels = labels(target_cells(table, &target, path)?, path)?;
            let samples = Some(set(&texts, &labels, &|_| true));
            match is_test {
                true => parts.test = samples,
                false => parts.validation = samples,
            }
        }
    }
    let mut dataset = Dataset::of_parts(path, parts, classes.names);
    let read = tables.iter().map(|(table, path)| table.in_words(path));
    dataset.found = read.flatten().collect();
    if cut > 0 {
        dataset.notes.push(format!(
            "{cut} texts are longer than the context of {} tokens and are cut off",
            settings.context()
        ));
    }
    Ok(dataset)
}

/// Checks that the tokens of `rows` texts fit the free memory, and can be numbered.
fn check_tokens(rows: usize, settings: &DataSettings, path: &Path) -> Result<(), DataError> {
    let tokens = (rows as u64).saturating_mul(settings.context() as u64);
    check_memory(path, tokens.saturating_mul(4))?;
    if tokens > u64::from(u32::MAX) {
        let problem = format!(
            "gives {rows} samples of {} tokens, over {} in all: make data.context smaller, or use fewer texts",
            settings.context(),
            u32::MAX
        );
        return Err(DataError::unusable(path, problem));
    }
    Ok(())
}

/// The texts in the rows of the table at `path`, whose other columns are ignored; `None` if it is not a table.
///
/// # Errors
/// If the table can't be read, or lacks the column of the text.
pub fn read_text_rows(
    path: &Path,
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<Option<Vec<String>>, DataError> {
    if !is_table(path) {
        return Ok(None);
    }
    let table = CsvTable::read(path, settings.header, &fitted.input_columns())?;
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
    let text = |(_, row): &(u64, StringRecord)| row.get(place).unwrap_or_default().to_string();
    Ok(Some(table.rows.iter().map(text).collect()))
}

/// Result of [`read_texts`].
pub struct ReadTexts {
    /// A sample for each text with at least one token.
    pub set: RowSet,
    /// Indices of texts without tokens.
    pub empty: Vec<usize>,
    /// Notes for the user on texts that were cut or contain only unknown tokens.
    pub notes: Vec<String>,
}

/// `texts`, each with its name, as samples without classes for a model with the tokenizer `fitted.tokenizer`.
///
/// # Errors
/// If the run has no tokenizer.
pub fn read_texts(
    texts: &[(String, String)],
    settings: &DataSettings,
    fitted: &Fitted,
) -> Result<ReadTexts, DataError> {
    let tokenizer = fitted.tokenizer.as_ref();
    let tokenizer = tokenizer
        .ok_or_else(|| DataError::unusable("the run", "has no tokenizer.json: train it again"))?;
    let (mut encoder, context) = (tokenizer.encoder(), settings.context());
    let (mut tokens, mut own, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut empty = Vec::new();
    for (index, (name, text)) in texts.iter().enumerate() {
        own.clear();
        encoder.encode(text, &mut own);
        if own.is_empty() {
            empty.push(index);
            continue;
        }
        if own.len() > context {
            notes.push(format!(
                "{name} has {} tokens, but the model takes {context}: its end is cut off",
                own.len()
            ));
        }
        own.resize(context, PADDING);
        let known = own.iter().any(|&token| token >= tokenizer.first_token());
        if !known {
            notes.push(format!("{name} has no token that occurred in training"));
        }
        tokens.extend_from_slice(&own);
    }
    let samples = texts.len() - empty.len();
    let set = RowSet {
        starts: (0..samples as u32)
            .map(|i| i * settings.context() as u32)
            .collect(),
        random_starts: false,
        rows: WindowRows::Tokens {
            tokens,
            vocabulary: tokenizer.vocabulary(),
        },
        length: settings.context(),
        targets: Targets::Classes(vec![0; samples]),
    };
    Ok(ReadTexts { set, empty, notes })
}

#[cfg(test)]
mod tests {
    use super::super::tests::in_folder;
    use super::*;
    use crate::data::field;

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
        let message = in_folder(
            "all.csv",
            "label,text\n1,good\n0,\n1,good\n0,bad\n",
            &DataSettings::default(),
        )
        .unwrap_err();
        assert!(
            message.contains("line 3") && message.contains("column text"),
            "{message}"
        );
    }

    #[test]
    fn texts_to_predict_are_cut_and_padded_and_empty_ones_are_left_out() {
        let settings = DataSettings {
            context: Some(2),
            ..DataSettings::default()
        };
        let texts = |texts: &[&str]| -> Vec<(String, String)> {
            let named = |(i, text): (usize, &&str)| (format!("text {i}"), text.to_string());
            texts.iter().enumerate().map(named).collect()
        };
        let mut fitted = Fitted::default();
        assert!(read_texts(&texts(&["ab"]), &settings, &fitted).is_err());
        fitted.tokenizer_of(&settings, TokenKind::Characters, ["ab"].into_iter());
        let ReadTexts { set, empty, notes } =
            read_texts(&texts(&["ab", "b", "aba", "", "?"]), &settings, &fitted).unwrap();
        assert_eq!((empty, set.starts.len()), (vec![3], 4));
        let WindowRows::Tokens { tokens, .. } = &set.rows else {
            panic!("tokens");
        };
        assert_eq!(tokens, &[2, 3, 3, PADDING, 2, 3, 1, PADDING]);
        assert_eq!(notes.len(), 2);
        assert!(notes[0].contains("text 2 has 3 tokens"), "{notes:?}");
        assert!(notes[1].contains("text 4 has no token"), "{notes:?}");
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
