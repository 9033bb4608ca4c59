//! Measuring the columns of a table in one pass over its rows, in bounded memory.
//!
//! Sums are of all rows. Numbers are kept for [`SAMPLE`] rows, texts up to [`MOST_TEXTS`] distinct ones.

use super::association::{Comoments, Contingency, Moments, cramers_v, explained};
use super::suspects::suspects;
use super::{
    Association, ColumnProfile, ColumnRole, ColumnValues, Distribution, Measure, TableProfile,
};
use crate::random::Stream;
use std::collections::HashMap;

/// Number of rows of which numbers are kept, about: all rows of a table with fewer.
const SAMPLE: usize = 100_000;
/// Maximum number of distinct texts of a column that are counted.
const MOST_TEXTS: usize = 10_000;
/// Maximum number of pairs of a category and a class that are counted.
const MOST_PAIRS: usize = 100_000;
/// Number of the most frequent categories that are kept.
const TOP: usize = 12;
/// Number of intervals of a histogram.
const INTERVALS: usize = 20;

/// A cell of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) enum Cell<'a> {
    Missing,
    /// A number, or a date as seconds since 1970.
    Number(f64),
    Text(&'a str),
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) enum CellKind {
    Number,
    Date,
    Text,
}

/// A column to measure.
pub(in crate::data) struct Subject {
    pub name: String,
    pub role: ColumnRole,
    pub kind: CellKind,
}

/// Measures the rows of a table, one after another.
pub(in crate::data) struct Profiler {
    columns: Vec<Measured>,
    classes: Option<Classes>,
    rows: usize,
    /// Number of rows that the table has.
    all: usize,
    /// The targets of the rows of which numbers are kept.
    targets: Vec<f64>,
    chance: Stream,
}

/// The classes of the target.
pub(super) struct Classes {
    pub names: Vec<String>,
    /// Number of rows of each.
    pub rows: Vec<u64>,
}

/// A column, and what was measured of it.
pub(super) struct Measured {
    pub subject: Subject,
    /// Number of missing cells by class; in the first place if the target is a number.
    pub missing: Vec<u64>,
    pub own: Own,
}

/// What was measured of the cells of a column, by their kind.
pub(super) enum Own {
    Numbers(Numbers),
    Texts(Texts),
}

/// Numbers of a column, with the target.
#[derive(Default)]
pub(super) struct Numbers {
    pub all: Moments,
    /// Number of those that are whole.
    pub whole: u64,
    /// Number of rows in which the number is the target.
    pub equal: u64,
    /// The numbers of the sampled rows, NaN where a cell is missing.
    pub sample: Vec<f64>,
    /// With a target that is a number.
    pairs: Comoments,
    /// By class.
    by_class: Vec<Moments>,
}

/// Texts of a column, with the target.
#[derive(Default)]
pub(super) struct Texts {
    known: HashMap<String, u32>,
    pub counts: Vec<u64>,
    /// Number of cells that were looked at before there were too many distinct texts.
    pub looked_at: u64,
    pub is_full: bool,
    /// By text, with a target that is a number.
    pub by_text: Vec<Moments>,
    /// By text and class; emptied when there are too many.
    pub table: Contingency,
    too_many_pairs: bool,
}

impl Profiler {
    /// A profiler of `rows` rows of `subjects`, whose target is one of the `classes`, or a number.
    pub fn new(subjects: Vec<Subject>, classes: Option<&[String]>, rows: usize) -> Profiler {
        let count = classes.map_or(0, <[String]>::len);
        let columns = subjects.into_iter().map(|subject| Measured {
            missing: vec![0; count.max(1)],
            own: match subject.kind {
                CellKind::Number | CellKind::Date => Own::Numbers(Numbers {
                    by_class: vec![Moments::default(); count],
                    ..Numbers::default()
                }),
                CellKind::Text => Own::Texts(Texts::default()),
            },
            subject,
        });
        Profiler {
            columns: columns.collect(),
            classes: classes.map(|names| Classes {
                names: names.to_vec(),
                rows: vec![0; count],
            }),
            rows: 0,
            all: rows,
            targets: Vec::new(),
            chance: Stream::new(0, 0),
        }
    }

