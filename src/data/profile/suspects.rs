//! Columns that may leak the target, or that only name the rows.

use super::association::{
    Contingency, Moments, explained, intervals, most_frequent, rank_correlation, right,
};
use super::measure::{CellKind, Classes, Measured, Numbers, Own, Texts};
use crate::html::shortened;
use serde::Serialize;

/// Smaller tables have too few rows to suspect a column.
const LEAST_ROWS: usize = 20;
/// A column with at least this share of distinct values names the rows.
const NEARLY_ALL: f64 = 0.98;
/// A rank correlation of at least this is that of a monotone function.
const MONOTONE: f64 = 0.9995;
/// A column that removes at least this share of the errors of the most frequent class, or of the variance, predicts nearly perfectly.
const NEARLY_PERFECT: f64 = 0.97;
/// Rows that are missing and rows of a class are the same if at least this share of either is in both.
const SAME: f64 = 0.98;
/// Intervals of a number in which the target is compared, and rows of each.
const INTERVALS: usize = 200;
const INTERVAL_ROWS: usize = 5;
/// Characters of a name that are shown.
const NAME: usize = 60;

/// A column that may leak the target, or that names the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// Name of the column.
    pub column: String,
    /// Why it is suspected.
    pub reason: Suspicion,
    /// One sentence: what was found, and what to do.
    pub sentence: String,
}

/// Why a column is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspicion {
    /// Nearly all of its integers or texts are distinct.
    Id,
    /// It is the target, perhaps under other names.
    Copy,
    /// It orders the rows as the target does.
    Monotone,
    /// It alone predicts the target nearly perfectly.
    Predictor,
    /// It is missing where a class is, or only there.
    Missing,
}

/// What is suspicious about `column`. `targets` are those of the sampled rows of its numbers, and `rows` is the number
/// of all rows.
pub(super) fn suspects(
    column: &Measured,
    targets: &[f64],
    classes: Option<&Classes>,
    rows: usize,
) -> Vec<Suspect> {
    if rows < LEAST_ROWS {
        return Vec::new();
    }
    let leak = match &column.own {
        Own::Numbers(numbers) => {
            let is_number = column.subject.kind == CellKind::Number;
            let id = || numbers.id().filter(|_| is_number);
            leaking_numbers(numbers, targets, classes.is_some()).or_else(id)
        }
        Own::Texts(texts) => leaking_texts(texts, classes.is_some()).or_else(|| texts.id()),
    };
    let missing = classes.and_then(|classes| missing_by_class(&column.missing, classes));
    let name = &column.subject.name;
    let shown = shortened(name, NAME);
    let both = [leak, missing].into_iter().flatten();
    both.map(|(reason, what)| Suspect {
        column: name.clone(),
        reason,
        sentence: format!("column {shown} {what}: {}", advice(reason, name)),
    })
    .collect()
}

fn advice(reason: Suspicion, name: &str) -> String {
    let drop = format!("leave it out with drop = [{name:?}]");
    match reason {
        Suspicion::Id => format!("{drop} if it only names the rows"),
        Suspicion::Copy => drop,
        Suspicion::Monotone | Suspicion::Predictor | Suspicion::Missing => {
            format!("{drop} unless it is known before the target is")
        }
    }
}

type Found = Option<(Suspicion, String)>;

fn leaking_numbers(numbers: &Numbers, targets: &[f64], is_class: bool) -> Found {
    if numbers.all.min == numbers.all.max {
        return None;
    }
    let pairs = numbers.sample.iter().copied().zip(targets.iter().copied());
    let pairs: Vec<(f64, f64)> = pairs.filter(|(x, _)| !x.is_nan()).collect();
    if pairs.len() < LEAST_ROWS {
        return None;
    }
    if is_class {
        let groups = intervals(&pairs, INTERVALS, INTERVAL_ROWS);
        let mut table = Contingency::new();
        for (group, classes) in (0..).zip(&groups) {
            for &class in classes {
                *table.entry((group, class as u32)).or_insert(0) += 1;
            }
        }
        return predicts_class(&table);
    }
    if numbers.equal == numbers.all.count {
        return Some((Suspicion::Copy, "is the target in every row".to_string()));
    }
    let ranks = rank_correlation(&pairs)?;
    if ranks.abs() >= MONOTONE {
        let order = match ranks > 0.0 {
            true => "as the target does",
            false => "in the reverse order of the target",
        };
        let what = format!(
            "orders the rows {order} (rank correlation {ranks:.4}), as if computed from it"
        );
        return Some((Suspicion::Monotone, what));
    }
    let groups = intervals(&pairs, INTERVALS, INTERVAL_ROWS);
    predicts_number(
        &groups
            .iter()
            .map(|group| moments(group))
            .collect::<Vec<_>>(),
    )
}

