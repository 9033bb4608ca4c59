//! The classes of a table: their cell values in the target column, and their names.

use super::distinct::{Indices, distinct};
use super::number::number;
use crate::data::files::class_names;
use crate::data::{DataError, Fitted};
use std::path::Path;

/// Maximum number of classes.
const LIMIT: usize = 10_000;
/// Names of classes that are numbers in the table, one per line.
const NAMES: &str = "classes.txt";

/// The classes of a table.
pub struct Classes {
    /// Name of each class.
    pub names: Vec<String>,
    /// Cell value of each class in the target column.
    cells: Vec<String>,
    /// The classes by their cell values.
    indices: Indices,
}

impl Classes {
    fn new(names: Vec<String>, cells: Vec<String>) -> Classes {
        Classes {
            indices: Indices::of(&cells),
            names,
            cells,
        }
    }

    /// The classes of `fitted`, or else those among the `cells` of the column `target` in `file`. If these are whole numbers and a
    /// `classes.txt` lies beside the file, it gives the names: its first line is the name of 0, or of 1 if no cell is 0 and one cell
    /// is the number of lines. The result is stored in `fitted`.
    ///
    /// # Errors
    /// If there are too many, or the names don't fit them.
    pub fn of(
        cells: &[(u64, &str)],
        fitted: &mut Fitted,
        target: &str,
        file: &Path,
    ) -> Result<Classes, DataError> {
        if !fitted.classes.is_empty() {
            let cells = match fitted.class_cells.is_empty() {
                true => fitted.classes.clone(),
                false => fitted.class_cells.clone(),
            };
            return Ok(Classes::new(fitted.classes.clone(), cells));
        }
        let cells = sorted(cells, target, file)?;
        let names = file.with_file_name(NAMES);
        let numbers: Option<Vec<usize>> = cells.iter().map(|cell| whole_number(cell)).collect();
        let numbers = numbers.filter(|_| names.is_file());
        let Some(numbers) = numbers else {
            return Ok(Classes::new(cells.clone(), cells));
        };
        let classes = named(&numbers, &names)?;
        fitted.class_cells = classes.cells.clone();
        Ok(classes)
    }

    /// Index of the class of a cell.
    pub fn position(&self, cell: &str) -> Option<usize> {
        self.indices.position(cell)
    }

    /// Index of the class of the cell at a line of the column `target`.
    ///
    /// # Errors
    /// If training did not have that class.
    pub fn index(
        &self,
        (line, cell): (u64, &str),
        target: &str,
        path: &Path,
    ) -> Result<u32, DataError> {
        self.position(cell).map(|index| index as u32).ok_or_else(|| {
            let known: Vec<&str> = self.cells.iter().take(10).map(|class| &**class).collect();
            DataError::unusable(
                path,
                format!(
                    "has the class {cell} at line {line} in column {target}, which did not occur in training: the classes are {}",
                    known.join(", ")
                ),
            )
        })
    }
}

/// The different texts among `cells`, sorted: as numbers if they are.
fn sorted(cells: &[(u64, &str)], target: &str, path: &Path) -> Result<Vec<String>, DataError> {
    let mut classes = distinct(cells.iter().map(|(_, cell)| *cell));
    if classes.len() > LIMIT {
        return Err(DataError::unusable(
            path,
            format!(
                "has {} different values in column {target}, too many for classes: set predict = \"number\", or target to \
                 another column",
                classes.len()
            ),
        ));
    }
    if classes.iter().all(|class| number(class).is_some()) {
        let order = |text: &&str| number(text).unwrap_or(0.0);
        classes.sort_by(|a, b| order(a).total_cmp(&order(b)));
    }
    Ok(classes.into_iter().map(str::to_string).collect())
}

/// The whole number in a cell in its usual spelling, such as `1` or `1.0`, but not `01`.
fn whole_number(cell: &str) -> Option<usize> {
    let digits = cell.strip_suffix(".0").unwrap_or(cell);
    let number = digits.parse::<u32>().ok()?;
    (number.to_string() == digits).then_some(number as usize)
}

/// The classes with the names in the file `path`, counted from 0, or from 1 if none of `numbers` is 0 and one is the last line.
fn named(numbers: &[usize], path: &Path) -> Result<Classes, DataError> {
    let names = class_names(path)?;
    let least = numbers.iter().copied().min().unwrap_or(0);
    let most = numbers.iter().copied().max().unwrap_or(0);
    let first = match (least, most) {
        (0, most) if most < names.len() => 0,
        (1.., most) if most == names.len() => 1,
        _ => {
            return Err(DataError::unusable(
                path,
                format!(
                    "names {} classes, and the table has numbers from {least} to {most}: name each from 0, or from 1, to the last on a \
                     line of its own, or remove the file",
                    names.len()
                ),
            ));
        }
    };
    let cells = (first..first + names.len()).map(|n| n.to_string());
    let cells = cells.collect();
    Ok(Classes::new(names, cells))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn classes(cells: &[&str], names: Option<&str>) -> Result<Classes, String> {
        let dir = tempfile::tempdir().unwrap();
        if let Some(names) = names {
            fs::write(dir.path().join(NAMES), names).unwrap();
        }
        let cells: Vec<(u64, &str)> = cells.iter().map(|cell| (1, *cell)).collect();
        let mut fitted = Fitted::default();
        let file = dir.path().join("train.csv");
        let found = Classes::of(&cells, &mut fitted, "label", &file);
        let found = found.map_err(|e| e.to_string())?;
        // A resumed run has the fitted values.
        fitted.classes = found.names.clone();
        let again = Classes::of(&[], &mut fitted, "label", &file).unwrap();
        assert_eq!((&again.names, &again.cells), (&found.names, &found.cells));
        Ok(found)
    }

    #[test]
    fn cells_are_classes_and_numbers_can_have_names() {
        let found = classes(&["10", "9", "10"], None).unwrap();
        assert_eq!(
            (found.names, found.cells),
            (vec!["9".into(), "10".into()], vec!["9".into(), "10".into()])
        );
        let found = classes(&["2", "0"], Some("earth\nair\nfire\n")).unwrap();
        assert_eq!(found.names, ["earth", "air", "fire"]);
        assert_eq!(found.position("2"), Some(2));
        let found = classes(&["2", "1"], Some("no\nyes\n")).unwrap();
        assert_eq!((&*found.names[1], found.position("2")), ("yes", Some(1)));
        let found = classes(&["2.0", "1.0", "2"], Some("no\nyes\n")).unwrap();
        assert_eq!((&*found.names[1], found.position("2.0")), ("yes", Some(1)));
        // One class however it is written, also in another file.
        let found = classes(&["1", "0", "1.0"], None).unwrap();
        assert_eq!((found.names.len(), found.position("0.00")), (2, Some(0)));
        let found = classes(&["no", "yes"], Some("this\nthat\n")).unwrap();
        assert_eq!(found.names, ["no", "yes"]);
        let found = classes(&["01", "02"], Some("this\nthat\n")).unwrap();
        assert_eq!(found.names, ["01", "02"]);
    }

    #[test]
    fn names_that_do_not_fit_the_numbers_are_refused() {
        let few = classes(&["0", "1", "2"], Some("no\nyes\n"));
        assert!(
            few.err()
                .unwrap()
                .contains("names 2 classes, and the table has numbers from 0 to 2")
        );
        // The first line could be the name of 0 or of 1.
        let either = classes(&["1", "2"], Some("a\nb\nc\n"));
        assert!(either.err().unwrap().contains("from 1 to 2"));
    }
}
