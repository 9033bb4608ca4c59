//! Decoding of tokens one by one, as a language model generates them.

use super::Tokenizer;

/// Decodes tokens as far as their text is certain: the bytes of an incomplete character are held back.
pub struct Decoder<'t> {
    tokenizer: &'t Tokenizer,
    /// Bytes that may be the beginning of a character.
    bytes: Vec<u8>,
    /// Whether a word preceded.
    begun: bool,
    /// Published tokenizers: the last tokens, and the part of their text that was given.
    last: Vec<u32>,
    given: String,
}

/// Most tokens of a published tokenizer that are decoded together.
const MOST_TOGETHER: usize = 64;

impl<'t> Decoder<'t> {
    /// A decoder for tokens that follow other tokens (`follows`), or begin a text.
    pub fn new(tokenizer: &'t Tokenizer, follows: bool) -> Decoder<'t> {
        Decoder {
            tokenizer,
            bytes: Vec::new(),
            begun: follows,
            last: Vec::new(),
            given: String::new(),
        }
    }

    /// The text that `token` adds, in whole characters.
    pub fn push(&mut self, token: u32) -> String {
        match self.tokenizer {
            Tokenizer::Characters { .. } => self.tokenizer.decode(&[token]),
            Tokenizer::Words { .. } => {
                let space = if self.begun { " " } else { "" };
                self.begun = true;
                format!("{space}{}", self.tokenizer.decode(&[token]))
            }
            Tokenizer::BytePairs(pairs) => {
                self.bytes.extend(pairs.bytes_of(std::iter::once(token)));
                self.take_whole()
            }
            Tokenizer::Published(_) => {
                self.last.push(token);
                self.take_added(false)
            }
        }
    }

    /// The text of the bytes that were held back.
    pub fn finish(mut self) -> String {
        match self.tokenizer {
            Tokenizer::Published(_) => self.take_added(true),
            _ => String::from_utf8_lossy(&self.bytes).into_owned(),
        }
    }

    /// The text of the last tokens beyond what was given; nothing while a character may be incomplete, unless `all` is asked for. A
    /// published tokenizer may write a token differently at the beginning of a text, so that several are decoded together.
    fn take_added(&mut self, all: bool) -> String {
        let text = self.tokenizer.decode(&self.last);
        if text.ends_with('\u{fffd}') && !all {
            return String::new();
        }
        let added = text
            .strip_prefix(&*self.given)
            .unwrap_or_default()
            .to_string();
        self.given = text;
        if self.last.len() > MOST_TOGETHER {
            self.last.drain(..MOST_TOGETHER / 2);
            self.given = self.tokenizer.decode(&self.last);
        }
        added
    }

    /// Takes all bytes except those that a next token may complete; invalid bytes become `�`.
    fn take_whole(&mut self) -> String {
        let mut open = 0;
        if let Some(chunk) = self.bytes.utf8_chunks().last() {
            let rest = chunk.invalid();
            if std::str::from_utf8(rest).is_err_and(|e| e.error_len().is_none()) {
                open = rest.len();
            }
        }
        let rest = self.bytes.split_off(self.bytes.len() - open);
        let whole = std::mem::replace(&mut self.bytes, rest);
        String::from_utf8_lossy(&whole).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::TokenKind;
    use super::*;

    fn decoded(kind: TokenKind, text: &str, follows: bool) -> (Vec<String>, String) {
        let tokenizer = Tokenizer::learn(kind, 257, [text].into_iter());
        let mut tokens = Vec::new();
        tokenizer.encoder().encode(text, &mut tokens);
        let mut decoder = Decoder::new(&tokenizer, follows);
        let pieces = tokens
            .into_iter()
            .map(|token| decoder.push(token))
            .collect();
        (pieces, decoder.finish())
    }

    #[test]
    fn a_character_of_several_bytes_comes_when_it_is_whole() {
        let (pieces, rest) = decoded(TokenKind::BytePairs, "aä€", false);
        assert_eq!(pieces, ["a", "", "ä", "", "", "€"]);
        assert_eq!(rest, "");
    }

    #[test]
    fn bytes_that_become_no_character_are_reported_at_once_and_open_ones_at_the_end() {
        let tokenizer = Tokenizer::learn(TokenKind::BytePairs, 257, [""].into_iter());
        let mut decoder = Decoder::new(&tokenizer, false);
        let token = |byte: u8| u32::from(byte) + 1;
        assert_eq!(decoder.push(token(0xff)), "\u{fffd}");
        assert_eq!(decoder.push(token(0xe2)), "");
        assert_eq!(decoder.push(token(b'x')), "\u{fffd}x");
        assert_eq!(decoder.push(token(0xe2)), "");
        assert_eq!(decoder.finish(), "\u{fffd}");
    }

    #[test]
    fn words_are_parted_by_spaces_also_from_what_came_before() {
        assert_eq!(decoded(TokenKind::Words, "to be", false).0, ["to", " be"]);
        assert_eq!(decoded(TokenKind::Words, "to be", true).0, [" to", " be"]);
        assert_eq!(decoded(TokenKind::Characters, "to", true).0, ["t", "o"]);
    }
}
