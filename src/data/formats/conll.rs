//! Tagged words in columns, as the shared tasks of CoNLL have them (Tjong Kim Sang and De Meulder 2003): a word in each line, with
//! its tag in the last column, and a blank line after each sentence.
//!
//! A sample is a sentence with the fields `tokens` and `tags`; both are padded. Longer sentences are divided.

mod sentences;

use self::sentences::{Columns, Sentence, Tagged};
#[cfg(test)]
use super::tests::Sample;
use super::texts::{GivenTexts, check_tokens};
use super::{
    Detection, Format, InputContext, LoadContext, PredictInput, PredictInputs, PredictItem,
};
use crate::data::packed::{has_ending, stem};
use crate::data::split::Drawn;
use crate::data::texts::{normalised, read_text};
use crate::data::{
    DataError, DataSettings, Dataset, Encoder, Entry, Field, FieldValues, PADDING, Part, Parts,
    SampleNames, Samples, Source, Starts, TokenKind, Tokenizer, WindowRows, field,
};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names of the files of the parts, or what they end in: `train.txt`, `eng.testa`, `en_ewt-ud-dev.conllu`.
const PARTS: [&[&str]; 3] = [
    &["train", "training"],
    &["valid", "val", "validation", "dev", "testa"],
    &["test", "testing", "testb"],
];
/// Endings of files that only this format has.
const OWN_ENDINGS: [&str; 5] = ["conll", "conllu", "iob", "bio", "bioes"];
/// Endings of files that may have it.
const OTHER_ENDINGS: [&str; 2] = ["txt", "tsv"];
/// Most different tags.
const MOST_TAGS: usize = 1000;

/// See the module.
pub struct Conll;

impl Format for Conll {
    fn name(&self) -> &'static str {
        "conll"
    }

    fn about(&self) -> &'static str {
        "tagged words in columns"
    }

    fn looks_for(&self) -> &'static str {
        "a .conll, .iob or .bio file, or a .txt or .tsv file with a word and its tag in each line and blank lines between sentences, \
         or one for each part"
    }

    fn detect(&self, source: &Source) -> Option<Detection> {
        let [train, ..] = parts_of(source);
        let train = train?;
        let head = source.head(&train);
        let tags = sentences::look(&String::from_utf8_lossy(&head));
        if tags.is_some_and(|tags| tags.are_entities) {
            return Detection::new(92, "words with tags of entities in columns");
        }
        match OWN_ENDINGS.iter().find(|ending| has_ending(&train, ending)) {
            Some(ending) => Detection::new(85, format!("the ending .{ending}")),
            None => None,
        }
    }

    fn load(&self, cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>> {
        Ok(load(cx)?)
    }

    /// Texts, lines of text files or of standard input, or the words of files in columns.
    fn read_inputs(&self, inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
        let tokenizer = cx.fitted.tokenizer.as_ref();
        let tokenizer = tokenizer.ok_or_else(|| {
            DataError::unusable("the run", "has no tokenizer.json: train it again")
        })?;
        let mut given = GivenTexts::default();
        for (input, n) in inputs.iter().zip(1..) {
            match input {
                PredictInput::Text(text) => {
                    given.add(PredictItem::text(text), format!("text {n}"), text.clone());
                }
                PredictInput::StandardInput => given.add_lines(std::io::stdin().lock())?,
                PredictInput::Path(path) => {
                    if let Err(e) = add_file(&mut given, path, cx.settings) {
                        given.items.push(PredictItem::file(path.display()).but(e));
                    }
                }
            }
        }
        if given.items.is_empty() {
            return Err(Error::Config("there are no words to tag".to_string()));
        }
        Ok(inputs_of(given, tokenizer, cx.settings))
    }

    #[cfg(test)]
    fn sample(&self, dir: &Path) -> Sample {
        let row = |n: usize| {
            let name = ["Rome", "Oslo"][n % 2];
            format!("I X O\nsaw X O\n{name} X B-LOC\nCity X I-LOC\n. X O\n\n")
        };
        let text: String = (0..10).map(row).collect();
        let settings = DataSettings {
            context: Some(6),
            ..DataSettings::default()
        };
        Sample {
            settings,
            ..Sample::in_folder(dir)
        }
        .with("train.txt", format!("-DOCSTART- -X- O\n\n{text}"))
        .with("test.txt", &text)
        // After the first column of a line.
        .cut("train.txt", "-DOCSTART- -X- O\n\nI X O\nsaw".len())
    }
}

/// The part, an index into [`PARTS`], that the name of a file ends in.
fn part_of(path: &Path) -> Option<usize> {
    let stem = stem(path);
    let last = stem.rsplit(|c: char| !c.is_alphanumeric()).next();
    PARTS.iter().position(|names| {
        let mut names = names.iter();
        names.any(|name| has_ending(path, name) || last == Some(*name))
    })
}

