//! Texts: one long one whose next token is to be predicted, or a table with a text and its class in each row.

mod bpe;
mod decoder;
mod tokenizer;

pub use decoder::Decoder;
pub use tokenizer::{Encoder, PADDING, TokenKind, Tokenizer};

use super::files::{read_whole, sorted_entries};
use super::split::Drawn;
use super::table::{Classes, Table, TableFiles, TargetKind, is_table, target_cells, target_name};
use super::{DataError, DataSettings, Dataset, Part, Parts, RowSet, Rows, Samples, Targets};
use csv::StringRecord;
use std::path::{Path, PathBuf};

/// Columns that are taken for the text where none is said.
const TEXTS: [&str; 4] = ["text", "sentence", "review", "content"];
/// Files of the parts of a text, without ending.
const PARTS: [&[&str]; 3] = [
    &["train"],
    &["val", "valid", "validation", "dev"],
    &["test"],
];

/// The texts of `path`: a file, the only one of a folder, or one for each part.
fn files(path: &Path) -> Option<[Option<PathBuf>; 3]> {
    let is_text = |path: &Path| {
        path.is_file()
            && path
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("txt"))
    };
    if path.is_file() {
        return is_text(path).then(|| [Some(path.to_owned()), None, None]);
    }
    let texts: Vec<PathBuf> = sorted_entries(path).ok()?;
    let texts: Vec<PathBuf> = texts.into_iter().filter(|path| is_text(path)).collect();
    let part = |names: &[&str]| {
        let is = |path: &&PathBuf| {
            let stem = path
                .file_stem()
                .map(|stem| stem.to_string_lossy().to_lowercase());
            stem.is_some_and(|stem| names.contains(&&*stem))
        };
        texts.iter().find(is).cloned()
    };
    match (PARTS.map(part), &texts[..]) {
        (parts @ [Some(_), ..], _) => Some(parts),
        (_, [only]) => Some([Some(only.clone()), None, None]),
        _ => None,
    }
}

/// Whether `path` is a text, or a folder of one.
pub(super) fn looks_like(path: &Path) -> bool {
    files(path).is_some()
}

/// Whether the table at `path` has a column that is called text, or as text is.
pub(super) fn table_has_text(path: &Path) -> bool {
    let files = TableFiles::of(path);
    let table = files.and_then(|files| super::table::header(&files.train));
    table.is_some_and(|names| text_column(&names).is_some())
}

fn text_column(names: &[String]) -> Option<&String> {
    let called = |wanted: &&str| names.iter().find(|name| name.eq_ignore_ascii_case(wanted));
    TEXTS.iter().find_map(called)
}

/// Loads a text: samples are windows of `context` tokens, and what is to be predicted is the token after each. Without a
/// `stride` those to learn from begin anywhere. The tokenizer is learned on the training part, unless `settings` have one.
///
/// # Errors
/// Names the file that is no text, or too short.
pub(super) fn load_text(
    path: &Path,
    settings: &mut DataSettings,
) -> Result<Dataset<Samples>, DataError> {
    let [train, validation, test] = files(path).ok_or_else(|| {
        DataError::unusable(
            path,
            "is no text: give a .txt file, or a folder with train.txt and test.txt",
        )
    })?;
    let read = |path: PathBuf| -> Result<(String, PathBuf), DataError> {
        let text = String::from_utf8(read_whole(&path)?);
        let text = text.map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            DataError::unusable(
                &path,
                format!("is not UTF-8 text at byte {at}: save it as UTF-8"),
            )
        })?;
        Ok((text, path))
    };
    let (mut train, file) = read(train.unwrap_or_else(|| path.to_owned()))?;
    let mut parts = [
        validation.map(read).transpose()?,
        test.map(read).transpose()?,
    ];
    if settings.unsplit {
        parts[1] = Some((train.clone(), file.clone()));
    } else if parts.iter().all(Option::is_none) {
        parts[1] = Some((cut_end(&mut train, settings.test_share()), file.clone()));
    }
    if let (Some(share), false, None) = (settings.validation_share, settings.unsplit, &parts[0]) {
        parts[0] = Some((cut_end(&mut train, share), file.clone()));
    }
    let tokenizer = settings.learned_tokenizer([train.as_str()].into_iter());
    let context = settings.context();
    let windows = |text: &str, path: &Path, stride: Option<usize>| -> Result<RowSet, DataError> {
        let mut tokens = Vec::new();
        tokenizer.encoder().encode(text, &mut tokens);
        if tokens.len() <= context {
            return Err(DataError::unusable(
                path,
                format!(
                    "gives {} tokens in one of its parts, and a window takes {context} and the one after: make data.context \
                     smaller or the text longer",
                    tokens.len()
                ),
            ));
        }
        let starts = (0..tokens.len() - context)
            .step_by(stride.unwrap_or(context).max(1))
            .map(|start| start as u32);
        Ok(RowSet {
            starts: starts.collect(),
            random_starts: false,
            rows: Rows::Tokens {
                tokens,
                vocabulary: tokenizer.vocabulary(),
            },
            length: context,
            targets: Targets::NextToken,
        })
    };
    let train = RowSet {
        random_starts: settings.stride.is_none(),
        ..windows(&train, &file, settings.stride)?
    };
    let [validation, test] = parts;
    let part = |part: Option<(String, PathBuf)>| {
        part.map(|(text, path)| windows(&text, &path, None).map(Samples::from))
            .transpose()
    };
    let parts = Parts {
        train: train.into(),
        validation: part(validation)?,
        test: part(test)?,
    };
    Ok(Dataset::of_parts(path, parts, Vec::new()))
}

