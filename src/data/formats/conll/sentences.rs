//! The sentences of a file of words in columns.

use crate::data::texts::read_text;
use crate::data::{DataError, DataSettings, Fitted};
use std::collections::HashMap;
use std::path::Path;

/// What begins a document.
const DOCUMENT: &str = "-DOCSTART-";
/// Lines by which a file is judged.
const LOOKED_AT: usize = 500;
/// A space within a word, which may hold one where tabs separate columns.
const INNER_SPACE: &str = "\u{a0}";

/// Which columns hold words and tags, counted from 1; `None` for the last one.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    text: usize,
    target: Option<usize>,
}

impl Columns {
    /// Those of the settings, or those that the run recorded.
    pub fn of(settings: &DataSettings, fitted: &Fitted, path: &Path) -> Result<Columns, DataError> {
        let text = settings.text.as_ref().or(fitted.text.as_ref());
        let target = settings.target.as_ref().or(fitted.target.as_ref());
        Ok(Columns {
            text: Columns::number(text, "data.text", path)?.unwrap_or(1),
            target: Columns::number(target, "data.target", path)?,
        })
    }

    /// The number of a column that the setting `key` names.
    pub fn number(
        name: Option<&String>,
        key: &str,
        path: &Path,
    ) -> Result<Option<usize>, DataError> {
        let number = name.map(|name| match name.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(DataError::unusable(
                path,
                format!("has columns without names, and {key} is {name}: give the number of a column, counted from 1"),
            )),
        });
        number.transpose()
    }
}

/// A sentence.
pub(super) struct Sentence {
    /// Its words, with a space between two.
    text: String,
    /// The tag of each word, an index into [`Tagged::tags`].
    pub tags: Vec<u32>,
}

impl Sentence {
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.text.split(' ')
    }
}

/// The sentences of a file.
pub(super) struct Tagged {
    pub sentences: Vec<Sentence>,
    /// The tags that occur, and the line of the first word with each.
    pub tags: Vec<String>,
    lines: Vec<usize>,
    /// Words with each tag.
    counts: Vec<usize>,
    /// The columns of words and tags, counted from 1.
    pub text: usize,
    pub target: usize,
}

impl Tagged {
    /// Reads a file.
    ///
    /// # Errors
    /// Names the line that lacks a column, or has another number of them than the first one.
    pub fn read(path: &Path, columns: Columns) -> Result<Tagged, DataError> {
        let text = read_text(path)?;
        let wrong = |problem: String| Err(DataError::unusable(path, problem));
        let mut tagged = Tagged {
            sentences: Vec::new(),
            tags: Vec::new(),
            lines: Vec::new(),
            counts: Vec::new(),
            text: columns.text,
            target: 0,
        };
        let mut places: HashMap<&str, u32> = HashMap::new();
        let mut sentence = Sentence {
            text: String::new(),
            tags: Vec::new(),
        };
        // Columns of the first line with a word, and that line.
        let mut first = None;
        for line in lines(&text) {
            let (cells, n) = match line {
                Line::Blank => {
                    tagged.end(&mut sentence);
                    continue;
                }
                Line::Word(cells, n) => (cells, n),
            };
            let &mut (width, line) = first.get_or_insert((cells.len(), n));
            if cells.len() != width {
                return wrong(format!(
                    "has {} columns at line {n}, but {width} at line {line}: write a word and its tag in each line, and a blank line \
                     after each sentence",
                    cells.len()
                ));
            }
            let target = columns.target.unwrap_or(width);
            if columns.text.max(target) > width || columns.text == target {
                return wrong(format!(
                    "has {width} {} at line {n}, but words are read from column {} and tags from column {target}: set data.text and \
                     data.target to their numbers",
                    if width == 1 { "column" } else { "columns" },
                    columns.text
                ));
            }
            tagged.target = target;
            let (word, tag) = (cells[columns.text - 1], cells[target - 1]);
            if word.is_empty() || tag.is_empty() {
                return wrong(format!(
                    "has no {} at line {n}: fill it in, or remove that line",
                    if word.is_empty() { "word" } else { "tag" }
                ));
            }
            let place = *places.entry(tag).or_insert_with(|| {
                tagged.tags.push(tag.to_string());
                tagged.lines.push(n);
                tagged.counts.push(0);
                tagged.tags.len() as u32 - 1
            });
            tagged.counts[place as usize] += 1;
            if !sentence.tags.is_empty() {
                sentence.text.push(' ');
            }
            sentence.text.push_str(&word.replace(' ', INNER_SPACE));
            sentence.tags.push(place);
        }
        tagged.end(&mut sentence);
        match tagged.sentences.is_empty() {
            true => wrong(
                "holds no words: write one in each line, with its tag in the last column"
                    .to_string(),
            ),
            false => Ok(tagged),
        }
    }

