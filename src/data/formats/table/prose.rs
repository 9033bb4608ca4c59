//! Cells that are texts of several words, and not names, numbers or dates.

use super::dates::DateForm;
use super::number::NumberForm;
use crate::data::picture::has_image_ending;
use crate::data::tokenizer::is_chinese;
use std::collections::HashSet;
use std::path::Path;

/// Words of a text, at least: on average in a column.
const WORDS: usize = 4;
/// Cells that show that a column holds texts.
const CELLS: usize = 5;

/// The number of words in `cell`: runs of at least two letters, or Chinese characters.
pub(super) fn words(cell: &str) -> usize {
    let chinese = cell.chars().filter(|&c| is_chinese(c)).count();
    let letters = |piece: &&str| piece.chars().filter(|c| c.is_alphabetic()).count() > 1;
    let spaced = cell
        .split(|c: char| c.is_whitespace() || is_chinese(c))
        .filter(letters);
    chinese + spaced.count()
}

/// Whether a cell has the words of a text.
pub(super) fn is_text(cell: &str) -> bool {
    words(cell) >= WORDS
}

/// The usual number of words in `cells`, if they are texts: several words, and others in nearly every cell.
pub(in crate::data::formats) fn words_in<'c>(
    cells: impl Iterator<Item = &'c str> + Clone,
) -> Option<usize> {
    let count = cells.clone().count();
    let nearly_all = |cells: usize| cells * 10 >= count * 9;
    let different: HashSet<&str> = cells.clone().collect();
    if count < CELLS || !nearly_all(different.len()) {
        return None;
    }
    let all: usize = cells.clone().map(words).sum();
    let is_image = |cell: &str| has_image_ending(Path::new(cell));
    let is_other = |cell: &&str| NumberForm::reads(cell) || DateForm::reads(cell) || is_image(cell);
    let texts = count - cells.filter(is_other).count();
    (all >= WORDS * count && nearly_all(texts)).then(|| all / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_no_names_measures_dates_or_files() {
        let found = |cell: &dyn Fn(usize) -> String| {
            let cells: Vec<String> = (0..20).map(cell).collect();
            words_in(cells.iter().map(|cell| &**cell))
        };
        assert_eq!(
            found(&|i| format!("see you at {i} then, my friend")),
            Some(6)
        );
        assert_eq!(
            found(&|i| format!("我们第{}次见面", char::from(b'a' + i as u8))),
            Some(6)
        );
        for cell in [
            &(|i| format!("good thing {i}")) as &dyn Fn(usize) -> String,
            &|i| format!("2 76 88 72 {i}"),
            &|i| format!("+49 30 9493 {i}"),
            &|i| format!("{i} cm x 82 cm x 32 cm"),
            &|i| format!("17° {i}' N 54° E"),
            &|i| format!("img {i} of my cat number 3.jpg"),
            &|i| format!("Wed, {:02} Jan 1990 10:00:00 +0200", i + 1),
            // Repeated.
            &|i| format!("one of very few texts {}", i % 3),
        ] {
            assert_eq!(found(cell), None, "{}", cell(1));
        }
    }
}
