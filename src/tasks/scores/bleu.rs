//! BLEU of translations (Papineni et al. 2002), as sacreBLEU computes it (Post 2018): of a whole corpus with one reference each,
//! with the tokenizer `13a`, and smoothing of counts of zero (`exp`). Case counts.

use std::collections::HashMap;

/// Longest n-grams that are counted.
pub const ORDER: usize = 4;

/// Counts of a corpus of translations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bleu {
    /// n-grams of 1 to 4 tokens that occur in the references, too.
    pub matches: [u64; ORDER],
    /// All n-grams of 1 to 4 tokens.
    pub totals: [u64; ORDER],
    /// Tokens of the translations.
    pub length: u64,
    /// Tokens of the references.
    pub reference_length: u64,
}

impl Bleu {
    /// Adds a translation with its reference.
    pub fn add(&mut self, translation: &str, reference: &str) {
        let [own, known] = [translation, reference].map(tokens_13a);
        self.length += own.len() as u64;
        self.reference_length += known.len() as u64;
        for n in 1..=ORDER {
            let (own, known) = (counted(&own, n), counted(&known, n));
            for (gram, count) in own {
                self.totals[n - 1] += count;
                self.matches[n - 1] += count.min(known.get(gram).copied().unwrap_or(0));
            }
        }
    }

    /// BLEU from 0 to 100.
    pub fn score(&self) -> f64 {
        if self.matches.iter().all(|&matches| matches == 0) {
            return 0.0;
        }
        let mut smoothing = 1.0;
        let mut logarithms = 0.0;
        for (&matches, &total) in self.matches.iter().zip(&self.totals) {
            let precision = match (matches, total) {
                // Translations that are all shorter than n tokens.
                (_, 0) => return 0.0,
                (0, total) => {
                    smoothing *= 2.0;
                    1.0 / (smoothing * total as f64)
                }
                (matches, total) => matches as f64 / total as f64,
            };
            logarithms += precision.ln();
        }
        let brevity = match self.length < self.reference_length {
            true => 1.0 - self.reference_length as f64 / self.length as f64,
            false => 0.0,
        };
        100.0 * (brevity + logarithms / ORDER as f64).exp()
    }
}

/// How often each n-gram of `tokens` occurs.
fn counted(tokens: &[String], n: usize) -> HashMap<&[String], u64> {
    let mut counts = HashMap::new();
    for gram in tokens.windows(n) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

/// The tokens of a line by the rules of `mteval-v13a.pl`, which sacreBLEU calls `13a`: punctuation stands alone, but for full stops
/// and commas within numbers, apostrophes and hyphens.
pub fn tokens_13a(line: &str) -> Vec<String> {
    let mut text = line
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace('\n', " ");
    for (entity, letter) in [
        ("&quot;", "\""),
        ("&amp;", "&"),
        ("&lt;", "<"),
        ("&gt;", ">"),
    ] {
        text = text.replace(entity, letter);
    }
    let alone =
        |c: char| matches!(c, '{'..='~' | '['..='`' | ' '..='&' | '('..='+' | ':'..='@' | '/');
    let mut letters: Vec<char> = vec![' '];
    for c in text.chars() {
        match alone(c) {
            true => letters.extend([' ', c, ' ']),
            false => letters.push(c),
        }
    }
    letters.push(' ');
    let point = |c: char| matches!(c, '.' | ',');
    // A point that does not follow a digit, one that no digit follows, and a hyphen after a digit.
    let letters = spaced(
        &letters,
        |a, b| !a.is_ascii_digit() && point(b),
        |a, b| vec![a, ' ', b, ' '],
    );
    let letters = spaced(
        &letters,
        |a, b| point(a) && !b.is_ascii_digit(),
        |a, b| vec![' ', a, ' ', b],
    );
    let letters = spaced(
        &letters,
        |a, b| a.is_ascii_digit() && b == '-',
        |a, b| vec![a, ' ', b, ' '],
    );
    let text: String = letters.into_iter().collect();
    text.split_whitespace().map(str::to_string).collect()
}

/// `letters` with every two that `is` accepts replaced, from left to right and without overlap.
fn spaced(
    letters: &[char],
    is: impl Fn(char, char) -> bool,
    replaced: impl Fn(char, char) -> Vec<char>,
) -> Vec<char> {
    let mut found = Vec::with_capacity(letters.len());
    let mut at = 0;
    while at < letters.len() {
        match letters[at..] {
            [a, b, ..] if is(a, b) => {
                found.extend(replaced(a, b));
                at += 2;
            }
            [a, ..] => {
                found.push(a);
                at += 1;
            }
            [] => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens of sacreBLEU 2.6.0.
    #[test]
    fn lines_are_cut_into_tokens_as_sacrebleu_does() {
        for (line, wanted) in [
            (
                "Hello, world... it's 3.5-4 (1,000) \"ok\"!",
                "Hello , world . . . it's 3.5 - 4 ( 1,000 ) \" ok \" !",
            ),
            ("a&amp;b &lt;x&gt; 5- 5.", "a & b < x > 5 - 5 ."),
            (
                "Ein Mann, der in einem blauen T-Shirt auf einer Leiter steht.",
                "Ein Mann , der in einem blauen T-Shirt auf einer Leiter steht .",
            ),
            ("..,.a 1.,2 .5 5.", ". . , . a 1 . , 2 . 5 5 ."),
            (
                "[x]{y}~`^_\\|/:;?@#$%+*=",
                "[ x ] { y } ~ ` ^ _ \\ | / : ; ? @ # $ % + * =",
            ),
        ] {
            assert_eq!(tokens_13a(line).join(" "), wanted);
        }
    }

    /// Counts and scores of `corpus_bleu` of sacreBLEU 2.6.0.
    #[test]
    fn scores_are_those_of_sacrebleu() {
        let of = |pairs: &[(&str, &str)]| {
            let mut bleu = Bleu::default();
            pairs.iter().for_each(|(own, known)| bleu.add(own, known));
            bleu
        };
        let four = of(&[
            (
                "Ein Mann steht auf der Leiter .",
                "Ein Mann in Blau steht auf einer Leiter.",
            ),
            (
                "Zwei Hunde spielen im Schnee.",
                "Zwei Hunde spielen im Schnee.",
            ),
            ("Eine Frau", "Eine Frau lacht"),
            (
                "Kinder laufen über 3.5 km, dann 2-mal.",
                "Die Kinder laufen über 3.5 km und dann 2-mal.",
            ),
        ]);
        assert_eq!(
            (four.matches, four.totals),
            ([24, 17, 10, 7], [26, 22, 18, 15])
        );
        assert_eq!((four.length, four.reference_length), (26, 30));
        assert!(
            (four.score() - 56.225_725_353_024_416).abs() < 1e-9,
            "{}",
            four.score()
        );
        // Without 4-grams that match, of which there are some: smoothed.
        let smoothed = of(&[("a b c d q r", "a b c z d e f"), ("", "x")]);
        assert!(
            (smoothed.score() - 23.263_472_697_663_296).abs() < 1e-9,
            "{}",
            smoothed.score()
        );
        // Nothing matches, or no translation has four tokens.
        assert_eq!(of(&[("x y z w", "a b c d")]).score(), 0.0);
        assert_eq!(of(&[("a b c", "a b c")]).score(), 0.0);
    }
}
