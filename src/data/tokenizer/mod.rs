//! From text to tokens and back. Token 0 is reserved for padding in every tokenizer.

mod bpe;
mod decoder;
mod published;

pub use decoder::Decoder;
pub use published::Published;

use crate::data::DataError;
use crate::data::files::read_whole;
use crate::data::texts::normalised;
use bpe::{BytePairs, FIRST_BYTE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use unicode_normalization::char::is_combining_mark;

/// The padding token, for samples shorter than the context.
pub const PADDING: u32 = 0;
/// The unknown token, for anything that did not occur in training; byte pairs represent every byte.
const UNKNOWN: u32 = 1;
/// How the mask token is written in texts for predictions, and in decoded ones.
pub const MASK: &str = "[MASK]";
/// The file of a run's tokenizer, in its folder.
const FILE: &str = "tokenizer.json";
/// First ordinary token, after padding and unknown.
const FIRST: u32 = 2;

/// Kind of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Characters.
    #[default]
    Characters,
    /// Words in lower case, and punctuation.
    Words,
    /// Byte pairs that are frequent in the training text (Sennrich, Haddow and Birch 2016, on bytes as in GPT-2).
    BytePairs,
}

impl TokenKind {
    /// The value of `data.tokens`.
    pub(in crate::data) fn name(self) -> &'static str {
        match self {
            TokenKind::Characters => "characters",
            TokenKind::Words => "words",
            TokenKind::BytePairs => "byte_pairs",
        }
    }
}

/// A trained tokenizer. The last token of one with a [mask](Tokenizer::mask) is no text: masked language models put it in the place
/// of a token that is to be predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Tokenizer {
    /// One token per character.
    Characters {
        /// The characters of the training text, sorted.
        characters: Vec<char>,
        /// Whether the last token is the mask.
        #[serde(default, skip_serializing_if = "is_false")]
        mask: bool,
    },
    /// One token per word or punctuation mark.
    Words {
        /// The words of the training text, the most frequent first.
        words: Vec<String>,
        /// Whether the last token is the mask.
        #[serde(default, skip_serializing_if = "is_false")]
        mask: bool,
    },
    /// Byte pairs.
    BytePairs(BytePairs),
    /// Of others.
    Published(Published),
}

