//! A table with a text in each row, and its class unless the text is the only column.

use super::table::{
    Classes, CsvTable, LOOKED_AT, MOST_CLASSES, TableFiles, TargetKind, counts_up, group_columns,
    head_of, is_table, leave_out_without, target_beside, target_cells, target_in_words, value,
    words_in,
};
#[cfg(test)]
use super::tests::Sample;
use super::{Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, texts};
use crate::data::groups;
use crate::data::split::Drawn;
use crate::data::{
    DataError, DataSettings, Dataset, Fitted, Part, Parts, SampleNames, Samples, Source, TokenKind,
};
use crate::error::Result;
use csv::StringRecord;
use std::collections::HashSet;
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
        "a table with a column text, sentence, review or content, or with two columns, one of which holds texts"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let found = text_column_of(source, &TableFiles::of(source)?)?;
        Detection::new(72, found.reason)
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

/// The column of texts in the tables `files` of `source`, if there is one.
pub(super) fn text_column_of(source: &Source, files: &TableFiles) -> Option<TextColumn> {
    let (names, rows) = head_of(source, &files.train)?;
    TextColumn::find(&names, &rows)
}

/// A column of texts.
pub(super) struct TextColumn {
    name: String,
    /// The column of classes, if it is the only other one.
    classes: Option<String>,
    /// Why it is one.
    reason: String,
}