fn moments(numbers: &[f64]) -> Moments {
    let mut moments = Moments::default();
    numbers.iter().for_each(|&x| moments.push(x));
    moments
}

fn leaking_texts(texts: &Texts, is_class: bool) -> Found {
    let cells: u64 = texts.counts.iter().sum();
    let (cells, categories) = (cells as usize, texts.counts.len());
    if !texts.is_complete() || categories < 2 || categories * INTERVAL_ROWS > cells {
        return None;
    }
    match is_class {
        true => predicts_class(&texts.table),
        false => predicts_number(&texts.by_text),
    }
}

/// Whether the groups of `table` predict the class nearly perfectly.
fn predicts_class(table: &Contingency) -> Found {
    let (own, floor) = (right(table), most_frequent(table));
    if floor >= 1.0 || (own - floor) / (1.0 - floor) < NEARLY_PERFECT {
        return None;
    }
    let distinct = |side: fn(&(u32, u32)) -> u32| {
        let mut values: Vec<u32> = table.keys().map(side).collect();
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    if own == 1.0 && distinct(|pair| pair.0) == distinct(|pair| pair.1) {
        let what = "is the target under other names or numbers".to_string();
        return Some((Suspicion::Copy, what));
    }
    let what = format!(
        "alone predicts the target right in {} of the rows (the most frequent class in {})",
        percent(own),
        percent(floor)
    );
    Some((Suspicion::Predictor, what))
}

/// Whether `groups` of targets differ nearly as much as all of them.
fn predicts_number(groups: &[Moments]) -> Found {
    let share = explained(groups.iter()).filter(|&share| share >= NEARLY_PERFECT)?;
    let what = format!(
        "alone explains {} of the variance of the target",
        percent(share)
    );
    Some((Suspicion::Predictor, what))
}

/// A share as a percentage, which is 100% only for 1.
pub(super) fn percent(share: f64) -> String {
    match share {
        share if share < 1.0 => format!("{:.1}%", (1000.0 * share).floor() / 10.0),
        _ => "100%".to_string(),
    }
}

impl Numbers {
    fn id(&self) -> Found {
        let sample = self.sample.iter().copied().filter(|x| !x.is_nan());
        let mut sorted: Vec<f64> = sample.collect();
        sorted.sort_by(f64::total_cmp);
        let distinct = sorted.chunk_by(|a, b| a == b).count();
        let found = self.whole == self.all.count && is_id(distinct, sorted.len());
        found.then(|| (Suspicion::Id, differs("integer", distinct, sorted.len())))
    }
}

impl Texts {
    fn id(&self) -> Found {
        let (distinct, cells) = (self.counts.len(), self.looked_at as usize);
        is_id(distinct, cells).then(|| (Suspicion::Id, differs("text", distinct, cells)))
    }
}

fn is_id(distinct: usize, cells: usize) -> bool {
    cells >= LEAST_ROWS && distinct as f64 >= NEARLY_ALL * cells as f64
}

fn differs(what: &str, distinct: usize, cells: usize) -> String {
    format!("has another {what} in nearly every row ({distinct} distinct in {cells})")
}

/// Whether cells are missing where one of the `classes` is, or everywhere else, by their numbers of rows.
fn missing_by_class(missing: &[u64], classes: &Classes) -> Found {
    let (all, rows) = (
        missing.iter().sum::<u64>(),
        classes.rows.iter().sum::<u64>(),
    );
    let same = |both: u64, a: u64, b: u64| {
        let most = a.max(b);
        most >= INTERVAL_ROWS as u64 && both as f64 >= SAME * most as f64
    };
    if classes.rows.iter().filter(|&&rows| rows > 0).count() < 2 {
        return None;
    }
    let filled = rows - all;
    let of_each = || missing.iter().zip(&classes.rows);
    let is_missing = of_each().position(|(&both, &rows)| same(both, all, rows));
    let has_values = of_each().position(|(&both, &rows)| same(rows - both, filled, rows));
    let (class, of_class, what) = match (is_missing, has_values) {
        (Some(class), _) => (class, missing[class], "is missing"),
        (None, Some(class)) => (class, classes.rows[class] - missing[class], "has values"),
        (None, None) => return None,
    };
    let own = if is_missing.is_some() { all } else { filled };
    let exactly = match of_class == own && own == classes.rows[class] {
        true => "exactly",
        false => "nearly exactly",
    };
    let name = shortened(&classes.names[class], NAME);
    let what =
        format!("{what} {exactly} where the target is {name} ({all} of {rows} cells are missing)");
    Some((Suspicion::Missing, what))
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Cell, Profiler, Subject};
    use super::super::{ColumnRole, TableProfile};
    use super::*;
    use crate::random::Stream;

    const ROWS: usize = 400;

    /// The suspects among columns of random numbers and texts, and one more.
    fn found(
        classes: Option<&[String]>,
        kind: CellKind,
        column: impl Fn(usize, f64) -> Cell<'static>,
    ) -> Vec<Suspect> {
        let subject = |name: &str, kind: CellKind| Subject {
            name: name.to_string(),
            role: ColumnRole::Input,
            kind,
        };
        let subjects = vec![
            subject("number", CellKind::Number),
            subject("text", CellKind::Text),
            subject("suspect", kind),
        ];
        let mut profiler = Profiler::new(subjects, classes, ROWS);
        let mut stream = Stream::new(5, 0);
        for at in 0..ROWS {
            let target = match classes {
                Some(_) => f64::from(stream.below(10) / 7),
                None => f64::from(stream.unit()) + 0.5,
            };
            let number = Cell::Number(f64::from(stream.normal()) + target);
            let text = Cell::Text(["x", "y", "z"][stream.below(3) as usize]);
            profiler.push(target, [number, text, column(at, target)].into_iter());
        }
        let TableProfile { suspects, .. } = profiler.finish("t.csv".to_string(), "y".to_string());
        assert!(
            suspects.iter().all(|own| own.column == "suspect"),
            "{suspects:?}"
        );
        suspects
    }

    fn only(found: Vec<Suspect>) -> (Suspicion, String) {
        assert_eq!(found.len(), 1, "{found:?}");
        let [
            Suspect {
                reason, sentence, ..
            },
        ] = &found[..]
        else {
            return (Suspicion::Id, String::new());
        };
        (*reason, sentence.clone())
    }

    #[test]
    fn leaks_of_a_class_are_found_and_associations_are_not() {
        let classes = ["no", "yes"].map(String::from);
        let with = |kind, column: &dyn Fn(usize, f64) -> Cell<'static>| {
            found(Some(&classes), kind, column)
        };
        let (number, text) = (CellKind::Number, CellKind::Text);
        // Dates differ in every row, too.
        assert_eq!(
            with(CellKind::Date, &|at, _| Cell::Number(
                (at * 7 % ROWS) as f64
            )),
            []
        );
        let (reason, sentence) = only(with(number, &|at, _| Cell::Number((at * 7 % ROWS) as f64)));
        assert_eq!(reason, Suspicion::Id);
        assert_eq!(
            sentence,
            "column suspect has another integer in nearly every row (400 distinct in 400): leave it out with drop = [\"suspect\"] if it \
             only names the rows"
        );
        let copy = |_, y: f64| Cell::Text(["good", "bad"][y as usize]);
        assert_eq!(only(with(text, &copy)).0, Suspicion::Copy);
        let copy = |_, y: f64| Cell::Number(5.0 - 4.0 * y);
        assert_eq!(only(with(number, &copy)).0, Suspicion::Copy);
        // A threshold separates the classes, but for two rows.
        let threshold = |at: usize, y: f64| {
            Cell::Number(
                (at % 97) as f64 / 100.0 + if at.is_multiple_of(200) { 1.0 - y } else { y },
            )
        };
        let (reason, sentence) = only(with(number, &threshold));
        assert_eq!(reason, Suspicion::Predictor);
        assert!(sentence.contains("unless it is known before"), "{sentence}");
        let missing = |at: usize, y: f64| match y == 1.0 {
            true => Cell::Missing,
            false => Cell::Text(["a", "b"][at % 2]),
        };
        let (reason, sentence) = only(with(text, &missing));
        assert_eq!(reason, Suspicion::Missing);
        assert!(
            sentence.contains("is missing exactly where the target is yes"),
            "{sentence}"
        );
        // Missing in a third of the rows of one class, and in few of the other.
        let some =
            |at: usize, y: f64| match at.is_multiple_of(3) && y == 1.0 || at.is_multiple_of(20) {
                true => Cell::Missing,
                false => Cell::Text(["a", "b"][at % 2]),
            };
        assert_eq!(with(text, &some), []);
    }

    #[test]
    fn leaks_of_a_number_are_found() {
        let with = |kind, column: &dyn Fn(usize, f64) -> Cell<'static>| found(None, kind, column);
        let number = CellKind::Number;
        assert_eq!(
            only(with(number, &|_, y| Cell::Number(y))).0,
            Suspicion::Copy
        );
        let (reason, sentence) = only(with(number, &|_, y| Cell::Number(-y.ln())));
        assert_eq!(reason, Suspicion::Monotone);
        assert!(sentence.contains("in the reverse order"), "{sentence}");
        // Its absolute value is the target, of which it is no monotone function.
        let (reason, _) = only(with(number, &|at, y| {
            Cell::Number(if at % 2 == 0 { y } else { -y })
        }));
        assert_eq!(reason, Suspicion::Predictor);
        let level = |at: usize, y: f64| Cell::Number(y + (at % 7) as f64 / 5.0);
        assert_eq!(with(number, &level), []);
    }
}