impl Tokenizer {
    /// Trains a tokenizer on `texts`, which are normalised as for [`Encoder::encode`]; words and byte pairs have at most `vocabulary` tokens in total.
    pub fn learn<'a>(
        kind: TokenKind,
        vocabulary: usize,
        texts: impl Iterator<Item = &'a str>,
    ) -> Tokenizer {
        match kind {
            TokenKind::Characters => {
                // Collecting into a set lists and sorts all characters of the texts first.
                let mut characters = BTreeSet::new();
                texts.for_each(|text| characters.extend(normalised(text).chars()));
                Tokenizer::Characters {
                    characters: characters.into_iter().collect(),
                    mask: false,
                }
            }
            TokenKind::Words => {
                let mut counts: HashMap<String, u64> = HashMap::new();
                for text in texts {
                    words(&normalised(text), |word| {
                        *counts.entry(word).or_default() += 1;
                    });
                }
                let mut words: Vec<(String, u64)> = counts.into_iter().collect();
                words.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
                words.truncate(vocabulary.saturating_sub(FIRST as usize));
                Tokenizer::Words {
                    words: words.into_iter().map(|(word, _)| word).collect(),
                    mask: false,
                }
            }
            TokenKind::BytePairs => Tokenizer::BytePairs(BytePairs::learn(vocabulary, texts)),
        }
    }

    /// Learns `words` as they are written, such as those of tagged sentences: one token each, at most `vocabulary` in total. Words that
    /// occur once are left out, so that a model also learns what is to be made of unknown words.
    pub(in crate::data) fn of_words<'a>(
        vocabulary: usize,
        words: impl Iterator<Item = &'a str>,
    ) -> Tokenizer {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        words.for_each(|word| *counts.entry(word).or_default() += 1);
        let mut words: Vec<(&str, u64)> = counts.into_iter().filter(|&(_, n)| n > 1).collect();
        words.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
        words.truncate(vocabulary.saturating_sub(FIRST as usize));
        Tokenizer::Words {
            words: words
                .into_iter()
                .map(|(word, _)| word.to_string())
                .collect(),
            mask: false,
        }
    }

    /// The same tokenizer with a mask, after all other tokens.
    #[must_use]
    pub fn with_mask(mut self) -> Tokenizer {
        match &mut self {
            Tokenizer::Characters { mask, .. } | Tokenizer::Words { mask, .. } => *mask = true,
            Tokenizer::BytePairs(pairs) => pairs.mask = true,
            // Its tokens are what its file says.
            Tokenizer::Published(_) => {}
        }
        self
    }

    /// The mask token, if there is one: the last of the vocabulary. A published tokenizer has none.
    pub fn mask(&self) -> Option<u32> {
        let has_mask = match self {
            Tokenizer::Characters { mask, .. } | Tokenizer::Words { mask, .. } => *mask,
            Tokenizer::BytePairs(pairs) => pairs.mask,
            Tokenizer::Published(_) => false,
        };
        has_mask.then(|| self.vocabulary() as u32 - 1)
    }

    /// Kind of its tokens, if it was learned by wgrad.
    pub fn kind(&self) -> Option<TokenKind> {
        match self {
            Tokenizer::Characters { .. } => Some(TokenKind::Characters),
            Tokenizer::Words { .. } => Some(TokenKind::Words),
            Tokenizer::BytePairs(_) => Some(TokenKind::BytePairs),
            Tokenizer::Published(_) => None,
        }
    }

    /// Whether token 0, which is padding, may be part of a text; samples of one length each have none.
    pub(in crate::data) fn writes_padding(&self) -> bool {
        match self {
            Tokenizer::Published(published) => !published.has_padding(),
            _ => false,
        }
    }

    /// Reads the tokenizer of the run in the folder `path`, or a file `tokenizer.json`, also one of Hugging Face's tokenizers.
    ///
    /// # Errors
    /// If it is neither.
    pub fn of_run(path: &Path) -> Result<Tokenizer, DataError> {
        let file = match path.is_dir() {
            true => path.join(FILE),
            false => path.to_owned(),
        };
        match file.exists() {
            true => Tokenizer::read(&file),
            false => Err(DataError::unusable(
                path,
                "has no tokenizer.json: name the folder of a run that was trained on texts in data.tokenizer",
            )),
        }
    }

    /// Reads the tokenizer file of a run, or one of Hugging Face's tokenizers.
    ///
    /// # Errors
    /// If it can't be read, or is not a tokenizer.
    pub fn read(path: &Path) -> Result<Tokenizer, DataError> {
        let text = read_whole(path)?;
        let damaged = |problem: String| {
            DataError::unusable(path, format!("is not a valid tokenizer ({problem})"))
        };
        let file: serde_json::Value =
            serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        if Published::is_one(&file) {
            return Ok(Tokenizer::Published(Published::new(file).map_err(damaged)?));
        }
        let tokenizer: Tokenizer =
            serde_json::from_value(file).map_err(|e| damaged(e.to_string()))?;
        if let Tokenizer::BytePairs(pairs) = &tokenizer {
            pairs.check().map_err(damaged)?;
        }
        Ok(tokenizer)
    }

    /// Size of the vocabulary, including padding and mask.
    pub fn vocabulary(&self) -> usize {
        match self {
            Tokenizer::Characters { characters, mask } => {
                FIRST as usize + characters.len() + usize::from(*mask)
            }
            Tokenizer::Words { words, mask } => FIRST as usize + words.len() + usize::from(*mask),
            Tokenizer::BytePairs(pairs) => pairs.vocabulary(),
            Tokenizer::Published(published) => published.vocabulary(),
        }
    }

    /// The first ordinary token, after padding and unknown. For words it is the most frequent one. A published tokenizer may have its
    /// special tokens anywhere.
    pub fn first_token(&self) -> u32 {
        match self {
            Tokenizer::Characters { .. } | Tokenizer::Words { .. } => FIRST,
            Tokenizer::BytePairs(_) => FIRST_BYTE,
            Tokenizer::Published(_) => 0,
        }
    }

    /// The first character or word of `text` that is not in the vocabulary; byte pairs represent all text.
    pub fn unknown(&self, text: &str) -> Option<String> {
        match self {
            Tokenizer::Characters { characters, .. } => {
                let unknown = normalised(text).chars().find(|c| !characters.contains(c));
                unknown.map(String::from)
            }
            Tokenizer::Words { words: known, .. } => {
                let mut unknown = None;
                words(&normalised(text), |word| {
                    if unknown.is_none() && !known.contains(&word) {
                        unknown = Some(word);
                    }
                });
                unknown
            }
            Tokenizer::BytePairs(_) | Tokenizer::Published(_) => None,
        }
    }

    /// An encoder for many texts, which prepares its look-up tables once.
    pub fn encoder(&self) -> Encoder<'_> {
        let index: HashMap<String, u32> = match self {
            Tokenizer::Characters { characters, .. } => (FIRST..)
                .zip(characters)
                .map(|(token, c)| (c.to_string(), token))
                .collect(),
            Tokenizer::Words { words, .. } => (FIRST..)
                .zip(words)
                .map(|(token, word)| (word.clone(), token))
                .collect(),
            Tokenizer::BytePairs(_) | Tokenizer::Published(_) => HashMap::new(),
        };
        let pieces = match self {
            Tokenizer::BytePairs(pairs) => Some(pairs.encoder()),
            _ => None,
        };
        Encoder {
            tokenizer: self,
            index,
            pieces,
        }
    }

    /// The text of `tokens`. Padding is skipped; unknown tokens become `�` and the mask [`MASK`]; words are joined by spaces.
    pub fn decode(&self, tokens: &[u32]) -> String {
        if let Tokenizer::Published(published) = self {
            return published.decode(tokens);
        }
        let known = |token: u32| token.checked_sub(FIRST).map(|at| at as usize);
        let mask = self.mask();
        let tokens = tokens.iter().copied().filter(|&token| token != PADDING);
        match self {
            Tokenizer::Characters { characters, .. } => {
                let mut text = String::new();
                for token in tokens {
                    match known(token).and_then(|at| characters.get(at)) {
                        Some(&character) => text.push(character),
                        None if Some(token) == mask => text += MASK,
                        None => text.push('\u{fffd}'),
                    }
                }
                text
            }
            Tokenizer::Words { words, .. } => {
                let words = tokens.map(|token| match known(token).and_then(|at| words.get(at)) {
                    Some(word) => word,
                    None if Some(token) == mask => MASK,
                    None => "\u{fffd}",
                });
                words.collect::<Vec<&str>>().join(" ")
            }
            Tokenizer::BytePairs(pairs) => pairs.decode(tokens),
            // Above.
            Tokenizer::Published(_) => String::new(),
        }
    }
}

