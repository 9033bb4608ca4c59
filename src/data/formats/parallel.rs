//! Texts with their translations: two files for each part, with one sentence in each line, whose endings are the languages, such as
//! `train.en` and `train.de`, perhaps compressed.

#[cfg(test)]
use super::tests::Sample;
use super::texts;
use super::{
    Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, PredictItem,
};
use crate::data::files::check_memory;
use crate::data::packed::{stem, unpacked_name};
use crate::data::split::Drawn;
use crate::data::texts::{decoded, read_text};
use crate::data::{
    DataError, DataSettings, Dataset, Encoder, Field, FieldValues, Fitted, PADDING, Part,
    SampleNames, Samples, Source, Starts, TokenKind, Tokenizer, WindowRows, field,
};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Stems of the files of the parts. The test part may also be any that begins with `test`.
const PARTS: [&[&str]; 3] = [
    &["train"],
    &["val", "valid", "validation", "dev"],
    &["test"],
];

/// Tokens after those of the tokenizer: they begin and end a translation.
const MARKS: usize = 2;

/// Texts with their translations.
pub struct Parallel;

impl Format for Parallel {
    fn name(&self) -> &'static str {
        "parallel"
    }

    fn about(&self) -> &'static str {
        "texts with translations"
    }

    fn looks_for(&self) -> &'static str {
        "files train.X and train.Y whose endings are languages, such as train.en and train.de"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let found = languages_of(source, PARTS[0][0]);
        match &found[..] {
            [first, second, ..] => {
                Detection::new(85, format!("files train.{first} and train.{second}"))
            }
            _ => None,
        }
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        Ok(load(cx)?)
    }

    fn describe(&self, fitted: &Fitted) -> Vec<String> {
        match &fitted.languages[..] {
            [from, to] => vec![format!("translated from {from} to {to}")],
            _ => Vec::new(),
        }
    }

    /// Every line of a file, or text, is a sentence. An empty line has an empty translation.
    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        let mut items = Vec::new();
        let mut sentences: Vec<String> = Vec::new();
        for input in inputs {
            let text = match input {
                PredictInput::Text(text) => text.clone(),
                PredictInput::StandardInput => standard_input()?,
                PredictInput::Path(path) => match read_text(path) {
                    Ok(text) => text,
                    Err(e) => {
                        items.push(PredictItem::file(path.display()).but(e));
                        continue;
                    }
                },
            };
            items.extend(text.lines().map(PredictItem::text));
            sentences.extend(text.lines().map(str::to_string));
        }
        if items.is_empty() {
            return Err(Error::Config("there are no lines to translate".to_string()));
        }
        let tokenizer = cx.fitted.tokenizer.as_ref();
        let tokenizer = tokenizer.ok_or_else(|| {
            DataError::unusable("the run", "has no tokenizer.json: train it again")
        })?;
        let mut rows = Rows::new(tokenizer, cx.settings.context());
        sentences.iter().for_each(|line| rows.add_source(line));
        let notes = texts::note_on_cut(rows.cut, cx.settings);
        Ok(PredictInputs {
            items,
            cells: None,
            set: rows.samples(false),
            notes: notes.into_iter().collect(),
        })
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let line = |word: &str, n: usize| format!("{word} number {n}, ä\n");
        let lines = |word: &str| (0..12).map(|n| line(word, n)).collect::<String>();
        let settings = DataSettings {
            context: Some(8),
            source_language: Some("en".to_string()),
            target_language: Some("de".to_string()),
            ..DataSettings::default()
        };
        Sample {
            settings,
            ..Sample::in_folder(dir)
        }
        .with("train.en", lines("text"))
        .with("train.de", lines("Satz"))
        .with("test.en", lines("test"))
        .with("test.de", lines("Probe"))
        // In the middle of the last line but one.
        .cut("train.de", lines("Satz").len() - 40)
    }
}

/// All of standard input.
fn standard_input() -> Result<String> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(Error::io("read", Path::new("standard input")))?;
    decoded(bytes).map_err(|problem| Error::Config(format!("standard input {problem}")))
}