/// Takes the last `share` of a text from it: the end, so that no window is in both parts.
fn cut_end(text: &mut String, share: f64) -> String {
    let mut at = (text.len() as f64 * (1.0 - share)) as usize;
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.split_off(at)
}

/// Loads a table with a text and its class in each row: samples are the first `context` tokens of a text, padded with
/// [`PADDING`]. The tokenizer is learned on the training part, unless `settings` have one.
///
/// # Errors
/// Names the file, and the line or column in it, that is wrong.
pub(super) fn load_table(
    path: &Path,
    settings: &mut DataSettings,
    seed: u64,
) -> Result<Dataset<Samples>, DataError> {
    let files = TableFiles::of(path)
        .ok_or_else(|| DataError::unusable(path, "is no table: give a .csv file"))?;
    let tables = files.read(settings.header)?;
    let (train, train_path) = &tables[0];
    let target = target_name(train, settings, train_path)?;
    settings.target = Some(target.clone());
    settings.predict = Some(TargetKind::Class);
    let column = match &settings.text {
        Some(name) => name.clone(),
        None => text_column(&train.names).cloned().ok_or_else(|| {
            DataError::unusable(
                train_path,
                format!(
                    "has no column called text: it has {}; name one by data.text",
                    train.names.join(", ")
                ),
            )
        })?,
    };
    settings.text = Some(column.clone());
    let labels = target_cells(train, &target, train_path)?;
    let classes = Classes::of(&labels, settings, &target, train_path)?;
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
    let tokenizer = settings.learned_tokenizer(seen.into_iter());
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
            rows: Rows::Tokens {
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
    if cut > 0 {
        dataset.notes.push(format!(
            "{cut} texts are longer than the context of {} tokens: their ends are left out",
            settings.context()
        ));
    }
    Ok(dataset)
}

/// The texts in the rows of the table at `path`, whose other columns are not asked for; nothing if it is no table.
///
/// # Errors
/// If the table can't be read, or lacks the column of the text.
pub fn read_text_rows(
    path: &Path,
    settings: &DataSettings,
) -> Result<Option<Vec<String>>, DataError> {
    if !is_table(path) {
        return Ok(None);
    }
    let table = Table::read(path, settings.header)?;
    let wanted = settings.text.as_ref();
    let place = table.names.iter().position(|name| Some(name) == wanted);
    let place = place.ok_or_else(|| {
        DataError::unusable(
            path,
            format!(
                "has no column {}, where the run found its texts: it has {}",
                wanted.map_or("text", String::as_str),
                table.names.join(", ")
            ),
        )
    })?;
    let text = |(_, row): &(u64, StringRecord)| row.get(place).unwrap_or_default().to_string();
    Ok(Some(table.rows.iter().map(text).collect()))
}

/// What [`read_texts`] makes of texts.
pub struct ReadTexts {
    /// A sample for each text that holds something.
    pub set: RowSet,
    /// Places of the texts that hold nothing.
    pub empty: Vec<usize>,
    /// What the user should hear of: texts that are cut, words that are not known.
    pub notes: Vec<String>,
}

/// `texts`, each with its name, as samples for a model that learned `settings.tokenizer`; their class is not asked for.
///
/// # Errors
/// If the run has no tokenizer.
pub fn read_texts(
    texts: &[(String, String)],
    settings: &DataSettings,
) -> Result<ReadTexts, DataError> {
    let tokenizer = settings.tokenizer.as_ref();
    let tokenizer = tokenizer
        .ok_or_else(|| DataError::unusable("the run", "has no tokenizer.json: train it anew"))?;
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
                "{name} has {} tokens, and the model takes {context}: its end is left out",
                own.len()
            ));
        }
        own.resize(context, PADDING);
        let known = own.iter().any(|&token| token >= tokenizer.first_token());
        if !known {
            notes.push(format!("{name} holds nothing that training had"));
        }
        tokens.extend_from_slice(&own);
    }
    let samples = texts.len() - empty.len();
    let set = RowSet {
        starts: (0..samples as u32)
            .map(|i| i * settings.context() as u32)
            .collect(),
        random_starts: false,
        rows: Rows::Tokens {
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
    use super::*;
    use std::fs;

    fn in_folder(
        name: &str,
        text: &str,
        settings: &mut DataSettings,
    ) -> Result<Dataset<Samples>, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), text).unwrap();
        settings.source = dir.path().display().to_string();
        crate::data::load(settings, 1).map_err(|e| e.to_string())
    }

    fn rows(samples: &Samples) -> &RowSet {
        match samples {
            Samples::Rows(set) => set,
            Samples::Images(_) => panic!("texts give rows"),
        }
    }

    #[test]
    fn a_text_gives_windows_and_its_end_is_the_test_part() {
        let mut settings = DataSettings {
            context: Some(4),
            ..DataSettings::default()
        };
        let set = in_folder("input.txt", &"abcdefghij".repeat(5), &mut settings).unwrap();
        let train = rows(&set.train);
        assert_eq!(
            (train.rows.len(), &train.starts[..], train.random_starts),
            (45, &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40][..], true)
        );
        let Rows::Tokens { tokens, vocabulary } = &train.rows else {
            panic!("tokens");
        };
        assert_eq!((&tokens[..3], *vocabulary), (&[2, 3, 4][..], 12));
        assert_eq!(rows(&set.test).starts, [0]);
        (settings.stride, settings.test_share) = (Some(1), Some(0.2));
        let set = in_folder("input.txt", &"abcdefghij".repeat(5), &mut settings).unwrap();
        let train = rows(&set.train);
        assert_eq!((train.starts.len(), train.random_starts), (36, false));
        assert_eq!(rows(&set.test).starts, [0, 4]);
        let told = in_folder("input.txt", "abc", &mut settings).unwrap_err();
        assert!(
            told.contains("2 tokens") && told.contains("data.context"),
            "{told}"
        );
    }

    #[test]
    fn texts_of_a_table_are_padded_and_cut() {
        let mut settings = DataSettings {
            context: Some(3),
            tokens: TokenKind::Words,
            test_share: Some(0.5),
            ..DataSettings::default()
        };
        let table = "label,text\n1,good good film\n0,bad\n1,\"good, very good\"\n0,bad bad\n";
        let set = in_folder("all.csv", table, &mut settings).unwrap();
        assert_eq!(
            (set.classes.len(), set.train.len(), set.test.len()),
            (2, 2, 2)
        );
        let train = rows(&set.train);
        let Rows::Tokens { tokens, .. } = &train.rows else {
            panic!("tokens");
        };
        let Targets::Classes(labels) = &train.targets else {
            panic!("classes");
        };
        let bad = labels.iter().position(|&label| label == 0).unwrap();
        assert_eq!(tokens[3 * bad + 2], PADDING);
        assert!(tokens[3 * bad] != PADDING);
        let told = in_folder(
            "all.csv",
            "label,text\n1,good\n0,\n1,good\n0,bad\n",
            &mut DataSettings::default(),
        )
        .unwrap_err();
        assert!(
            told.contains("line 3") && told.contains("column text"),
            "{told}"
        );
    }

    #[test]
    fn texts_to_predict_are_cut_and_padded_and_empty_ones_are_left_out() {
        let mut settings = DataSettings {
            context: Some(2),
            ..DataSettings::default()
        };
        let texts = |texts: &[&str]| -> Vec<(String, String)> {
            let named = |(i, text): (usize, &&str)| (format!("text {i}"), text.to_string());
            texts.iter().enumerate().map(named).collect()
        };
        assert!(read_texts(&texts(&["ab"]), &settings).is_err());
        settings.learned_tokenizer(["ab"].into_iter());
        let ReadTexts { set, empty, notes } =
            read_texts(&texts(&["ab", "b", "aba", "", "?"]), &settings).unwrap();
        assert_eq!((empty, set.starts.len()), (vec![3], 4));
        let Rows::Tokens { tokens, .. } = &set.rows else {
            panic!("tokens");
        };
        assert_eq!(tokens, &[2, 3, 3, PADDING, 2, 3, 1, PADDING]);
        assert_eq!(notes.len(), 2);
        assert!(notes[0].contains("text 2 has 3 tokens"), "{notes:?}");
        assert!(notes[1].contains("text 4 holds nothing"), "{notes:?}");
    }

    #[test]
    fn the_real_news_have_their_counts() {
        let Some(dir) = crate::data::real_set("ag_news") else {
            return;
        };
        let mut settings = DataSettings {
            source: dir.display().to_string(),
            tokens: TokenKind::Words,
            vocabulary: 5000,
            context: Some(64),
            ..DataSettings::default()
        };
        let set = crate::data::load(&mut settings, 1).unwrap();
        assert_eq!(
            (set.train.len(), set.test.len(), set.classes.len()),
            (8000, 2000, 4)
        );
        assert_eq!(set.train.shape(), [64]);
    }
}
