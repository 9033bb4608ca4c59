//! Cells that mean a missing value.

use std::collections::BTreeMap;

/// Spellings of a missing value, besides an empty cell: those of pandas' `read_csv`, and `?`, `n.a.` and `na`.
const SPELLINGS: [&str; 22] = [
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "?", "N/A", "NA", "NULL", "NaN", "None", "n.a.", "n/a", "na", "nan", "null", "N.A.",
];

/// The value of a cell, unless it is missing.
pub fn value(cell: &str) -> Option<&str> {
    // Most cells are numbers, and no spelling ends in a digit.
    let is_value = match cell.as_bytes().last() {
        None => false,
        Some(last) => last.is_ascii_digit() || !SPELLINGS.contains(&cell),
    };
    is_value.then_some(cell)
}

/// The missing ones among `cells`, in words; `None` if there are none.
pub(super) fn in_words<'a>(cells: impl Iterator<Item = &'a str>) -> Option<String> {
    let (mut all, mut spellings) = (0_usize, BTreeMap::new());
    for cell in cells {
        all += 1;
        if value(cell).is_none() {
            *spellings.entry(cell).or_insert(0_usize) += 1;
        }
    }
    let missing: usize = spellings.values().sum();
    let spelled = spellings.iter().map(|(spelling, count)| match *spelling {
        "" => format!("empty {count}"),
        spelling => format!("\"{spelling}\" {count}"),
    });
    let spelled = spelled.collect::<Vec<_>>().join(", ");
    (missing > 0).then(|| format!("{missing} of {all} cells are missing ({spelled})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_pandas_and_some_more_are_missing() {
        for cell in ["", "NA", "<NA>", "None", "-1.#IND", "?", "n.a.", "na"] {
            assert_eq!(value(cell), None, "{cell}");
        }
        assert!(SPELLINGS.iter().all(|cell| value(cell).is_none()));
        for cell in ["none", "0", "-", "N", "nano"] {
            assert_eq!(value(cell), Some(cell));
        }
        let words = in_words(["1", "", "n/a", "2", "n/a"].into_iter());
        assert_eq!(
            words.as_deref(),
            Some("3 of 5 cells are missing (empty 1, \"n/a\" 2)")
        );
        assert_eq!(in_words(["1"].into_iter()), None);
    }
}