/// The files of the training, validation and test part of `source`: a file, the only one of a folder, or one for each part.
fn parts_of(source: &Source) -> [Option<PathBuf>; 3] {
    let may_be = |path: &Path| {
        let endings = OWN_ENDINGS.iter().chain(&OTHER_ENDINGS);
        let mut endings = endings.chain(PARTS.into_iter().flatten());
        endings.any(|ending| has_ending(path, ending))
    };
    if source.is_file() {
        let path = may_be(source.path()).then(|| source.path().to_owned());
        return [path, None, None];
    }
    let found: Vec<&Entry> = source
        .entries()
        .iter()
        .filter(|entry| !entry.is_folder && may_be(&entry.path))
        .collect();
    let part = |wanted: usize| {
        let is = |entry: &&&Entry| part_of(&entry.path) == Some(wanted);
        found.iter().find(is).map(|entry| entry.path.clone())
    };
    match ([part(0), part(1), part(2)], &found[..]) {
        (parts @ [Some(_), ..], _) => parts,
        (_, [only]) => [Some(only.path.clone()), None, None],
        _ => [None, None, None],
    }
}

/// Loads the sentences. The tokenizer is trained on the words of the training part, unless `cx.fitted` has one.
fn load(cx: &mut LoadContext<'_>) -> Result<Dataset<Samples>, DataError> {
    let (source, settings) = (cx.source, cx.settings);
    let path = source.path();
    if settings.tokens.is_some_and(|kind| kind != TokenKind::Words) {
        let problem = "holds tagged words, each of which is a token: leave out data.tokens";
        return Err(DataError::unusable(path, problem));
    }
    let [train, validation, test] = parts_of(source);
    let train = train.ok_or_else(|| {
        let problem = "holds no tagged words: give a .conll, .txt or .tsv file with a word and its tag in each line, or a folder with \
                       train.txt and test.txt";
        DataError::unusable(path, problem)
    })?;
    let columns = Columns::of(settings, cx.fitted, path)?;
    let read = |file: &Path| Tagged::read(file, columns);
    let own = read(&train)?;
    let others = [validation.as_deref(), test.as_deref()]
        .map(|file| file.map(|file| Ok((read(file)?, file))).transpose());
    let [validation, test] = others;
    let (validation, test) = (validation?, test?);
    let parts = || {
        let others = [&validation, &test].into_iter().flatten();
        let others = others.map(|(tagged, file)| (tagged, *file));
        std::iter::once((&own, &*train)).chain(others)
    };
    let classes = match cx.fitted.classes.is_empty() {
        false => cx.fitted.classes.clone(),
        true => {
            for (tagged, file) in parts() {
                tagged.check_tags(own.are_entities(), file)?;
            }
            let all: BTreeSet<&String> = parts().flat_map(|(tagged, _)| &tagged.tags).collect();
            sorted_tags(all)
        }
    };
    if classes.len() > MOST_TAGS {
        let problem = format!(
            "holds {} different tags in column {}: name the column of the tags with data.target",
            classes.len(),
            own.target
        );
        return Err(DataError::unusable(&*train, problem));
    }
    (cx.fitted.text, cx.fitted.target) = (Some(own.text.to_string()), Some(own.target.to_string()));
    let drawn = Drawn::of(settings, validation.is_some(), test.is_some());
    let of_each = drawn.parts(&vec![0; own.sentences.len()], settings, cx.seed)?;
    let seen = own.sentences.iter().zip(&of_each);
    let seen = seen.filter(|&(_, &part)| part == Part::Train);
    let words = seen.flat_map(|(sentence, _)| sentence.words());
    let tokenizer = cx
        .fitted
        .tokenizer
        .get_or_insert_with(|| Tokenizer::of_words(settings.vocabulary, words));
    let all = parts().map(|(tagged, _)| tagged.pieces(settings.context()));
    check_tokens(2 * all.sum::<usize>(), settings, path)?;
    let encoder = tokenizer.encoder();
    let vocabulary = tokenizer.vocabulary();
    let mut divided = 0;
    let mut set = |tagged: &Tagged, file: &Path, keep: &dyn Fn(usize) -> bool| {
        let ids = tagged.class_indices(&classes, file)?;
        let mut rows = TokenRows::new(settings.context());
        let kept = tagged.sentences.iter().enumerate();
        for (_, sentence) in kept.filter(|(index, _)| keep(*index)) {
            let tags = sentence.tags.iter().map(|&tag| ids[tag as usize]);
            divided += usize::from(rows.add_pieces(sentence, tags, &encoder) > 1);
        }
        Ok::<Samples, DataError>(rows.samples(vocabulary, Some(classes.len())))
    };
    let mut part = |wanted: Part| set(&own, &train, &|index| of_each[index] == wanted);
    let mut read = Parts {
        train: part(Part::Train)?,
        validation: drawn
            .validation
            .then(|| part(Part::Validation))
            .transpose()?,
        test: drawn.test.then(|| part(Part::Test)).transpose()?,
    };
    if !drawn.test {
        for (place, other) in [(&mut read.validation, &validation), (&mut read.test, &test)] {
            if let Some((tagged, file)) = other {
                *place = Some(set(tagged, file, &|_| true)?);
            }
        }
    }
    let mut dataset = Dataset::of_parts(path, read, classes);
    dataset.found = vec![format!(
        "words in column {}, tags in column {}: {}",
        own.text,
        own.target,
        match own.are_entities() {
            true => "entities",
            false => "one for each word",
        }
    )];
    if divided > 0 {
        dataset.notes.push(format!(
            "{divided} sentences are longer than the context of {} words and are divided there; an entity across such a place \
             counts as two",
            settings.context()
        ));
    }
    Ok(dataset)
}

