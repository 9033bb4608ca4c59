//! Whether the first row of a table is a header, judged by the rows below, and the names of the columns.

use super::dates::DateForm;
use super::missing::value;
use super::number::{NumberForm, number};
use super::prose::{is_text, words_in};
use super::row_index::counts_up;
use csv::StringRecord;
use std::collections::{BTreeSet, HashSet};

/// At least this many of a column's cells, in percent, must be numbers for its first one to be a name by contrast.
const MOST: usize = 90;
/// Words that repeat show a name by contrast only in this many rows, with this many rows per word.
const MANY_ROWS: usize = 20;
const ROWS_PER_WORD: usize = 10;

/// Whether the first row of a table is a header, and why: the reason continues "because".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Finding {
    pub is_header: bool,
    pub reason: String,
}

fn yes(reason: impl Into<String>) -> Finding {
    Finding {
        is_header: true,
        reason: reason.into(),
    }
}

fn no(reason: impl Into<String>) -> Finding {
    Finding {
        is_header: false,
        reason: reason.into(),
    }
}

/// Whether `first` is a header over the rows `rest`. It is one if it holds the names that are `known` from training, or if the
/// first cell of a column differs in kind from those below; without such a column, if all of its cells are different words.
pub(super) fn find(first: &StringRecord, rest: &[StringRecord], known: &[String]) -> Finding {
    if let Some(found) = by_names(first, known) {
        return found;
    }
    // A header may lack the name of the first column.
    let shift = usize::from(rest.first().is_some_and(|row| {
        row.len() == first.len() + 1 && !row.get(first.len()).unwrap_or_default().is_empty()
    }));
    let columns = first.iter().enumerate();
    let columns: Vec<Column<'_>> = columns
        .map(|(place, head)| Column::of(head, rest, place + shift))
        .collect();
    let mut named = columns
        .iter()
        .filter_map(|column| Some((column.head, column.named()?)));
    if let Some((head, below)) = named.next() {
        return yes(format!("\"{head}\" stands above {below}"));
    }
    let counted =
        |place: usize| counts_up(rest.iter().map(|row| row.get(place).unwrap_or_default()));
    if rest.len() > 1 && first.len() > 1 && first.get(0) == Some("") && counted(0) {
        return yes("an empty cell stands above numbers that count the rows");
    }
    if let Some(column) = columns.iter().find(|column| column.is_new_word) {
        return yes(format!(
            "\"{}\" is not among the words below it",
            column.head
        ));
    }
    let text = columns.iter().find(|column| column.above_texts);
    let known: Vec<&Column<'_>> = columns
        .iter()
        .filter(|column| column.is_known_word)
        .collect();
    match (text, &known[..]) {
        (Some(text), _) if !is_text(text.head) => {
            return yes(format!("\"{}\" stands above texts", text.head));
        }
        (Some(_), [known, ..]) | (None, [known, _, ..]) => {
            return no(format!("\"{}\" is among the words below it", known.head));
        }
        _ => {}
    }
    if counts_across(first) && !rest.iter().any(counts_across) {
        return yes("its numbers count the columns, or years");
    }
    let mut seen = HashSet::new();
    for head in first.iter() {
        match Kind::of(head) {
            Kind::Number => return no(format!("\"{head}\" in its first row is a number")),
            Kind::Date => return no(format!("\"{head}\" in its first row is a date")),
            Kind::Missing => return no("a cell of its first row is empty"),
            Kind::Word => {}
        }
        if !seen.insert(head) {
            return no(format!("\"{head}\" occurs twice in its first row"));
        }
    }
    yes("its cells are different words")
}

/// The decision by names that are known from training, if they decide.
fn by_names(first: &StringRecord, known: &[String]) -> Option<Finding> {
    if known.is_empty() {
        return None;
    }
    let names: HashSet<&str> = known.iter().map(|name| &**name).collect();
    let cells: HashSet<&str> = first.iter().collect();
    if names.is_subset(&cells) || cells.is_subset(&names) {
        return Some(yes("it holds the names of the training columns"));
    }
    let numbered = known.iter().all(|name| is_numbered(name));
    numbered.then(|| no("the training data have no header"))
}