    /// Adds a row: the target, which is the index of the class if it is one, and a cell of each column.
    pub fn push<'a>(&mut self, target: f64, cells: impl Iterator<Item = Cell<'a>>) {
        self.rows += 1;
        let class = self.classes.as_mut().map(|classes| {
            let class = target as usize;
            classes.rows[class] += 1;
            class
        });
        let kept =
            self.all <= SAMPLE || (f64::from(self.chance.unit()) * self.all as f64) < SAMPLE as f64;
        if kept {
            self.targets.push(target);
        }
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (&mut column.own, cell) {
                (Own::Numbers(numbers), Cell::Number(x)) => numbers.push(x, target, class),
                (Own::Texts(texts), Cell::Text(text)) => texts.push(text, target, class),
                _ => column.missing[class.unwrap_or(0)] += 1,
            }
            if let (true, Own::Numbers(numbers)) = (kept, &mut column.own) {
                numbers.sample.push(match cell {
                    Cell::Number(x) => x,
                    Cell::Missing | Cell::Text(_) => f64::NAN,
                });
            }
        }
    }

    /// The profile of the rows of the file `name`, whose target has the name of the column `target`.
    pub fn finish(self, name: String, target: String) -> TableProfile {
        let suspects = self
            .columns
            .iter()
            .filter(|column| column.subject.role == ColumnRole::Input)
            .flat_map(|column| suspects(column, &self.targets, self.classes.as_ref(), self.rows))
            .collect();
        let sampled = self.targets.len();
        let (rows, is_class) = (self.rows, self.classes.is_some());
        let columns = self.columns.into_iter();
        TableProfile {
            name,
            rows,
            sampled,
            target,
            columns: columns
                .map(|column| column.profile(is_class, sampled < rows))
                .collect(),
            suspects,
        }
    }
}

impl Measured {
    fn profile(self, is_class: bool, is_sample: bool) -> ColumnProfile {
        let association = match &self.own {
            _ if self.subject.role == ColumnRole::Target => None,
            Own::Numbers(numbers) => numbers.association(is_class),
            Own::Texts(texts) => texts.association(is_class),
        };
        let is_date = self.subject.kind == CellKind::Date;
        let (values, distinct, at_least) = match self.own {
            Own::Numbers(numbers) => numbers.values(is_date, is_sample),
            Own::Texts(texts) => texts.values(),
        };
        ColumnProfile {
            name: self.subject.name,
            role: match values {
                ColumnValues::Empty => ColumnRole::LeftOut,
                _ => self.subject.role,
            },
            missing: self.missing.iter().sum::<u64>() as usize,
            distinct,
            at_least,
            values,
            association,
        }
    }
}

impl Numbers {
    fn push(&mut self, x: f64, target: f64, class: Option<usize>) {
        self.all.push(x);
        self.whole += u64::from(x.fract() == 0.0);
        match class {
            Some(class) => self.by_class[class].push(x),
            None => {
                self.equal += u64::from(x == target);
                self.pairs.push(x, target);
            }
        }
    }

    fn association(&self, is_class: bool) -> Option<Association> {
        let (measure, value) = match is_class {
            true => (
                Measure::CorrelationRatio,
                explained(self.by_class.iter()).map(f64::sqrt),
            ),
            false => (Measure::Pearson, self.pairs.correlation()),
        };
        value.map(|value| Association { measure, value })
    }

    /// The distribution, the number of distinct numbers, and whether there may be more.
    fn values(&self, is_date: bool, is_sample: bool) -> (ColumnValues, usize, bool) {
        if self.all.count == 0 {
            return (ColumnValues::Empty, 0, false);
        }
        let mut sorted: Vec<f64> = self
            .sample
            .iter()
            .copied()
            .filter(|x| !x.is_nan())
            .collect();
        sorted.sort_by(f64::total_cmp);
        let Moments { mean, min, max, .. } = self.all;
        let distribution = Distribution {
            min,
            lower_quartile: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            upper_quartile: quantile(&sorted, 0.75),
            max,
            mean,
            std: self.all.std(),
            histogram: histogram(&sorted, [min, max]),
        };
        let distinct = sorted.chunk_by(|a, b| a == b).count();
        let values = match is_date {
            true => ColumnValues::Date(distribution),
            false => ColumnValues::Number(distribution),
        };
        (values, distinct, is_sample)
    }
}

/// The quantile `share` of `sorted` numbers, interpolated linearly; NaN if there are none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(f64::NAN);
    let (low, high) = (at(place.floor()), at(place.ceil()));
    low + (high - low) * place.fract()
}

/// The number of `values` in each interval of equal width between the ends; one interval if the ends are equal.
fn histogram(values: &[f64], [low, high]: [f64; 2]) -> Vec<usize> {
    let width = high - low;
    if width <= 0.0 || !width.is_finite() {
        return vec![values.len()];
    }
    let edge = |place: usize| low + width / INTERVALS as f64 * place as f64;
    let mut counts = vec![0; INTERVALS];
    for &x in values {
        let place = ((x - low) / width * INTERVALS as f64) as usize;
        let mut place = place.min(INTERVALS - 1);
        // A number at an edge, where the division is rounded.
        if x < edge(place) {
            place -= 1;
        } else if place + 1 < INTERVALS && x >= edge(place + 1) {
            place += 1;
        }
        counts[place] += 1;
    }
    counts
}

impl Texts {
    fn push(&mut self, text: &str, target: f64, class: Option<usize>) {
        let index = match self.known.get(text) {
            Some(&index) => index,
            None if self.known.len() >= MOST_TEXTS => {
                self.is_full = true;
                return;
            }
            None => {
                let index = self.counts.len() as u32;
                self.known.insert(text.to_string(), index);
                self.counts.push(0);
                self.by_text.push(Moments::default());
                index
            }
        };
        self.looked_at += u64::from(!self.is_full);
        self.counts[index as usize] += 1;
        match class {
            None => self.by_text[index as usize].push(target),
            Some(_) if self.too_many_pairs => {}
            Some(class) => {
                *self.table.entry((index, class as u32)).or_insert(0) += 1;
                if self.table.len() > MOST_PAIRS {
                    (self.too_many_pairs, self.table) = (true, Contingency::new());
                }
            }
        }
    }