impl TextColumn {
    /// The column of texts among those called `names`, of a table that begins with `rows`: a column with a usual name, or the one
    /// with the longest texts beside a single column of classes. An index of the rows does not count, nor a column without cells.
    fn find(names: &[String], rows: &[StringRecord]) -> Option<TextColumn> {
        let called = |wanted: &&str| names.iter().find(|name| name.eq_ignore_ascii_case(wanted));
        if let Some(name) = TEXTS.iter().find_map(called) {
            return Some(TextColumn {
                name: name.clone(),
                classes: None,
                reason: format!("a column {name}"),
            });
        }
        let cells = |place: usize| rows.iter().filter_map(move |row| value(row.get(place)?));
        let is_index =
            |place: usize| place == 0 && cells(place).count() > 1 && counts_up(cells(place));
        let is_counted = |place: &usize| cells(*place).next().is_some() && !is_index(*place);
        let counted = (0..names.len()).filter(is_counted);
        let words = counted.map(|place| (place, words_in(cells(place))));
        let (texts, others): (Vec<_>, Vec<_>) = words.partition(|(_, words)| words.is_some());
        let &(place, words) = texts.iter().max_by_key(|(_, words)| *words)?;
        let [(other, _)] = others[..] else {
            return None;
        };
        // Numbers are not predicted from texts.
        let classes: HashSet<&str> = cells(other).collect();
        if classes.len() * 2 > cells(other).count() {
            return None;
        }
        let (name, classes) = (names[place].clone(), names[other].clone());
        let reason = format!(
            "texts of about {} words in column {name} beside classes in column {classes}",
            words.unwrap_or_default()
        );
        Some(TextColumn {
            name,
            classes: Some(classes),
            reason,
        })
    }
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
    let found = match settings.text.as_ref().or(fitted.text.as_ref()) {
        Some(_) => None,
        None => TextColumn::find(&train.names, &train.rows.head(LOOKED_AT)),
    };
    let known = settings.text.as_ref().or(fitted.text.as_ref());
    let column = known.or(found.as_ref().map(|found| &found.name)).cloned();
    let column = column.ok_or_else(|| {
        let problem = format!(
            "has no column called text: it has {}; name one in data.text",
            train.listed()
        );
        DataError::unusable(train_path, problem)
    })?;
    if settings.predict == Some(TargetKind::Labels) {
        let problem = "is a table of texts, and texts have one class each: leave out data.predict";
        return Err(DataError::unusable(train_path, problem));
    }
    let is_known = fitted.target.is_some();
    let is_named = settings.target.is_some() || is_known;
    // A run that was trained on texts alone knows their column and no target.
    let alone = train.names == [column.clone()] || fitted.text.is_some() && !is_known;
    let target = match found.and_then(|found| found.classes).filter(|_| !is_named) {
        _ if alone && !is_named => None,
        Some(classes) => Some(classes),
        None => Some(target_beside(
            Some(&column),
            train,
            settings,
            fitted,
            train_path,
        )?),
    };
    fitted.target.clone_from(&target);
    fitted.predict = target.as_ref().map(|_| TargetKind::Class);
    fitted.text = Some(column.clone());
    let mut left_out = Vec::new();
    if let Some(target) = &target {
        left_out.extend(leave_out_without(&mut tables, target, "the target")?);
    }
    left_out.extend(leave_out_without(&mut tables, &column, "the text")?);
    let (train, train_path) = &tables[0];
    let classes = match &target {
        None => None,
        Some(target) => {
            let labels = target_cells(train, target, train_path)?;
            if !is_known && settings.predict != Some(TargetKind::Class) {
                check_classes(&labels, target, train_path)?;
            }
            Some((target, Classes::of(&labels, fitted, target, train_path)?))
        }
    };
    let labels = |table: &CsvTable, path: &Path| -> Result<Option<Vec<u32>>, DataError> {
        let Some((target, classes)) = &classes else {
            return Ok(None);
        };
        let cells = target_cells(table, target, path)?.into_iter();
        let labels = cells.map(|cell| classes.index(cell, target, path));
        labels.collect::<Result<_, _>>().map(Some)
    };
    let train_labels = labels(train, train_path)?;
    let has = |wanted: bool| files.is_test().any(|is_test| is_test == wanted);
    let drawn = Drawn::of(settings, has(false), has(true));
    let of_each = match &train_labels {
        Some(labels) => drawn.parts(labels, settings, seed)?,
        None => drawn.parts(&vec![0; train.rows.len()], settings, seed)?,
    };
    let texts = target_cells(train, &column, train_path)?;
    let seen = texts
        .iter()
        .zip(&of_each)
        .filter(|&(_, &part)| part == Part::Train);
    let seen: Vec<&str> = seen.map(|((_, text), _)| *text).collect();
    let groups = groups::wanted(settings, fitted);
    let tokenizer = fitted.tokenizer_of(settings, TokenKind::Words, seen.into_iter());
    let rows: usize = tables.iter().map(|(table, _)| table.rows.len()).sum();
    texts::check_tokens(rows, settings, path)?;
    let mut cut = 0;
    let mut set = |(table, path): (&CsvTable, &Path),
                   texts: &[(u64, &str)],
                   labels: &Option<Vec<u32>>,
                   keep: &dyn Fn(usize) -> bool| {
        let kept: Vec<usize> = (0..texts.len()).filter(|&index| keep(index)).collect();
        let own = kept.iter().map(|&index| texts[index].1);
        let labels = labels.as_ref();
        let labels = labels.map(|labels| kept.iter().map(|&index| labels[index]).collect());
        let rows = kept.iter().map(|&index| table.row_number(index));
        let names = SampleNames::Rows(rows.collect());
        let groups = group_columns(table, path, &groups, &kept)?;
        let samples = texts::samples(own, labels, tokenizer, settings, &mut cut).named(names);
        Ok::<Samples, DataError>(samples.with_groups(groups))
    };
    let mut own = |part: Part| {
        set((train, train_path), &texts, &train_labels, &|index| {
            of_each[index] == part
        })
    };
    let mut parts = Parts {
        train: own(Part::Train)?,
        validation: drawn
            .validation
            .then(|| own(Part::Validation))
            .transpose()?,
        test: drawn.test.then(|| own(Part::Test)).transpose()?,
    };
    if !drawn.test {
        for ((table, path), is_test) in tables[1..].iter().zip(files.is_test()) {
            let texts = target_cells(table, &column, path)?;
            let labels = labels(table, path)?;
            let samples = Some(set((table, path), &texts, &labels, &|_| true)?);
            match is_test {
                true => parts.test = samples,
                false => parts.validation = samples,
            }
        }
    }
    let names = classes.map(|(_, classes)| classes.names);
    let mut dataset = Dataset::of_parts(path, parts, names.unwrap_or_default());
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

/// Checks that the `labels`, the cells of the column `target`, are no numbers to predict: numbers with decimals, or another one in
/// most rows.
fn check_classes(labels: &[(u64, &str)], target: &str, path: &Path) -> Result<(), DataError> {
    /// Rows of a class, at least, if classes are numbers.
    const EACH: usize = 5;
    let numbers: Option<Vec<f64>> = labels.iter().map(|(_, cell)| cell.parse().ok()).collect();
    let Some(numbers) = numbers else {
        return Ok(());
    };
    let different: HashSet<&str> = labels.iter().map(|(_, cell)| *cell).collect();
    let is_rare = different.len() * EACH > labels.len() && different.len() > MOST_CLASSES;
    if numbers.iter().all(|number| number.fract() == 0.0) && !is_rare {
        return Ok(());
    }
    let problem = format!(
        "has numbers in column {target}, and texts are classified: name a column of classes with data.target, say that these are some with \
         data.predict = \"class\", or predict them from the other columns with data.format = \"table\""
    );
    Err(DataError::unusable(path, problem))
}

#[cfg(test)]
mod tests {
    use super::super::tests::in_folder;
    use super::*;
    use crate::data::{FormatName, PADDING, WindowRows, field};

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
    fn texts_alone_have_no_classes() {
        let settings = DataSettings {
            context: Some(3),
            ..DataSettings::default()
        };
        let table = "text\na good film\n\"bad, bad\"\nso so\nno\n";
        let set = in_folder("all.csv", table, &settings).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (3, 1));
        assert_eq!((set.train.labels(), set.classes.len()), (None, 0));
        assert_eq!(set.train.noun(), "texts");
    }