/// For `skip_serializing_if`.
fn is_false(value: &bool) -> bool {
    !value
}

/// See [`Tokenizer::encoder`].
pub struct Encoder<'t> {
    tokenizer: &'t Tokenizer,
    index: HashMap<String, u32>,
    pieces: Option<bpe::Encoder>,
}

impl Encoder<'_> {
    /// The token of a whole `word` of a tokenizer of words: as it is written, or else in lower case.
    pub(in crate::data) fn word(&self, word: &str) -> u32 {
        let known = |word: &str| self.index.get(word).copied();
        let lower = || known(&word.to_lowercase());
        known(word).or_else(lower).unwrap_or(UNKNOWN)
    }

    /// Whether a whole `word` is known.
    pub(in crate::data) fn knows(&self, word: &str) -> bool {
        self.word(word) != UNKNOWN
    }

    /// As [`Encoder::encode`], but each [`MASK`] in `text` becomes the mask token, if there is one.
    pub fn encode_masked(&mut self, text: &str, tokens: &mut Vec<u32>) {
        let Some(mask) = self.tokenizer.mask() else {
            return self.encode(text, tokens);
        };
        for (place, piece) in text.split(MASK).enumerate() {
            if place > 0 {
                tokens.push(mask);
            }
            self.encode(piece, tokens);
        }
    }

    /// Adds the tokens of `text` to `tokens`. A byte order mark before it is left out, `\r\n` is `\n`, and letters are composed with
    /// their marks (NFC). A published tokenizer does to a text what its file says.
    pub fn encode(&mut self, text: &str, tokens: &mut Vec<u32>) {
        if let Tokenizer::Published(published) = self.tokenizer {
            return published.encode(text, tokens);
        }
        let text = &*normalised(text);
        let token = |text: &str| self.index.get(text).copied().unwrap_or(UNKNOWN);
        match self.tokenizer {
            Tokenizer::Characters { .. } => {
                let mut buffer = [0; 4];
                tokens.extend(text.chars().map(|c| token(c.encode_utf8(&mut buffer))));
            }
            Tokenizer::Words { .. } => words(text, |word| tokens.push(token(&word))),
            Tokenizer::BytePairs(_) => {
                if let Some(pieces) = &mut self.pieces {
                    pieces.encode(text, tokens);
                }
            }
            // Above.
            Tokenizer::Published(_) => {}
        }
    }
}

