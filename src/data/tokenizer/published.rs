//! Tokenizers that others published: files `tokenizer.json` of Hugging Face's tokenizers.

use super::PADDING;
use crate::guard::guarded;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Limit of the numbers of tokens, ten times those of the largest known vocabularies.
const MOST: u32 = 1 << 22;

/// A tokenizer from a file `tokenizer.json`, whose tokens have the numbers that the file gives them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Published {
    stored: Stored,
    tokenizer: Box<tokenizers::Tokenizer>,
}

/// What a run keeps of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stored {
    /// The content of the file.
    file: Value,
}

impl PartialEq for Published {
    fn eq(&self, other: &Published) -> bool {
        self.stored == other.stored
    }
}

impl TryFrom<Stored> for Published {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Published, String> {
        let text = stored.file.to_string();
        let read = guarded(|| tokenizers::Tokenizer::from_bytes(text))?;
        let mut tokenizer = read.map_err(|e| e.to_string())?;
        let tokens = tokenizer.get_vocab(true).into_values();
        if let Some(token) = tokens.max().filter(|&token| token >= MOST) {
            return Err(format!(
                "it has a token of the number {token}, and {MOST} is the limit"
            ));
        }
        // Samples are cut off and padded later.
        tokenizer
            .with_truncation(None)
            .map_err(|e| e.to_string())?
            .with_padding(None);
        Ok(Published {
            stored,
            tokenizer: Box::new(tokenizer),
        })
    }
}

impl From<Published> for Stored {
    fn from(published: Published) -> Stored {
        published.stored
    }
}

impl Published {
    /// Whether `file` is such a file, by its keys.
    pub(super) fn is_one(file: &Value) -> bool {
        file.get("model").is_some_and(Value::is_object) && file.get("kind").is_none()
    }

    /// Reads the content of a file.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn new(file: Value) -> Result<Published, String> {
        Published::try_from(Stored { file })
    }

    /// One more than the highest token.
    pub(super) fn vocabulary(&self) -> usize {
        let tokens = self.tokenizer.get_vocab(true).into_values();
        tokens.max().map_or(0, |last| last as usize + 1)
    }

    /// Whether token 0, which is padding here, is no part of any text.
    pub(super) fn has_padding(&self) -> bool {
        let added = self.tokenizer.get_added_tokens_decoder();
        added.get(&PADDING).is_some_and(|token| token.special)
    }

    /// Adds the tokens of `text`, without those that a model takes at its beginning and end. What the tokenizer can't represent is left
    /// out.
    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<u32>) {
        if let Ok(Ok(encoding)) = guarded(|| self.tokenizer.encode_fast(text, false)) {
            tokens.extend(encoding.get_ids());
        }
    }

    /// The text of `tokens`, without special ones.
    pub(super) fn decode(&self, tokens: &[u32]) -> String {
        let text = guarded(|| self.tokenizer.decode(tokens, true));
        text.ok().and_then(Result::ok).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Decoder, Tokenizer};
    use super::*;

    const CASES: &str = include_str!("../../../tests/fixtures/tokenizers.json");

    #[derive(Deserialize)]
    struct Case {
        name: String,
        file: Value,
        vocabulary: usize,
        texts: Vec<Text>,
    }

    #[derive(Deserialize)]
    struct Text {
        text: String,
        tokens: Vec<u32>,
        decoded: String,
    }

    #[test]
    fn tokens_and_texts_are_those_of_the_package() {
        let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
        assert_eq!(cases.len(), 3);
        let dir = tempfile::tempdir().unwrap();
        for case in cases {
            let path = dir.path().join("tokenizer.json");
            std::fs::write(&path, case.file.to_string()).unwrap();
            let read = Tokenizer::read(&path).unwrap();
            // As a run keeps it.
            std::fs::write(&path, serde_json::to_string(&read).unwrap()).unwrap();
            let tokenizer = Tokenizer::read(&path).unwrap();
            assert_eq!(tokenizer, read);
            assert_eq!(tokenizer.vocabulary(), case.vocabulary, "{}", case.name);
            assert!(!tokenizer.writes_padding(), "{}", case.name);
            for text in case.texts {
                let mut tokens = Vec::new();
                tokenizer.encoder().encode(&text.text, &mut tokens);
                assert_eq!(tokens, text.tokens, "{}: {:?}", case.name, text.text);
                assert_eq!(tokenizer.decode(&tokens), text.decoded);
                // Token by token.
                let mut decoder = Decoder::new(&tokenizer, false);
                let pieces: Vec<String> = tokens.iter().map(|&t| decoder.push(t)).collect();
                let written = pieces.concat() + &decoder.finish();
                assert_eq!(written, text.decoded, "{}: {pieces:?}", case.name);
            }
        }
    }

    #[test]
    fn long_texts_are_decoded_token_by_token() {
        let cases: Vec<Case> = serde_json::from_str(CASES).unwrap();
        for case in cases {
            let tokenizer = Tokenizer::Published(Published::new(case.file).unwrap());
            let text = "the quick dog, the end. ".repeat(40);
            let mut tokens = Vec::new();
            tokenizer.encoder().encode(&text, &mut tokens);
            assert!(tokens.len() > 3 * 64);
            let mut decoder = Decoder::new(&tokenizer, false);
            let pieces: Vec<String> = tokens.iter().map(|&t| decoder.push(t)).collect();
            let written = pieces.concat() + &decoder.finish();
            assert_eq!(written, tokenizer.decode(&tokens), "{}", case.name);
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let refused = |file: &str| Published::new(serde_json::from_str(file).unwrap()).unwrap_err();
        assert!(!refused(r#"{"model": {}}"#).is_empty());
        let high = r#"{"model": {"type": "WordLevel", "vocab": {"a": 4194304}, "unk_token": "a"}}"#;
        assert!(refused(high).contains("4194304"));
    }
}
