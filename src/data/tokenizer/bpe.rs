//! Byte pair encoding: tokens begin as bytes, and the most frequent pair in the training text is merged repeatedly (Sennrich,
//! Haddow and Birch 2016; on bytes as in GPT-2, Radford et al. 2019).
//!
//! Token 0 is padding, 1 to 256 are the bytes, 257 and up the merged pairs in the order in which they were learned. Pairs are
//! merged within pieces of text: a word with the space before it, a run of punctuation, a run of white space.

use super::MASK;
use crate::data::texts::normalised;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use unicode_normalization::char::is_combining_mark;

/// Token of byte 0.
pub(super) const FIRST_BYTE: u32 = 1;
/// Token of the first merged pair.
const FIRST_PAIR: u32 = 257;
/// Maximum number of bytes of a token. Pairs of the longest tokens double their length with every merge.
const MAX_TOKEN_BYTES: usize = 1 << 16;

/// The merges, earliest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BytePairs {
    /// The pairs of tokens; the pair at index `i` is merged into token `257 + i`.
    pub merges: Vec<[u32; 2]>,
    /// Whether the token after the last pair is the mask.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub mask: bool,
}

impl BytePairs {
    /// Trains on `texts` until there are `vocabulary` tokens, or no pair occurs twice. Among equally frequent pairs, the one with
    /// the smaller tokens is merged.
    pub fn learn<'a>(vocabulary: usize, texts: impl Iterator<Item = &'a str>) -> BytePairs {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for text in texts {
            pieces(&normalised(text), |piece| match counts.get_mut(piece) {
                Some(count) => *count += 1,
                None => drop(counts.insert(piece.to_string(), 1)),
            });
        }
        let mut words: Vec<(Vec<u32>, u64)> = counts
            .into_iter()
            .map(|(piece, n)| (bytes(&piece), n))
            .collect();
        words.sort();
        // How often each pair occurs, and the pieces that may contain it.
        let mut pairs: HashMap<[u32; 2], (u64, Vec<usize>)> = HashMap::new();
        for (index, (word, count)) in words.iter().enumerate() {
            for pair in word.windows(2) {
                let entry = pairs.entry([pair[0], pair[1]]).or_default();
                entry.0 += count;
                if entry.1.last() != Some(&index) {
                    entry.1.push(index);
                }
            }
        }
        let mut merges = Vec::new();
        let mut lengths: Vec<usize> = Vec::new();
        while (FIRST_PAIR as usize + merges.len()) < vocabulary {
            let fits = |pair: &[u32; 2]| joined_length(&lengths, *pair).is_some();
            let best = pairs
                .iter()
                .filter(|(pair, _)| fits(pair))
                .max_by_key(|(pair, (count, _))| (*count, std::cmp::Reverse(**pair)));
            let Some((&pair, _)) = best.filter(|(_, (count, _))| *count > 1) else {
                break;
            };
            let token = FIRST_PAIR + merges.len() as u32;
            lengths.extend(joined_length(&lengths, pair));
            merges.push(pair);
            let (_, affected) = pairs.remove(&pair).unwrap_or_default();
            for index in affected {
                let (word, count) = &mut words[index];
                let joined = join(word, pair, token);
                if joined.len() == word.len() {
                    continue;
                }
                for old in word.windows(2) {
                    if let Some(entry) = pairs.get_mut(&[old[0], old[1]]) {
                        entry.0 -= *count;
                    }
                }
                for new in joined.windows(2) {
                    let entry = pairs.entry([new[0], new[1]]).or_default();
                    entry.0 += *count;
                    if entry.1.last() != Some(&index) {
                        entry.1.push(index);
                    }
                }
                *word = joined;
            }
            // Repeated bytes may leave an entry for the merged pair.
            pairs.remove(&pair);
        }
        BytePairs {
            merges,
            mask: false,
        }
    }

    /// Checks that every pair consists of earlier tokens and is not too long.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut lengths = Vec::with_capacity(self.merges.len());
        for (pair, token) in self.merges.iter().zip(FIRST_PAIR..) {
            if pair.iter().any(|part| !(FIRST_BYTE..token).contains(part)) {
                return Err("a pair of tokens that come later".to_string());
            }
            let length = joined_length(&lengths, *pair);
            let length = length
                .ok_or_else(|| format!("token {token} has more than {MAX_TOKEN_BYTES} bytes"))?;
            lengths.push(length);
        }
        Ok(())
    }

    /// Size of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        FIRST_PAIR as usize + self.merges.len() + usize::from(self.mask)
    }

    pub(super) fn encoder(&self) -> Encoder {
        let rank = (0..)
            .zip(&self.merges)
            .map(|(rank, &pair)| (pair, rank))
            .collect();
        Encoder {
            rank,
            known: HashMap::new(),
        }
    }

    /// The text of `tokens`; bytes that are not UTF-8 become `�`.
    pub(super) fn decode(&self, tokens: impl Iterator<Item = u32>) -> String {
        String::from_utf8_lossy(&self.bytes_of(tokens)).into_owned()
    }

    /// The bytes that `tokens` represent.
    pub(super) fn bytes_of(&self, tokens: impl Iterator<Item = u32>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut open: Vec<u32> = Vec::new();
        for token in tokens {
            open.push(token);
            while let Some(token) = open.pop() {
                match token.checked_sub(FIRST_PAIR) {
                    None => bytes.push((token - FIRST_BYTE) as u8),
                    // A pair consists of earlier tokens, so this terminates.
                    Some(merge) => match self.merges.get(merge as usize) {
                        Some(&[left, right]) => open.extend([right, left]),
                        None if self.mask && merge as usize == self.merges.len() => {
                            bytes.extend_from_slice(MASK.as_bytes());
                        }
                        None => {}
                    },
                }
            }
        }
        bytes
    }
}