/// Kind of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Missing,
    Number,
    Date,
    Word,
}

impl Kind {
    fn of(cell: &str) -> Kind {
        match value(cell) {
            None => Kind::Missing,
            Some(cell) if NumberForm::reads(cell) => Kind::Number,
            Some(cell) if DateForm::reads(cell) => Kind::Date,
            Some(_) => Kind::Word,
        }
    }
}

/// A first cell, and the cells below it.
struct Column<'c> {
    head: &'c str,
    kind: Kind,
    /// The kind of nearly all cells below.
    below: Kind,
    /// Whether the first cell is a word that does not occur among a few words below.
    is_new_word: bool,
    /// Whether it is a word that occurs below.
    is_known_word: bool,
    /// Whether the cells below are texts of several words.
    above_texts: bool,
}

impl<'c> Column<'c> {
    fn of(head: &'c str, rest: &[StringRecord], place: usize) -> Column<'c> {
        let cells = || rest.iter().filter_map(|row| value(row.get(place)?));
        let count = cells().count();
        let kinds: Vec<Kind> = cells().map(Kind::of).collect();
        let of_kind = |kind: Kind| kinds.iter().filter(|other| **other == kind).count();
        let most = |kind: &Kind| count > 0 && of_kind(*kind) * 100 >= count * MOST;
        let below = [Kind::Number, Kind::Date].into_iter().find(most);
        let kind = Kind::of(head);
        let words: BTreeSet<&str> = match kind == Kind::Word && of_kind(Kind::Word) == count {
            true if count >= MANY_ROWS => cells().collect(),
            _ => BTreeSet::new(),
        };
        let repeat = !words.is_empty() && words.len() * ROWS_PER_WORD <= count;
        Column {
            head,
            kind,
            below: below.unwrap_or(Kind::Word),
            is_new_word: repeat && !words.contains(head),
            is_known_word: kind == Kind::Word && cells().any(|cell| cell == head),
            above_texts: words_in(cells()).is_some(),
        }
    }

    /// What is below the first cell, if that is a name above cells of another kind.
    fn named(&self) -> Option<&'static str> {
        match (self.kind, self.below) {
            (Kind::Word | Kind::Date, Kind::Number) => Some("numbers"),
            (Kind::Word, Kind::Date) => Some("dates"),
            _ => None,
        }
    }
}

/// Whether the numbers of a row are 0, 1, 2, … or at least two years in sequence, as in the names of columns.
fn counts_across(row: &StringRecord) -> bool {
    let numbers: Vec<f64> = row.iter().filter_map(number).collect();
    let steps = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1.0);
    match numbers.first() {
        Some(&first) if first == 0.0 || first == 1.0 => numbers.len() > 2 && steps,
        Some(&first) => {
            (1500.0..2500.0).contains(&first) && first.fract() == 0.0 && numbers.len() > 1 && steps
        }
        None => false,
    }
}

/// The name of the column at `place` of a table without a header.
pub(super) fn numbered(place: usize) -> String {
    format!("column_{}", place + 1)
}

fn is_numbered(name: &str) -> bool {
    let digits = name.strip_prefix("column_").unwrap_or_default();
    digits
        .parse::<usize>()
        .is_ok_and(|n| n > 0 && numbered(n - 1) == name)
}

/// The names of columns, which differ from one another.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub names: Vec<String>,
    /// Places of columns without a name in the header.
    pub blank: Vec<usize>,
    /// Names that repeat in the header, with the names that their columns get.
    pub repeated: Vec<(String, Vec<String>)>,
}

impl Names {
    /// The names of the columns of a table without a header.
    pub fn numbered(width: usize) -> Names {
        Names {
            names: (0..width).map(numbered).collect(),
            ..Names::default()
        }
    }