/// Whether `ending` can be that of a file in a language: two letters, perhaps with a region, as in `pt-br`.
fn is_language(ending: &str) -> bool {
    let (language, region) = match ending.split_once(['-', '_']) {
        Some((language, region)) => (language, Some(region)),
        None => (ending, None),
    };
    let letters = |text: &str| text.chars().all(|c| c.is_ascii_alphabetic());
    language.len() == 2
        && letters(language)
        && region.is_none_or(|region| (2..=4).contains(&region.len()) && letters(region))
}

/// The ending of a file without that of compressed files, in lower case.
fn ending(path: &Path) -> String {
    let name = unpacked_name(path);
    let ending = name.extension().unwrap_or_default();
    ending.to_string_lossy().to_lowercase()
}

/// The files of the folder `source`.
fn files(source: &Source) -> impl Iterator<Item = &Path> {
    let entries = source.entries().iter().filter(|entry| !entry.is_folder);
    entries.map(|entry| &*entry.path)
}

/// Endings that look like languages of the files called `wanted`, in alphabetical order.
fn languages_of(source: &Source, wanted: &str) -> Vec<String> {
    if source.is_file() {
        return Vec::new();
    }
    let own = files(source).filter(|path| stem(path) == wanted);
    let endings: BTreeSet<String> = own
        .map(ending)
        .filter(|ending| is_language(ending))
        .collect();
    endings.into_iter().collect()
}

/// The languages of texts and translations: those of an earlier run, of the settings, or of the files.
fn languages(
    source: &Source,
    settings: &DataSettings,
    fitted: &Fitted,
    notes: &mut Vec<String>,
) -> std::result::Result<[String; 2], DataError> {
    if let [from, to] = &fitted.languages[..] {
        return Ok([from.clone(), to.clone()]);
    }
    let given = [&settings.source_language, &settings.target_language];
    if let [Some(from), Some(to)] = given {
        if from == to {
            let problem = format!(
                "can't be translated from {from} to {to}: data.source_language and data.target_language must differ"
            );
            return Err(DataError::unusable(source.path(), problem));
        }
        return Ok([from.to_lowercase(), to.to_lowercase()]);
    }
    let found = languages_of(source, PARTS[0][0]);
    let rest = |known: &String| {
        let others: Vec<&String> = found.iter().filter(|found| *found != known).collect();
        match others[..] {
            [only] => Some(only.clone()),
            _ => None,
        }
    };
    let both = match given {
        [Some(from), _] => rest(from).map(|to| [from.clone(), to]),
        [_, Some(to)] => rest(to).map(|from| [from, to.clone()]),
        _ => <[String; 2]>::try_from(found.clone()).ok(),
    };
    let both = both.ok_or_else(|| {
        let problem = format!(
            "has files train in {} languages{}: name two with data.source_language and data.target_language",
            found.len(),
            match found.is_empty() {
                true => String::new(),
                false => format!(" ({})", found.join(", ")),
            }
        );
        DataError::unusable(source.path(), problem)
    })?;
    if let [None, None] = given {
        let [from, to] = &both;
        notes.push(format!(
            "translates {from} to {to}; data.source_language = \"{to}\" turns that round"
        ));
    }
    Ok(both)
}

/// The two files of a part.
type Files = [PathBuf; 2];

/// The files of a part whose name has this `stem`: of both languages.
///
/// # Errors
/// If there is only one of them.
fn pair_of(
    source: &Source,
    wanted: &str,
    languages: &[String; 2],
) -> std::result::Result<Option<Files>, DataError> {
    let file = |language: &String| {
        let mut files = files(source);
        let found = files.find(|path| stem(path) == wanted && ending(path) == *language);
        found.map(Path::to_owned)
    };
    match languages.each_ref().map(file) {
        [Some(from), Some(to)] => Ok(Some([from, to])),
        [None, None] => Ok(None),
        [Some(one), None] => Err(without_partner(&one, wanted, &languages[1])),
        [None, Some(one)] => Err(without_partner(&one, wanted, &languages[0])),
    }
}