/// Passes every word of `text` to `take`, in lower case: runs of letters with their marks and of digits, and every other character
/// that is not a space. A Chinese character is a word of its own.
fn words(text: &str, mut take: impl FnMut(String)) {
    let mut word = String::new();
    for c in text.chars() {
        let is_chinese = is_chinese(c);
        let is_mark = !word.is_empty() && is_combining_mark(c);
        if (c.is_alphanumeric() || is_mark) && !is_chinese {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            take(std::mem::take(&mut word));
        }
        if !c.is_whitespace() {
            take(c.to_string());
        }
    }
    if !word.is_empty() {
        take(word);
    }
}

/// Whether `c` is a Chinese character, which BERT takes as a word (Devlin et al. 2019, `_is_chinese_char` of its tokenizer). Kana and
/// Hangul are not.
pub(in crate::data) fn is_chinese(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{2a6df}'
        | '\u{2a700}'..='\u{2ceaf}'
        | '\u{2f800}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "The cat, the CAT and 2 äpfel.\n";

    fn learned(kind: TokenKind, vocabulary: usize) -> Tokenizer {
        Tokenizer::learn(kind, vocabulary, [TEXT].into_iter())
    }

    fn encoded(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        tokenizer.encoder().encode(text, &mut tokens);
        tokens
    }

    #[test]
    fn characters_and_byte_pairs_give_the_text_back() {
        for kind in [TokenKind::Characters, TokenKind::BytePairs] {
            let tokenizer = learned(kind, 300);
            let tokens = encoded(&tokenizer, TEXT);
            assert_eq!(tokenizer.decode(&tokens), TEXT);
            assert!(
                tokens
                    .iter()
                    .all(|&t| t != PADDING && (t as usize) < tokenizer.vocabulary())
            );
        }
    }

    #[test]
    fn whole_words_are_tokens_as_they_are_written_or_in_lower_case() {
        let words = [
            "U.S.", "the", "U.S.", "the", "the", "Bank", "bank", "Bank", "once",
        ];
        let tokenizer = Tokenizer::of_words(100, words.into_iter());
        assert_eq!(tokenizer.vocabulary(), 2 + 3);
        let encoder = tokenizer.encoder();
        let tokens = ["the", "THE", "U.S.", "Bank", "bank", "once"].map(|word| encoder.word(word));
        assert_eq!(tokens, [2, 2, 4, 3, UNKNOWN, UNKNOWN]);
        assert!(encoder.knows("The") && !encoder.knows("u.s."));
        assert_eq!(Tokenizer::of_words(3, words.into_iter()).vocabulary(), 3);
    }

    #[test]
    fn chinese_characters_are_words_and_marks_belong_to_letters() {
        let split = |text: &str| {
            let mut found = Vec::new();
            words(text, |word| found.push(word));
            found
        };
        assert_eq!(split("我觉得ok。"), ["我", "觉", "得", "ok", "。"]);
        // A vowel sign and a virama, which have no composed form.
        assert_eq!(split("हिन्दी में"), ["हिन्दी", "में"]);
        assert_eq!(split("ひらがな カタカナ"), ["ひらがな", "カタカナ"]);
    }

    #[test]
    fn the_mask_is_the_last_token_and_no_text_becomes_it_unless_it_is_asked_for() {
        for kind in [
            TokenKind::Characters,
            TokenKind::Words,
            TokenKind::BytePairs,
        ] {
            let plain = learned(kind, 300);
            let masked = plain.clone().with_mask();
            let mask = plain.vocabulary() as u32;
            assert_eq!((plain.mask(), masked.mask()), (None, Some(mask)));
            assert_eq!(masked.vocabulary(), plain.vocabulary() + 1);
            assert_eq!(encoded(&masked, TEXT), encoded(&plain, TEXT));
            assert!(!encoded(&masked, "the [MASK]").contains(&mask));
            let mut tokens = Vec::new();
            masked.encoder().encode_masked("the[MASK] cat", &mut tokens);
            assert_eq!(tokens.iter().filter(|&&token| token == mask).count(), 1);
            let joined = if kind == TokenKind::Words {
                "the [MASK] cat"
            } else {
                "the[MASK] cat"
            };
            assert_eq!(masked.decode(&tokens), joined);
            let text = serde_json::to_string(&masked).unwrap();
            assert_eq!(serde_json::from_str::<Tokenizer>(&text).unwrap(), masked);
            // As it was before there were masks.
            assert!(!serde_json::to_string(&plain).unwrap().contains("mask"));
        }
    }

    #[test]
    fn texts_are_brought_to_one_form_in_training_and_afterwards() {
        for kind in [
            TokenKind::Characters,
            TokenKind::Words,
            TokenKind::BytePairs,
        ] {
            let tokenizer = Tokenizer::learn(kind, 300, ["\u{feff}ein\r\ngru\u{308}n"].into_iter());
            let wanted = encoded(&tokenizer, "ein\ngrün");
            assert_eq!(encoded(&tokenizer, "\u{feff}ein\r\ngru\u{308}n"), wanted);
            assert!(!wanted.contains(&UNKNOWN) || kind == TokenKind::BytePairs);
            assert_eq!(tokenizer.unknown("gru\u{308}n\r\n"), None);
            assert!(
                !tokenizer
                    .decode(&wanted)
                    .contains(['\u{feff}', '\r', '\u{308}'])
            );
        }
    }

    #[test]
    fn a_file_gives_the_tokenizer_back_and_a_damaged_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokenizer.json");
        let tokenizer = learned(TokenKind::BytePairs, 270);
        std::fs::write(&path, serde_json::to_string(&tokenizer).unwrap()).unwrap();
        assert_eq!(Tokenizer::read(&path).unwrap(), tokenizer);
        for text in [
            "{}",
            r#"{"kind":"byte_pairs","merges":[[257,1]]}"#,
            r#"{"kind":"byte_pairs","merges":[[0,1]]}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(
                Tokenizer::read(&path)
                    .unwrap_err()
                    .to_string()
                    .contains("tokenizer.json is not a valid tokenizer")
            );
        }
    }

    #[test]
    fn words_are_counted_in_lower_case_and_the_rest_is_unknown() {
        // The two most frequent words, besides padding and unknown.
        let tokenizer = learned(TokenKind::Words, 4);
        assert_eq!(tokenizer.vocabulary(), 4);
        let tokens = encoded(&tokenizer, "the cat sat");
        assert_eq!(tokenizer.decode(&tokens), "the cat \u{fffd}");
        assert_eq!(tokens[2], UNKNOWN);
        assert_eq!(tokenizer.unknown("the cat sat"), Some("sat".to_string()));
        assert_eq!(tokenizer.unknown("THE cat"), None);
        let characters = learned(TokenKind::Characters, 0);
        assert_eq!(characters.unknown("az"), Some("z".to_string()));
        assert_eq!(encoded(&characters, "z"), [UNKNOWN]);
    }
}