/// Number of bytes of the merged `pair`, unless it is too long; `lengths` are those of the merges so far.
fn joined_length(lengths: &[usize], pair: [u32; 2]) -> Option<usize> {
    let length = |token: u32| match token.checked_sub(FIRST_PAIR) {
        Some(merge) => lengths.get(merge as usize).copied().unwrap_or(1),
        None => 1,
    };
    let joined = length(pair[0]) + length(pair[1]);
    (joined <= MAX_TOKEN_BYTES).then_some(joined)
}

/// Merges pairs in texts, and caches the pieces that it has encoded.
pub(super) struct Encoder {
    rank: HashMap<[u32; 2], u32>,
    known: HashMap<String, Vec<u32>>,
}

impl Encoder {
    pub fn encode(&mut self, text: &str, tokens: &mut Vec<u32>) {
        pieces(text, |piece| {
            if let Some(known) = self.known.get(piece) {
                tokens.extend(known);
                return;
            }
            let mut word = bytes(piece);
            // Pairs are merged in the order in which they were learned.
            while let Some((&pair, &rank)) = word
                .windows(2)
                .filter_map(|pair| self.rank.get_key_value(&[pair[0], pair[1]]))
                .min_by_key(|(_, rank)| **rank)
            {
                word = join(&word, pair, FIRST_PAIR + rank);
            }
            tokens.extend(&word);
            self.known.insert(piece.to_string(), word);
        });
    }
}

fn bytes(piece: &str) -> Vec<u32> {
    piece
        .bytes()
        .map(|byte| u32::from(byte) + FIRST_BYTE)
        .collect()
}

/// `word` with every `pair` in it, from the left, replaced by `token`.
fn join(word: &[u32], pair: [u32; 2], token: u32) -> Vec<u32> {
    let mut joined = Vec::with_capacity(word.len());
    let mut at = 0;
    while at < word.len() {
        if word[at..].starts_with(&pair) {
            joined.push(token);
            at += 2;
        } else {
            joined.push(word[at]);
            at += 1;
        }
    }
    joined
}

/// Maximum length of a piece in bytes; text without spaces is cut there.
const LONGEST_PIECE: usize = 64;

/// Passes the pieces of `text` to `take`, one after another.
fn pieces<'t>(text: &'t str, mut take: impl FnMut(&'t str)) {
    #[derive(PartialEq, Clone, Copy)]
    enum Kind {
        Letters,
        Digits,
        Space,
        Signs,
    }
    let kind = |c: char| match c {
        c if c.is_alphabetic() => Kind::Letters,
        c if c.is_numeric() => Kind::Digits,
        c if c.is_whitespace() => Kind::Space,
        _ => Kind::Signs,
    };
    let mut start = 0;
    let mut current: Option<Kind> = None;
    for (at, c) in text.char_indices() {
        // A mark belongs to the letter before it.
        let next = match (current, is_combining_mark(c)) {
            (Some(Kind::Letters), true) => Kind::Letters,
            _ => kind(c),
        };
        // A single space belongs to the word after it.
        let after_space =
            current == Some(Kind::Space) && &text[start..at] == " " && next != Kind::Space;
        let same = current == Some(next) && at - start < LONGEST_PIECE;
        if current.is_some() && !same && !after_space {
            take(&text[start..at]);
            start = at;
        }
        current = Some(next);
    }
    if start < text.len() {
        take(&text[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_pair_is_joined_first() {
        let pairs = BytePairs::learn(260, ["abab abab cd"].into_iter());
        let [a, b] = [b'a', b'b'].map(|byte| u32::from(byte) + FIRST_BYTE);
        assert_eq!(pairs.merges[0], [a, b]);
        assert_eq!(pairs.merges[1], [257, 257]);
        assert_eq!(pairs.merges.len(), 2, "no other pair occurs twice");
        let mut tokens = Vec::new();
        pairs.encoder().encode("abab", &mut tokens);
        assert_eq!(tokens, [258]);
    }

    #[test]
    fn equal_bytes_in_a_row_are_joined_from_the_left() {
        let pairs = BytePairs::learn(300, ["aaaaa aaa aaaa"].into_iter());
        for text in ["aaaaaaa", "aaa", "a", "", " a  b\n\nc — 12ab"] {
            let mut tokens = Vec::new();
            pairs.encoder().encode(text, &mut tokens);
            assert_eq!(pairs.decode(tokens.into_iter()), text);
        }
    }

    #[test]
    fn pieces_are_words_with_their_space_numbers_signs_and_white_space() {
        let mut found = Vec::new();
        pieces("It's  12 o'clock.\n", |piece| found.push(piece));
        assert_eq!(found.concat(), "It's  12 o'clock.\n");
        assert_eq!(
            found,
            ["It", "'", "s", "  ", "12", " o", "'", "clock", ".", "\n"]
        );
    }
}