fn without_partner(file: &Path, stem: &str, language: &str) -> DataError {
    let problem = format!("has no translation beside it: add {stem}.{language}, or remove it");
    DataError::unusable(file, problem)
}

/// The files of training, validation and test part.
fn part_files(
    source: &Source,
    languages: &[String; 2],
    notes: &mut Vec<String>,
) -> std::result::Result<[Option<Files>; 3], DataError> {
    let mut found = [None, None, None];
    for (names, found) in PARTS.iter().zip(&mut found) {
        for name in *names {
            if found.is_none() {
                *found = pair_of(source, name, languages)?;
            }
        }
    }
    if found[2].is_none() {
        let tests = files(source).filter(|path| languages.contains(&ending(path)));
        let stems: BTreeSet<String> = tests
            .map(stem)
            .filter(|stem| stem.starts_with("test"))
            .collect();
        let stems: Vec<String> = stems.into_iter().collect();
        if let [first, others @ ..] = &stems[..] {
            found[2] = pair_of(source, first, languages)?;
            if !others.is_empty() {
                notes.push(format!(
                    "the test part is {first}; {} are not read",
                    others.join(", ")
                ));
            }
        }
    }
    Ok(found)
}

/// The pairs of a part.
struct Pairs {
    /// The line of each, with its text and translation.
    lines: Vec<(u32, String, String)>,
}

impl Pairs {
    /// Reads the two `files`. Pairs of which one side is empty are left out, with a note.
    fn read(
        files: &Files,
        notes: &mut Vec<String>,
        bytes: &mut u64,
    ) -> std::result::Result<Pairs, DataError> {
        let [from, to] = [read_text(&files[0])?, read_text(&files[1])?];
        *bytes += 2 * (from.len() + to.len()) as u64;
        check_memory(&files[0], *bytes)?;
        let counts = [&from, &to].map(|text| text.lines().count());
        if counts[0] != counts[1] {
            let problem = format!(
                "has {} lines, but {} beside it has {}: each line must be the translation of the same line there",
                counts[1],
                named(&files[0]),
                counts[0]
            );
            return Err(DataError::unusable(&files[1], problem));
        }
        let lines = from.lines().zip(to.lines()).zip(1..);
        let lines = lines.filter(|((from, to), _)| {
            let empty = from.trim().is_empty() || to.trim().is_empty();
            !empty
        });
        let lines: Vec<_> = lines
            .map(|((from, to), line)| (line, from.to_string(), to.to_string()))
            .collect();
        let empty = counts[0] - lines.len();
        if empty > 0 {
            notes.push(format!(
                "{empty} pairs of {} and {} are left out, because a side is empty",
                named(&files[0]),
                named(&files[1])
            ));
        }
        match lines.is_empty() {
            true => Err(DataError::unusable(
                &files[0],
                "has no lines with a translation",
            )),
            false => Ok(Pairs { lines }),
        }
    }
}

