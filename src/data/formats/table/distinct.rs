//! The different cells of a column: its categories or classes. If all are numbers, `1` and `1.0` are the same.

use super::number::number;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The different texts among `cells`, sorted. Of numbers with the same value the shortest spelling is kept.
pub(super) fn distinct<'c>(cells: impl Iterator<Item = &'c str>) -> Vec<&'c str> {
    // Collecting into a set lists and sorts all cells first.
    let mut texts = BTreeSet::new();
    texts.extend(cells);
    let numbers = texts
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| key(text));
    let numbers: Option<Vec<u64>> = numbers.collect();
    let Some(numbers) = numbers else {
        return texts.into_iter().collect();
    };
    let mut shortest: BTreeMap<u64, &str> = BTreeMap::new();
    for (number, text) in numbers
        .into_iter()
        .zip(texts.iter().filter(|text| !text.is_empty()))
    {
        let kept = shortest.entry(number).or_insert(text);
        if text.len() < kept.len() {
            *kept = text;
        }
    }
    let kept: BTreeSet<&str> = shortest.into_values().collect();
    texts
        .into_iter()
        .filter(|text| text.is_empty() || kept.contains(text))
        .collect()
}

/// What equal numbers have in common.
fn key(cell: &str) -> Option<u64> {
    // -0 equals 0.
    number(cell).map(|x| (x + 0.0).to_bits())
}

/// The indices of texts, by their value.
pub(super) struct Indices {
    exact: HashMap<String, usize>,
    /// By the value of a number, if all texts are numbers or empty.
    numbers: HashMap<u64, usize>,
}

impl Indices {
    pub fn of(texts: &[String]) -> Indices {
        let numbers = texts
            .iter()
            .enumerate()
            .filter(|(_, text)| !text.is_empty());
        let numbers = numbers.map(|(index, text)| Some((key(text)?, index)));
        let exact = texts.iter().enumerate();
        Indices {
            exact: exact.map(|(index, text)| (text.clone(), index)).collect(),
            numbers: numbers.collect::<Option<_>>().unwrap_or_default(),
        }
    }

    /// The index of the text that `cell` is equal to.
    pub fn position(&self, cell: &str) -> Option<usize> {
        let equal = || (!self.numbers.is_empty()).then(|| self.numbers.get(&key(cell)?))?;
        self.exact.get(cell).or_else(equal).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_one_and_texts_are_not() {
        let found = |cells: &[&'static str]| distinct(cells.iter().copied());
        assert_eq!(found(&["1.0", "2", "1", "", "2.00", "01"]), ["", "1", "2"]);
        assert_eq!(found(&["-0", "0.0", "0"]), ["0"]);
        assert_eq!(found(&["1.0", "1", "x"]), ["1", "1.0", "x"]);
        let of =
            |texts: &[&str]| Indices::of(&texts.iter().map(|t| t.to_string()).collect::<Vec<_>>());
        let numbers = of(&["", "1", "2.5"]);
        assert_eq!(numbers.position("1.0"), Some(1));
        assert_eq!(numbers.position("2.50"), Some(2));
        assert_eq!(
            (numbers.position(""), numbers.position("3")),
            (Some(0), None)
        );
        assert_eq!(of(&["1", "x"]).position("1.0"), None);
    }
}