/// Tags in order, `O` first.
fn sorted_tags(all: BTreeSet<&String>) -> Vec<String> {
    let (outside, others): (Vec<&String>, Vec<&String>) =
        all.into_iter().partition(|tag| *tag == "O");
    outside.into_iter().chain(others).cloned().collect()
}

/// The sentences of a file for predictions: words in columns, or a text in each line.
fn add_file(given: &mut GivenTexts, path: &Path, settings: &DataSettings) -> Result<(), DataError> {
    let text = read_text(path)?;
    let place = |line: usize| format!("line {line} of {}", path.display());
    let is_own = OWN_ENDINGS.iter().any(|ending| has_ending(path, ending));
    if is_own || sentences::look(&text).is_some_and(|tags| tags.are_entities) {
        let column = Columns::number(settings.text.as_ref(), "data.text", path)?.unwrap_or(1);
        for (line, sentence) in sentences::words_alone(&text, column, path)? {
            given.add(PredictItem::text(&sentence), place(line), sentence);
        }
        return Ok(());
    }
    for (line, n) in text.lines().zip(1..) {
        if !line.trim().is_empty() {
            given.add(PredictItem::text(line), place(n), line.to_string());
        }
    }
    Ok(())
}

/// The words of `given` texts as samples.
fn inputs_of(given: GivenTexts, tokenizer: &Tokenizer, settings: &DataSettings) -> PredictInputs {
    let GivenTexts {
        mut items,
        texts,
        mut notes,
    } = given;
    let (encoder, context) = (tokenizer.encoder(), settings.context());
    let mut rows = TokenRows::new(context);
    let readable = items.iter_mut().filter(|item| item.trouble.is_none());
    for (item, (place, text)) in readable.zip(&texts) {
        let words = sentences::words_of(&normalised(text), &|word| encoder.knows(word));
        if words.is_empty() {
            item.trouble = Some(format!("{place} is an empty text: add a word"));
            continue;
        }
        if words.len() > context {
            notes.push(format!(
                "{place} has {} words, but the model takes {context}: its end is cut off",
                words.len()
            ));
        }
        let words: Vec<&str> = words.iter().take(context).map(|word| &**word).collect();
        rows.add(&words, std::iter::empty(), &encoder);
    }
    PredictInputs {
        items,
        cells: None,
        set: rows.samples(tokenizer.vocabulary(), None),
        notes,
    }
}

/// Samples under construction: tokens and tags, padded to the context.
struct TokenRows {
    context: usize,
    tokens: Vec<u32>,
    tags: Vec<u32>,
    texts: Vec<String>,
}

impl TokenRows {
    fn new(context: usize) -> TokenRows {
        TokenRows {
            context,
            tokens: Vec::new(),
            tags: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Adds a sample of up to `context` words.
    fn add(&mut self, words: &[&str], tags: impl Iterator<Item = u32>, encoder: &Encoder<'_>) {
        self.tokens
            .extend(words.iter().map(|word| encoder.word(word)));
        self.tags.extend(tags);
        self.texts.push(words.join(" "));
        let end = self.texts.len() * self.context;
        self.tokens.resize(end, PADDING);
        self.tags.resize(end, 0);
    }

    /// Adds a sentence, in as many pieces as it needs. Returns their number.
    fn add_pieces(
        &mut self,
        sentence: &Sentence,
        tags: impl Iterator<Item = u32>,
        encoder: &Encoder<'_>,
    ) -> usize {
        let words: Vec<&str> = sentence.words().collect();
        let mut tags = tags;
        let pieces = words.chunks(self.context);
        let count = pieces.len();
        for piece in pieces {
            let own: Vec<u32> = tags.by_ref().take(piece.len()).collect();
            self.add(piece, own.into_iter(), encoder);
        }
        count
    }

    /// The samples; with tags if so many are known.
    fn samples(self, vocabulary: usize, classes: Option<usize>) -> Samples {
        let (count, length) = (self.texts.len(), self.context);
        let windows = |name, tokens, vocabulary| Field {
            name,
            values: FieldValues::Windows {
                rows: Arc::new(WindowRows::Tokens { tokens, vocabulary }),
                offset: 0,
                length,
            },
        };
        let mut fields = vec![windows(field::TOKENS, self.tokens, vocabulary)];
        fields.extend(classes.map(|classes| windows(field::TAGS, self.tags, classes)));
        let starts = Starts {
            first: (0..count).map(|index| (index * length) as u32).collect(),
            anywhere: false,
            span: length,
            rows: count * length,
        };
        let samples = Samples::new(count, fields, Some(starts));
        samples.named(SampleNames::Texts(self.texts))
    }
}

#[cfg(test)]
mod tests;