/// The name of a file without its folder.
fn named(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Loads the pairs. The tokenizer is trained on both sides of the training part, unless there is one in `cx.fitted`.
fn load(cx: &mut LoadContext<'_>) -> std::result::Result<Dataset<Samples>, DataError> {
    let (source, settings) = (cx.source, cx.settings);
    let path = source.path();
    let mut notes = Vec::new();
    let both = languages(source, settings, cx.fitted, &mut notes)?;
    let [train, mut validation, mut test] = part_files(source, &both, &mut notes)?;
    let train = match train {
        // All of other data is evaluated: any part will do.
        None if settings.unsplit => test.take().or_else(|| validation.take()),
        train => train,
    };
    let train = train.ok_or_else(|| {
        let problem = format!("has no files train.{} and train.{}", both[0], both[1]);
        DataError::unusable(path, problem)
    })?;
    if settings.context() < 2 {
        let problem = "needs a data.context of at least 2: a token and the end of the text";
        return Err(DataError::unusable(path, problem));
    }
    cx.fitted.languages = both.into();
    let mut bytes = 0;
    let mut read = |files: &Files| Pairs::read(files, &mut notes, &mut bytes);
    let own = read(&train)?;
    let others = match settings.folds {
        None => [validation, test],
        Some(_) => [None, None],
    };
    let [validation, test] = others.map(|files| files.as_ref().map(&mut read).transpose());
    let (validation, test) = (validation?, test?);
    let drawn = Drawn::of(settings, validation.is_some(), test.is_some());
    let of_each = drawn.parts(&vec![0; own.lines.len()], settings, cx.seed)?;
    let seen = own.lines.iter().zip(&of_each);
    let seen = seen.filter(|&(_, &part)| part == Part::Train);
    let seen = seen.flat_map(|((_, from, to), _)| [from.trim(), to.trim()]);
    let tokenizer = cx.fitted.tokenizer_of(settings, TokenKind::BytePairs, seen);
    let all = [Some(&own), validation.as_ref(), test.as_ref()];
    let all: usize = all.into_iter().flatten().map(|part| part.lines.len()).sum();
    texts::check_tokens(2 * all + all / settings.context() + 1, settings, path)?;
    let mut cut = 0;
    let set = |part: &Pairs, keep: &dyn Fn(usize) -> bool| {
        let mut rows = Rows::new(tokenizer, settings.context());
        let (mut lines, mut references) = (Vec::new(), Vec::new());
        for (index, (line, from, to)) in part.lines.iter().enumerate() {
            if keep(index) {
                rows.add_pair(from, to);
                lines.push(*line);
                references.push(to.clone());
            }
        }
        cut += rows.cut;
        let names = SampleNames::Lines(lines);
        rows.samples(true).named(names).with_references(references)
    };
    let others = [validation.as_ref(), test.as_ref()];
    let found = drawn.divide(&own, &of_each, others, set);
    let mut dataset = Dataset::of_parts(path, found, Vec::new());
    dataset.notes.extend(notes);
    dataset.notes.extend(texts::note_on_cut(cut, settings));
    Ok(dataset)
}

/// Rows of tokens under construction. Those of a sample are its text and its end, padded to the context, then the beginning, the
/// translation and its end, padded to one more.
struct Rows<'t> {
    encoder: Encoder<'t>,
    /// Size of the vocabulary of the tokenizer.
    known: usize,
    context: usize,
    tokens: Vec<u32>,
    count: usize,
    /// Texts that were cut off.
    cut: usize,
}