    /// Names as pandas gives them: `Unnamed: 0` for a blank one in column 0, and `a`, `a.1`, `a.2` for a repeated one.
    pub fn of(header: &StringRecord) -> Names {
        let given: HashSet<&str> = header.iter().collect();
        let mut used: HashSet<String> = HashSet::new();
        let mut found = Names::default();
        let mut repeats: Vec<(String, Vec<String>)> = Vec::new();
        for (place, cell) in header.iter().enumerate() {
            let wanted = match cell.is_empty() {
                true => {
                    found.blank.push(place);
                    format!("Unnamed: {place}")
                }
                false => cell.to_string(),
            };
            let is_free = |name: &String| !used.contains(name) && !given.contains(&**name);
            let name = match used.contains(&wanted) {
                false => wanted.clone(),
                true => {
                    let mut others = (1..).map(|n| format!("{wanted}.{n}"));
                    let name = others.find(is_free).unwrap_or_default();
                    match repeats.iter_mut().find(|(name, _)| *name == wanted) {
                        Some((_, names)) => names.push(name.clone()),
                        None => repeats.push((wanted.clone(), vec![wanted.clone(), name.clone()])),
                    }
                    name
                }
            };
            used.insert(name.clone());
            found.names.push(name);
        }
        found.repeated = repeats;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<StringRecord> {
        let line = |line: &str| line.split(',').collect::<Vec<_>>().into();
        text.lines().map(line).collect()
    }

    fn is_header(text: &str) -> bool {
        let rows = rows(text);
        find(&rows[0], &rows[1..], &[]).is_header
    }

    #[test]
    fn a_first_row_is_a_header_if_it_differs_in_kind_from_the_rows_below() {
        let labels: String = (0..40)
            .map(|i| format!("{i},{}.5,{}\n", i % 7, ["no", "yes"][i % 2]))
            .collect();
        let words: String = (0..40)
            .map(|i| format!("a{i} b,{}\n", ["no", "yes"][i % 2]))
            .collect();
        let texts: String = (0..8)
            .map(|i| {
                format!(
                    "and this is what number {i} says,{}\n",
                    ["no", "yes"][i % 2]
                )
            })
            .collect();
        for (text, want) in [
            ("a,b\n1,2\n", true),
            ("a,2\n1,2\n", true),
            (",a,b\n0,x,y\n1,x,z\n", true),
            (",a,b\n7,x,y\n3,x,z\n", false),
            ("city,label\nRome,yes\n", true),
            ("a,a\nb,c\n", false),
            ("a,\nb,c\n", false),
            ("price\n$5\n$6\n", true),
            ("1,2\n3,4\n", false),
            ("0,1,2\n5,3,4\n", true),
            ("0,1,2\n0,1,2\n", false),
            ("land,2019,2020\nx,1,2\ny,3,4\n", true),
            ("a,oops\n1,2\nNA,3\n", true),
            ("a,b\n?,?\n", true),
            ("1,yes\n2,no\n3,no\n", false),
            (&format!("2019,2020,outcome\n{labels}"), true),
            (&format!("17,3.5,yes\n{labels}"), false),
            (&format!("word,yes\n{words}"), true),
            (&format!("text,no\n{texts}"), true),
            (&format!("how is it going there,yes\n{texts}"), false),
            ("p,x,e\np,y,e\nq,z,p\np,y,p\n", false),
        ] {
            assert_eq!(is_header(text), want, "{text}");
        }
    }

    #[test]
    fn known_names_are_a_header_and_numbered_ones_are_none() {
        let rows = rows("2019,2021\n1,2\n");
        let find = |known: &[&str]| {
            let known: Vec<String> = known.iter().map(|name| name.to_string()).collect();
            find(&rows[0], &rows[1..], &known).is_header
        };
        assert!(find(&["2019"]) && find(&["2021", "2019", "outcome"]));
        assert!(!find(&["2018"]) && !find(&["column_1", "column_2"]));
    }

    #[test]
    fn names_are_those_of_pandas() {
        let names = |text: &str| Names::of(&rows(text)[0]);
        let found = names(",a,a,,a.1,a");
        assert_eq!(
            found.names,
            ["Unnamed: 0", "a", "a.2", "Unnamed: 3", "a.1", "a.3"]
        );
        assert_eq!(found.blank, [0, 3]);
        let repeated = ["a", "a.2", "a.3"].map(str::to_string).to_vec();
        assert_eq!(found.repeated, [("a".to_string(), repeated)]);
    }
}