    /// Whether all texts were counted, so that associations are of all rows.
    pub fn is_complete(&self) -> bool {
        !self.is_full && !self.too_many_pairs
    }

    fn association(&self, is_class: bool) -> Option<Association> {
        if !self.is_complete() {
            return None;
        }
        let (measure, value) = match is_class {
            true => (Measure::CramersV, cramers_v(&self.table)),
            false => (
                Measure::CorrelationRatio,
                explained(self.by_text.iter()).map(f64::sqrt),
            ),
        };
        value.map(|value| Association { measure, value })
    }

    /// The most frequent texts, the number of distinct texts, and whether there may be more.
    fn values(self) -> (ColumnValues, usize, bool) {
        let counts = &self.counts;
        let texts = self.known.into_iter();
        let mut top: Vec<(String, usize)> = texts
            .map(|(text, index)| (text, counts[index as usize] as usize))
            .collect();
        let distinct = top.len();
        if distinct == 0 {
            return (ColumnValues::Empty, 0, false);
        }
        top.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        top.truncate(TOP);
        (ColumnValues::Category { top }, distinct, self.is_full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiled(
        classes: Option<&[String]>,
        rows: usize,
        row: impl Fn(usize) -> (f64, [Cell<'static>; 2]),
    ) -> TableProfile {
        let subject = |name: &str, kind: CellKind| Subject {
            name: name.to_string(),
            role: ColumnRole::Input,
            kind,
        };
        let subjects = vec![subject("a", CellKind::Number), subject("b", CellKind::Text)];
        let mut profiler = Profiler::new(subjects, classes, rows);
        for at in 0..rows {
            let (target, cells) = row(at);
            profiler.push(target, cells.into_iter());
        }
        profiler.finish("t.csv".to_string(), "y".to_string())
    }

    /// Quartiles by NumPy: `numpy.quantile([1, 2, 4, 8], q)`.
    #[test]
    fn quartiles_missing_cells_and_frequent_texts_are_counted() {
        let numbers = [1.0, 8.0, 2.0, 4.0];
        let profile = profiled(None, 5, |at| match at {
            4 => (3.0, [Cell::Missing, Cell::Text("z")]),
            _ => (
                at as f64,
                [Cell::Number(numbers[at]), Cell::Text(["x", "z"][at % 2])],
            ),
        });
        let [a, b] = &profile.columns[..] else {
            panic!("two columns");
        };
        let ColumnValues::Number(found) = &a.values else {
            panic!("{a:?}");
        };
        let quartiles = [found.lower_quartile, found.median, found.upper_quartile];
        assert_eq!(quartiles, [1.75, 3.0, 5.0]);
        assert_eq!((found.mean, found.min, found.max), (3.75, 1.0, 8.0));
        assert_eq!(found.histogram.iter().sum::<usize>(), 4);
        assert_eq!((found.histogram[0], found.histogram[19]), (1, 1));
        assert_eq!((a.missing, a.distinct, a.at_least), (1, 4, false));
        assert_eq!(a.association.unwrap().measure, Measure::Pearson);
        let ColumnValues::Category { top } = &b.values else {
            panic!("{b:?}");
        };
        assert_eq!(top[..], [("z".to_string(), 3), ("x".to_string(), 2)]);
    }

    #[test]
    fn a_large_table_is_sampled_and_its_sums_are_of_all_rows() {
        let rows = 4 * SAMPLE;
        let classes = ["no", "yes"].map(String::from);
        let profile = profiled(Some(&classes), rows, |at| {
            let half = f64::from(at >= 2 * SAMPLE);
            (half, [Cell::Number(at as f64), Cell::Text("same")])
        });
        assert!(
            profile.sampled.abs_diff(SAMPLE) < SAMPLE / 50,
            "{}",
            profile.sampled
        );
        let ColumnValues::Number(found) = &profile.columns[0].values else {
            panic!("numbers");
        };
        assert_eq!((found.min, found.max), (0.0, (rows - 1) as f64));
        assert!((found.mean - (rows - 1) as f64 / 2.0).abs() < 1e-6);
        assert!(
            (found.median / rows as f64 - 0.5).abs() < 0.01,
            "{}",
            found.median
        );
        assert!(profile.columns[0].at_least);
    }

    #[test]
    fn distinct_texts_are_counted_up_to_a_bound() {
        let mut texts = Texts::default();
        for at in 0..=2 * MOST_TEXTS {
            texts.push(&at.to_string(), 0.0, Some(0));
        }
        assert_eq!(texts.looked_at, MOST_TEXTS as u64);
        assert_eq!(texts.association(true), None);
        let (_, distinct, at_least) = texts.values();
        assert_eq!((distinct, at_least), (MOST_TEXTS, true));
    }
}