impl<'t> Rows<'t> {
    fn new(tokenizer: &'t Tokenizer, context: usize) -> Rows<'t> {
        Rows {
            encoder: tokenizer.encoder(),
            known: tokenizer.vocabulary(),
            context,
            tokens: Vec::new(),
            count: 0,
            cut: 0,
        }
    }

    fn add_source(&mut self, text: &str) {
        let (first, end) = (self.tokens.len(), self.known as u32 + 1);
        self.encoder.encode(text.trim(), &mut self.tokens);
        self.cut += usize::from(self.tokens.len() - first >= self.context);
        self.tokens.truncate(first + self.context - 1);
        self.tokens.push(end);
        self.tokens.resize(first + self.context, PADDING);
        self.count += 1;
    }

    fn add_pair(&mut self, text: &str, translation: &str) {
        self.add_source(text);
        let (first, begin) = (self.tokens.len(), self.known as u32);
        self.tokens.push(begin);
        self.encoder.encode(translation.trim(), &mut self.tokens);
        self.cut += usize::from(self.tokens.len() - first > self.context);
        self.tokens.push(begin + 1);
        self.tokens.resize(first + self.context + 1, PADDING);
    }

    /// The samples; `pairs` have translations.
    fn samples(self, pairs: bool) -> Samples {
        let context = self.context;
        let span = if pairs { 2 * context + 1 } else { context };
        let starts = Starts {
            first: (0..self.count).map(|index| (index * span) as u32).collect(),
            anywhere: false,
            span,
            rows: self.tokens.len(),
        };
        let rows = Arc::new(WindowRows::Tokens {
            tokens: self.tokens,
            vocabulary: self.known + MARKS,
        });
        let window = |name, offset| Field {
            name,
            values: FieldValues::Windows {
                rows: rows.clone(),
                offset,
                length: context,
            },
        };
        let mut fields = vec![window(field::TOKENS, 0)];
        if pairs {
            fields.push(window(field::TARGET_TOKENS, context));
            fields.push(window(field::NEXT, context + 1));
        }
        Samples::new(self.count, fields, Some(starts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    fn read(dir: &tempfile::TempDir, settings: DataSettings) -> Result<Dataset<Samples>> {
        let settings = DataSettings {
            source: dir.path().display().to_string(),
            tokens: Some(TokenKind::Words),
            context: Some(4),
            ..settings
        };
        crate::data::load(&settings, &mut Fitted::default(), 1)
    }

    #[test]
    fn pairs_are_a_text_with_its_end_and_a_translation_between_two_marks() {
        let dir = folder(&[
            ("train.en", "one two\n\none one two one two\n"),
            ("train.de", "eins zwei\nleer\nzwei eins eins eins\n"),
            ("test_2016.en", "two\n"),
            ("test_2016.de", "zwei\n"),
        ]);
        let settings = DataSettings {
            source_language: Some("en".to_string()),
            ..DataSettings::default()
        };
        let set = read(&dir, settings).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (2, 1));
        // Of padding, unknown, eins, one, two, zwei, and the two marks: words are sorted by how often they occur.
        let WindowRows::Tokens { tokens, vocabulary } = set.train.rows_of(field::TOKENS) else {
            panic!("tokens");
        };
        assert_eq!(*vocabulary, 8);
        let (begin, end) = (6, 7);
        let own = |name: &str, index| set.train.indices(name, index).unwrap().to_vec();
        assert_eq!(tokens.len(), 2 * 9);
        assert_eq!(own(field::TOKENS, 0)[2..], [end, PADDING]);
        assert_eq!(own(field::TARGET_TOKENS, 0)[0], begin);
        assert_eq!(own(field::TARGET_TOKENS, 0)[1..3], own(field::NEXT, 0)[..2]);
        assert_eq!(own(field::NEXT, 0)[2..], [end, PADDING]);
        // Too long: the end of a text stays, that of a translation is cut off.
        assert_eq!(own(field::TOKENS, 1)[3], end);
        assert!(!own(field::NEXT, 1).contains(&end));
        assert_eq!(set.train.name(1).to_string(), "line 3");
        assert_eq!(set.test.reference(0), Some("zwei"));
        let notes = set.notes.join("\n");
        assert!(
            notes.contains("1 pairs of train.en and train.de are left out"),
            "{notes}"
        );
        assert!(
            notes.contains("1 texts are longer") || notes.contains("2 texts are longer"),
            "{notes}"
        );
    }

    #[test]
    fn files_that_do_not_belong_together_are_named() {
        let message = |files: &[(&str, &str)]| {
            let settings = DataSettings::default();
            let dir = folder(files);
            let named = DataSettings {
                format: crate::data::FormatName::named("parallel"),
                ..settings
            };
            read(&dir, named).unwrap_err().to_string()
        };
        let uneven = message(&[("train.de", "a\nb\n"), ("train.en", "a\n")]);
        assert!(
            uneven.contains("train.en") && uneven.contains("has 1 lines"),
            "{uneven}"
        );
        let alone = message(&[
            ("train.de", "a\nb\n"),
            ("train.en", "a\nb\n"),
            ("val.de", "a\n"),
        ]);
        assert!(
            alone.contains("val.de") && alone.contains("add val.en"),
            "{alone}"
        );
        let three = message(&[
            ("train.de", "a\n"),
            ("train.en", "a\n"),
            ("train.fr", "a\n"),
        ]);
        assert!(three.contains("3 languages (de, en, fr)"), "{three}");
        let empty = message(&[("train.de", "\n"), ("train.en", "a\n")]);
        assert!(empty.contains("no lines with a translation"), "{empty}");
    }
}
