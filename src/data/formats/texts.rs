//! Shared by formats of texts with classes: samples of tokens, and texts for predictions.

use super::{InputContext, PredictInput, PredictInputs, PredictItem, read_text_rows, row_name};
use crate::data::files::check_memory;
use crate::data::texts::{decoded, is_utf16, read_text};
use crate::data::{
    DataError, DataSettings, Fitted, PADDING, RowSet, Samples, Targets, Tokenizer, WindowRows,
};
use crate::error::{Error, Result};
use std::io::BufRead;
use std::path::Path;

/// The samples of texts, with their classes if they have some: the first `context` tokens, padded with [`PADDING`]. Texts that are
/// longer are added to `cut`.
pub(super) fn samples<'t>(
    texts: impl Iterator<Item = &'t str>,
    labels: Option<Vec<u32>>,
    tokenizer: &Tokenizer,
    settings: &DataSettings,
    cut: &mut usize,
) -> Samples {
    let (mut tokens, mut own, mut encoder) = (Vec::new(), Vec::new(), tokenizer.encoder());
    let mut count = 0;
    for text in texts {
        own.clear();
        encoder.encode(text, &mut own);
        *cut += usize::from(own.len() > settings.context());
        own.resize(settings.context(), PADDING);
        tokens.extend_from_slice(&own);
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
        targets: labels.map_or(Targets::None, Targets::Classes),
    })
}

/// A note on the texts that [`samples`] cut off, if there are some.
pub(super) fn note_on_cut(cut: usize, settings: &DataSettings) -> Option<String> {
    (cut > 0).then(|| {
        format!(
            "{cut} texts are longer than the context of {} tokens and are cut off",
            settings.context()
        )
    })
}

/// Checks that the tokens of `texts` texts fit the free memory, and can be numbered.
pub(super) fn check_tokens(
    texts: usize,
    settings: &DataSettings,
    path: &Path,
) -> Result<(), DataError> {
    let tokens = (texts as u64).saturating_mul(settings.context() as u64);
    check_memory(path, tokens.saturating_mul(4))?;
    if tokens > u64::from(u32::MAX) {
        let problem = format!(
            "gives {texts} samples of {} tokens, over {} in all: make data.context smaller, or use fewer texts",
            settings.context(),
            u32::MAX
        );
        return Err(DataError::unusable(path, problem));
    }
    Ok(())
}

/// Reads texts to classify: given ones, files with one text each, rows of tables, or lines of standard input.
///
/// # Errors
/// If there are none, or the run has no tokenizer.
pub(super) fn read_inputs(inputs: &[PredictInput], cx: &InputContext<'_>) -> Result<PredictInputs> {
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
    let GivenTexts {
        mut items,
        texts,
        mut notes,
    } = given;
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
    notes.extend(read.notes);
    Ok(PredictInputs {
        items,
        cells: None,
        set: read.set.into(),
        notes,
    })
}

/// Texts to predict.
#[derive(Default)]
pub(super) struct GivenTexts {
    pub items: Vec<PredictItem>,
    /// Name and text of each item without trouble.
    pub texts: Vec<(String, String)>,
    /// Notes on how tables were read.
    pub notes: Vec<String>,
}

impl GivenTexts {
    /// Adds the `text` at `place`.
    pub fn add(&mut self, item: PredictItem, place: String, text: String) {
        self.items.push(item);
        self.texts.push((place, text));
    }

    /// Adds the lines of standard input.
    pub fn add_lines(&mut self, mut input: impl BufRead) -> Result<()> {
        let unreadable = || Error::io("read", Path::new("standard input"));
        let head = input.fill_buf().map_err(unreadable())?;
        if is_utf16(head) {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).map_err(unreadable())?;
            let text = decoded(bytes).map_err(Error::Config)?;
            for (line, n) in text.lines().zip(1..) {
                let place = format!("line {n} of standard input");
                self.add(PredictItem::text(line), place, line.to_string());
            }
            return Ok(());
        }
        for (line, n) in input.split(b'\n').zip(1..) {
            let line = line.map_err(unreadable())?;
            let place = format!("line {n} of standard input");
            match String::from_utf8(line) {
                Ok(line) => {
                    let line = line.trim_end_matches('\r').trim_start_matches('\u{feff}');
                    self.add(PredictItem::text(line), place, line.to_string());
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
            Ok(Some((rows, notes))) => {
                self.notes.extend(notes);
                for (text, row) in rows.into_iter().zip(1..) {
                    let name = row_name(path, row);
                    self.add(PredictItem::file(&name), name, text);
                }
            }
            Ok(None) => match read_text(path) {
                Err(e) => self.items.push(file.but(e)),
                Ok(text) => self.add(file, path.display().to_string(), text),
            },
        }
    }
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
        encoder.encode_masked(text, &mut own);
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
    use super::*;

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
        fitted.tokenizer_of(
            &settings,
            crate::data::TokenKind::Characters,
            ["ab"].into_iter(),
        );
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
    fn lines_have_no_marks_and_may_be_utf_16() {
        let texts = |input: &[u8]| {
            let mut given = GivenTexts::default();
            given.add_lines(input).unwrap();
            let texts = given.texts.into_iter().map(|(_, text)| text);
            texts.collect::<Vec<String>>()
        };
        assert_eq!(texts("\u{feff}ab\r\ncd\n".as_bytes()), ["ab", "cd"]);
        let utf16: Vec<u8> = "\u{feff}ab\r\nä"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(texts(&utf16), ["ab", "ä"]);
    }
}