    #[test]
    fn texts_beside_one_other_column_are_found_whatever_it_is_called() {
        let row = |i: usize| {
            format!(
                "{},my friend number {i} said so,{}\n",
                i + 1,
                ["ham", "spam"][i % 2]
            )
        };
        let rows: String = (0..20).map(row).collect();
        let settings = DataSettings {
            format: FormatName::named("text_table"),
            ..DataSettings::default()
        };
        let columns = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("all.csv");
            std::fs::write(&file, text).unwrap();
            let source = Source::look(&file.display().to_string()).unwrap();
            let found = text_column_of(&source, &TableFiles::of(&source).unwrap());
            found.map(|found| found.name)
        };
        let all = format!("id,message,kind\n{rows}");
        assert_eq!(columns(&all).as_deref(), Some("message"));
        assert_eq!(
            in_folder("all.csv", &all, &settings).unwrap().classes,
            ["ham", "spam"]
        );
        // Without a header, and before the text.
        let bare: String = (0..40)
            .map(|i| {
                let again = " again".repeat(i % 3);
                format!("{},see you at {i} then{again}\n", ["no", "yes"][i % 2])
            })
            .collect();
        assert_eq!(columns(&bare).as_deref(), Some("column_2"));
        assert_eq!(
            in_folder("all.csv", &bare, &settings).unwrap().classes,
            ["no", "yes"]
        );
        // The longest of several texts, as in the files of AG News, and a number of stars or a price beside a review.
        let news: String = (0..40)
            .map(|i| {
                format!(
                    "{},all the news {i} of today,the long story of what was number {i} of all\n",
                    i % 4
                )
            })
            .collect();
        assert_eq!(
            columns(&format!("class,title,description\n{news}")).as_deref(),
            Some("description")
        );
        assert_eq!(
            in_folder(
                "all.csv",
                &format!("class,title,description\n{news}"),
                &settings
            )
            .unwrap()
            .classes
            .len(),
            4
        );
        let prices: String = (0..40)
            .map(|i| format!("a good dog film number {i},{i}.25\n"))
            .collect();
        let message =
            in_folder("all.csv", &format!("review,price\n{prices}"), &settings).unwrap_err();
        assert!(message.contains("has numbers in column price"), "{message}");
        // Names of goods with their prices, and texts among other columns, are left as they are.
        let priced: String = (0..20)
            .map(|i| format!("the good thing {i},{i}.5\n"))
            .collect();
        assert_eq!(columns(&format!("name,price\n{priced}")), None);
        let wide = all.replace(",ham", ",1,ham").replace(",spam", ",2,spam");
        assert_eq!(columns(&wide.replace("kind", "n,kind")), None);
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
