//! Classes in the names of files, as `cat.0.jpg` and `dog_12.png` have them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Patterns that are tried where none is given.
const CANDIDATES: [&str; 5] = [
    "{class}#*",
    "{class}_*",
    "{class}-*",
    "{class}.*",
    "{class} *",
];
/// Characters that are cut off at both ends of a class.
const SEPARATORS: [char; 6] = [' ', '.', '_', '-', '(', ')'];
/// Names that cameras and programs give to files, which are no classes.
const NO_CLASSES: [&str; 14] = [
    "img",
    "image",
    "images",
    "dsc",
    "dscn",
    "dscf",
    "pict",
    "picture",
    "photo",
    "screenshot",
    "frame",
    "scan",
    "file",
    "untitled",
];

/// Where the names of files, without their endings, hold the class: `{class}` is the class, `#` a number, `*` any text, and other
/// characters are themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPattern {
    text: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Class,
    Number,
    Any,
    Text(char),
}

impl ClassPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If `{class}` does not occur exactly once.
    pub fn new(text: &str) -> Result<ClassPattern, String> {
        let mut tokens = Vec::new();
        for (index, piece) in text.split("{class}").enumerate() {
            if index > 0 {
                tokens.push(Token::Class);
            }
            tokens.extend(piece.chars().map(|letter| match letter {
                '#' => Token::Number,
                '*' => Token::Any,
                other => Token::Text(other),
            }));
        }
        let classes = tokens.iter().filter(|token| **token == Token::Class);
        match classes.count() {
            1 => Ok(ClassPattern {
                text: text.to_string(),
                tokens,
            }),
            _ => Err(format!(
                "the pattern \"{text}\" must have {{class}} once, as in \"{{class}}_*\""
            )),
        }
    }

    /// The class in the name `stem` of a file, without its ending.
    pub(super) fn class_of(&self, stem: &str) -> Option<String> {
        let letters: Vec<char> = stem.chars().collect();
        // Places in the name from which the tokens so far can go on, and where the class begins and ends; of several, the first,
        // with the shortest class.
        let mut places = vec![(0, [0, 0])];
        for (index, token) in self.tokens.iter().enumerate() {
            let mut next: BTreeMap<usize, [usize; 2]> = BTreeMap::new();
            for &(at, class) in &places {
                let ends: Vec<usize> = match token {
                    Token::Text(letter) if letters.get(at) == Some(letter) => vec![at + 1],
                    Token::Text(_) => Vec::new(),
                    Token::Any => (at..=letters.len()).collect(),
                    Token::Number => {
                        let digits = letters[at..].iter().take_while(|c| c.is_ascii_digit());
                        match digits.count() {
                            0 => Vec::new(),
                            digits => vec![at + digits],
                        }
                    }
                    Token::Class => {
                        let before_number = self.tokens.get(index + 1) == Some(&Token::Number);
                        let all = at + 1..=letters.len();
                        let ends =
                            |end: &usize| !(before_number && letters[end - 1].is_ascii_digit());
                        all.filter(ends).collect()
                    }
                };
                for end in ends {
                    let class = match token {
                        Token::Class => [at, end],
                        _ => class,
                    };
                    next.entry(end).or_insert(class);
                }
            }
            places = next.into_iter().collect();
            // A shorter class is preferred wherever the rest begins.
            places.sort_by_key(|(at, [from, to])| (*from, *to, *at));
        }
        let (_, [from, to]) = places.into_iter().find(|(at, _)| *at == letters.len())?;
        let class: String = letters[from..to].iter().collect();
        let class = class.trim_matches(SEPARATORS);
        (!class.is_empty()).then(|| class.to_string())
    }

    /// The pattern by which the names `stems` fall into classes of several files each.
    pub(super) fn detect(stems: &[String]) -> Option<ClassPattern> {
        let candidates = CANDIDATES
            .iter()
            .filter_map(|text| ClassPattern::new(text).ok());
        let mut fitting = candidates.filter(|pattern| pattern.fits(stems));
        fitting.next()
    }

    fn fits(&self, stems: &[String]) -> bool {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for stem in stems {
            let Some(class) = self.class_of(stem) else {
                return false;
            };
            *counts.entry(class).or_default() += 1;
        }
        let is_class = |class: &String| {
            let lower = class.to_lowercase();
            class.chars().any(char::is_alphabetic) && !NO_CLASSES.contains(&&*lower)
        };
        counts.len() >= 2
            && counts
                .iter()
                .all(|(class, &count)| count >= 2 && is_class(class))
    }
}

impl fmt::Display for ClassPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonSchema for ClassPattern {
    fn schema_name() -> Cow<'static, str> {
        "class_pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where the names of files hold the class: {class} is the class, # a number, * any text.",
            "type": "string",
            "pattern": "\\{class\\}",
        })
    }
}

impl Serialize for ClassPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ClassPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        ClassPattern::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_finds_the_class_in_a_name() {
        let of = |pattern: &str, stem: &str| ClassPattern::new(pattern).unwrap().class_of(stem);
        let is = |pattern, stem, class: &str| {
            assert_eq!(
                of(pattern, stem).as_deref(),
                Some(class),
                "{pattern} {stem}"
            );
        };
        is("{class}#*", "cat.0", "cat");
        is("{class}#*", "american_bulldog_10", "american_bulldog");
        is("{class}#*", "dog (12) copy 3", "dog");
        is("{class}#*", "3_cat_17", "3_cat");
        is("{class}_*", "cat_fluffy_2", "cat");
        is("{class}_*", "7_00012", "7");
        is("*_{class}_#", "scan_left_knee_12", "left_knee");
        is("*-{class}", "a-b-c", "b-c");
        is("{class}", "Zürich", "Zürich");
        for (pattern, stem) in [
            ("{class}#*", "cat"),
            ("{class}_*", "cat"),
            ("{class}_*", "_1"),
            ("x{class}", "y1"),
        ] {
            assert_eq!(of(pattern, stem), None, "{pattern} {stem}");
        }
        for wrong in ["", "*_#", "{class}{class}", "class"] {
            assert!(
                ClassPattern::new(wrong)
                    .unwrap_err()
                    .contains("{class} once")
            );
        }
        // The time is that of the length times the number of tokens, whatever the name.
        let many = format!("{}{{class}}", "*a".repeat(40));
        assert_eq!(of(&many, &"a".repeat(200)).unwrap().len(), 160);
    }

    #[test]
    fn names_that_fall_into_classes_are_detected() {
        let of = |stems: &[&str]| {
            let stems: Vec<String> = stems.iter().map(|stem| stem.to_string()).collect();
            ClassPattern::detect(&stems).map(|pattern| pattern.to_string())
        };
        assert_eq!(
            of(&["cat.0", "cat.1", "dog.0", "dog.1"]).as_deref(),
            Some("{class}#*")
        );
        assert_eq!(
            of(&["cat_a", "cat_b", "dog_a", "dog_b"]).as_deref(),
            Some("{class}_*")
        );
        for none in [
            &["1", "2", "3", "4"][..],
            &["cat.0", "cat.1", "dog.0", "bird.1"],
            &["cat.0", "cat.1", "cat.2"],
            &["IMG_1", "IMG_2", "DSC_1", "DSC_2"],
            &["2022-01", "2022-02", "2023-01", "2023-02"],
            &["cat.0", "cat.1", "dog.0", "dog.1", "readme"],
            &[],
        ] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