    fn end(&mut self, sentence: &mut Sentence) {
        if !sentence.tags.is_empty() {
            self.sentences.push(Sentence {
                text: std::mem::take(&mut sentence.text),
                tags: std::mem::take(&mut sentence.tags),
            });
        }
    }

    /// Whether the tags mark entities: some do, and they and `O` are most of the tags.
    pub fn are_entities(&self) -> bool {
        let entities = |tag: &&String| is_entity(tag) || *tag == "O";
        let fits = self
            .tags
            .iter()
            .zip(&self.counts)
            .filter(|(tag, _)| entities(tag));
        let fits: usize = fits.map(|(_, count)| count).sum();
        self.tags.iter().any(|tag| is_entity(tag)) && 2 * fits > self.counts.iter().sum()
    }

    /// Checks that all tags are tags of entities, if the data have such.
    ///
    /// # Errors
    /// Names the first that is none.
    pub fn check_tags(&self, are_entities: bool, path: &Path) -> Result<(), DataError> {
        let is_bad = |tag: &String| are_entities && !is_entity(tag) && tag != "O";
        match self
            .tags
            .iter()
            .zip(&self.lines)
            .find(|(tag, _)| is_bad(tag))
        {
            None => Ok(()),
            Some((tag, line)) => Err(DataError::unusable(
                path,
                format!(
                    "has \"{tag}\" at line {line} in column {}, which is no tag of an entity (O, or B-, I-, E- or S- and its type): fix \
                     that line, or name the column of the tags with data.target",
                    self.target
                ),
            )),
        }
    }

    /// For each of the tags, its index among `classes`.
    ///
    /// # Errors
    /// Names the line of a tag that is not among them.
    pub fn class_indices(&self, classes: &[String], path: &Path) -> Result<Vec<u32>, DataError> {
        let known: HashMap<&String, u32> = classes.iter().zip(0..).collect();
        let index = |(tag, line): (&String, &usize)| {
            known.get(tag).copied().ok_or_else(|| {
                DataError::unusable(
                    path,
                    format!(
                        "has the tag {tag} at line {line} in column {}, which did not occur in training: the tags are {}",
                        self.target,
                        classes.join(", ")
                    ),
                )
            })
        };
        self.tags.iter().zip(&self.lines).map(index).collect()
    }

    /// Samples of at most `context` words that the sentences give.
    pub fn pieces(&self, context: usize) -> usize {
        let pieces = self
            .sentences
            .iter()
            .map(|s| s.tags.len().div_ceil(context));
        pieces.sum()
    }
}

/// Whether a tag marks a word of an entity: `B-PER`, `I-PER`, `E-PER` or `S-PER`.
pub(super) fn is_entity(tag: &str) -> bool {
    let marks = ["B-", "I-", "E-", "S-"];
    tag.len() > 2 && marks.iter().any(|mark| tag.starts_with(mark))
}

/// A line that counts.
enum Line<'t> {
    /// The end of a sentence.
    Blank,
    /// The columns of a word, and the number of the line.
    Word(Vec<&'t str>, usize),
}

/// The lines of a text, without comments and beginnings of documents.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut width = None;
    let mut within = false;
    text.lines().zip(1..).filter_map(move |(line, n)| {
        if line.trim().is_empty() || line.starts_with(DOCUMENT) {
            within = false;
            return Some(Line::Blank);
        }
        let cells: Vec<&str> = match line.contains('\t') {
            true => line.split('\t').map(str::trim).collect(),
            false => line.split_whitespace().collect(),
        };
        // A comment stands before a sentence; a word may begin with the same sign.
        let last = cells.last().copied().unwrap_or_default();
        let may_be_word = width.is_none_or(|width| width == cells.len())
            && (within || last == "O" || is_entity(last));
        if line.starts_with('#') && !may_be_word {
            return None;
        }
        width.get_or_insert(cells.len());
        within = true;
        Some(Line::Word(cells, n))
    })
}

/// What the first lines of a file look like.
pub(super) struct Look {
    /// Whether tags are those of entities.
    pub are_entities: bool,
}

/// Looks at the beginning of a file; `None` if it is no file of tagged words, with the same number of columns in nine of ten lines and
/// blank lines between sentences. The other lines are mistakes, which are found when the file is read.
pub(super) fn look(head: &str) -> Option<Look> {
    // The last line may be cut.
    let whole = head.rfind('\n').map_or("", |end| &head[..end]);
    let (mut rows, mut ends, mut gaps) = (Vec::new(), false, 0);
    for line in lines(whole).take(LOOKED_AT) {
        match line {
            Line::Blank => ends = !rows.is_empty(),
            Line::Word(cells, _) => {
                gaps += usize::from(ends);
                ends = false;
                rows.push(cells);
            }
        }
    }
    let mut widths: HashMap<usize, usize> = HashMap::new();
    for cells in &rows {
        *widths.entry(cells.len()).or_default() += 1;
    }
    let (&width, &count) = widths.iter().max_by_key(|&(width, count)| (count, width))?;
    if width < 2 || gaps == 0 || 10 * count < 9 * rows.len() {
        return None;
    }
    let tags = || {
        let regular = rows.iter().filter(|cells| cells.len() == width);
        regular.filter_map(|cells| cells.last().copied())
    };
    let fits = tags().filter(|tag| *tag == "O" || is_entity(tag)).count();
    Some(Look {
        are_entities: tags().any(is_entity) && 2 * fits > count,
    })
}

/// The words in a column of a text, a sentence each, with the line of the first.
///
/// # Errors
/// Names a line without that column.
pub(super) fn words_alone(
    text: &str,
    column: usize,
    path: &Path,
) -> Result<Vec<(usize, String)>, DataError> {
    let mut sentences: Vec<(usize, String)> = Vec::new();
    let mut within = false;
    for line in lines(text) {
        let Line::Word(cells, n) = line else {
            within = false;
            continue;
        };
        let word = cells.get(column - 1).filter(|word| !word.is_empty());
        let word = word.ok_or_else(|| {
            DataError::unusable(
                path,
                format!("has no word in column {column} at line {n}: fill it in"),
            )
        })?;
        let word = word.replace(' ', INNER_SPACE);
        match sentences.last_mut().filter(|_| within) {
            Some((_, sentence)) => *sentence += &format!(" {word}"),
            None => sentences.push((n, word)),
        }
        within = true;
    }
    Ok(sentences)
}

/// The words of a text: what stands between spaces, with punctuation at its ends by itself, unless it is `known` as a whole.
pub(super) fn words_of(text: &str, known: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut words = Vec::new();
    let is_space = |c: char| c.is_whitespace() && c != '\u{a0}';
    for whole in text.split(is_space).filter(|whole| !whole.is_empty()) {
        let mut rest = whole;
        while let Some(first) = rest.chars().next().filter(|c| is_mark(*c) && !known(rest)) {
            words.push(first.to_string());
            rest = &rest[first.len_utf8()..];
        }
        let mut after = Vec::new();
        while let Some(last) = rest
            .chars()
            .next_back()
            .filter(|c| is_mark(*c) && !known(rest))
        {
            after.push(last.to_string());
            rest = &rest[..rest.len() - last.len_utf8()];
        }
        if !rest.is_empty() {
            words.push(rest.to_string());
        }
        words.extend(after.into_iter().rev());
    }
    words
}

/// Whether a character at an end of a word is a word of its own.
fn is_mark(c: char) -> bool {
    !c.is_alphanumeric() && c != '\u{a0}'
}
