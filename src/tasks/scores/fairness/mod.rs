//! Fairness: whether a classifier treats groups of samples alike. Rates of each group, gaps between groups, and bootstrap intervals
//! of both, from labels and decisions; several columns divide the samples each by itself, and together.

mod bootstrap;
mod counts;
mod gaps;
mod section;
mod thresholds;

pub(crate) use bootstrap::interval as bootstrap_interval;
pub use bootstrap::{DRAWS, LEVEL};
pub use counts::{DecisionOutcome, OutcomeCounts, RATES, Rates};
pub use gaps::{GAPS, Gaps, gaps};
pub use section::{fairness_sections, trade_off_page};
pub use thresholds::{Criterion, FittedThresholds, TradeOff, fit_thresholds};

use super::Calibration;
use crate::data::{SampleGroups, Samples};
use crate::error::{Error, Result};
use crate::nearest::did_you_mean;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A group with fewer samples is warned of: its rates vary by several points from one draw of samples to the next.
pub const SMALL_GROUP: u64 = 100;

/// What was decided about samples, and what is true of them.
#[derive(Clone, Copy, Debug)]
pub struct Decisions<'a> {
    /// The class of each sample.
    pub labels: &'a [u32],
    /// The class that each was predicted to be of.
    pub decisions: &'a [u32],
    /// The logits of the classes, sample after sample, by which calibration is judged.
    pub logits: &'a [f32],
    /// Number of classes.
    pub classes: usize,
    /// The positive class: an index.
    pub positive: u32,
}

/// A figure, and the interval in which it lies in 95% of the draws of a bootstrap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FairFigure {
    /// Its name.
    pub name: String,
    /// Its value; `None` where no sample decides it.
    pub value: Option<f64>,
    /// The interval; `None` if it is not known in half of the draws.
    pub interval: Option<[f64; 2]>,
}

/// The figures of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupFigures {
    /// Its value in each column.
    pub values: Vec<String>,
    /// Number of samples.
    pub count: u64,
    /// Its rates, in the order of [`RATES`].
    pub rates: Vec<FairFigure>,
    /// Expected calibration error of its samples.
    pub calibration_error: f64,
}

/// Groups by the values of some columns, and the gaps between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grouping {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The groups, sorted by their values.
    pub groups: Vec<GroupFigures>,
    /// The gaps, in the order of [`GAPS`].
    pub gaps: Vec<FairFigure>,
    /// What makes figures uncertain, one sentence each.
    pub warnings: Vec<String>,
}

/// How a classifier treats groups: by each column, and by all columns together if there are several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fairness {
    /// The part of the data.
    pub part: String,
    /// Number of samples.
    pub count: u64,
    /// Name of the positive class.
    pub positive: String,
    /// The groupings.
    pub groupings: Vec<Grouping>,
}

impl Fairness {
    /// How groups of `samples` are treated by `decisions`, which are about these samples of a `part` of the data, by the values of
    /// `columns`. `positive` is the name of the positive class, and `seed` that of the bootstrap.
    ///
    /// # Errors
    /// If there are no samples, a column has one value only, or there are too many groups.
    pub fn of(
        decisions: Decisions<'_>,
        samples: &Samples,
        columns: &[String],
        (part, positive): (&str, &str),
        seed: u64,
    ) -> Result<Fairness> {
        if samples.is_empty() {
            return Err(Error::Data(format!(
                "the {part} part has no {} to compare groups of",
                samples.noun()
            )));
        }
        let finest = samples.grouped(columns)?;
        let outcomes: Vec<DecisionOutcome> = decisions
            .labels
            .iter()
            .zip(decisions.decisions)
            .map(|(&label, &decision)| DecisionOutcome::of(label, decision, decisions.positive))
            .collect();
        let cells: Vec<u16> = finest
            .of_samples
            .iter()
            .zip(&outcomes)
            .map(|(&group, &outcome)| {
                (group as usize * DecisionOutcome::COUNT + outcome as usize) as u16
            })
            .collect();
        let drawn = bootstrap::drawn_counts(&cells, finest.values.len(), seed);
        let mut groupings = Vec::new();
        let alone = columns.iter().map(std::slice::from_ref);
        let together = (columns.len() > 1).then_some(columns);
        for columns in alone.chain(together) {
            let division = samples.grouped(columns)?;
            let coarser = coarser(&finest, &division);
            let draws = drawn.iter().map(|groups| {
                let mut own = vec![OutcomeCounts::default(); division.values.len()];
                for (counts, &place) in groups.iter().zip(&coarser) {
                    own[place] = own[place].with(counts);
                }
                own.iter().map(OutcomeCounts::rates).collect()
            });
            let draws: Vec<Vec<Rates>> = draws.collect();
            groupings.push(Grouping::of(&decisions, &outcomes, division, &draws));
        }
        Ok(Fairness {
            part: part.to_string(),
            count: samples.len() as u64,
            positive: positive.to_string(),
            groupings,
        })
    }

    /// A line of JSON for each group, and one for the gaps of each grouping.
    pub fn json_lines(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for grouping in &self.groupings {
            lines.extend(grouping.groups.iter().map(|group| {
                let mut line = Map::from_iter([
                    ("event".to_string(), "group".into()),
                    ("columns".to_string(), json!(grouping.columns)),
                    ("group".to_string(), group.values.join(", ").into()),
                    ("values".to_string(), json!(group.values)),
                    ("count".to_string(), group.count.into()),
                    ("small".to_string(), (group.count < SMALL_GROUP).into()),
                ]);
                insert(&mut line, &group.rates);
                let error = group.calibration_error;
                line.insert("expected_calibration_error".to_string(), error.into());
                Value::Object(line)
            }));
            let mut line = Map::from_iter([
                ("event".to_string(), "fairness".into()),
                ("columns".to_string(), json!(grouping.columns)),
                ("groups".to_string(), grouping.groups.len().into()),
                ("part".to_string(), self.part.clone().into()),
                ("count".to_string(), self.count.into()),
                ("positive".to_string(), self.positive.clone().into()),
                ("warnings".to_string(), json!(grouping.warnings)),
            ]);
            insert(&mut line, &grouping.gaps);
            lines.push(Value::Object(line));
        }
        lines
    }
}

/// Adds figures to a line of JSON: `name`, and `name_interval`.
fn insert(line: &mut Map<String, Value>, figures: &[FairFigure]) {
    for figure in figures {
        line.insert(figure.name.clone(), json!(figure.value));
        line.insert(format!("{}_interval", figure.name), json!(figure.interval));
    }
}

impl Grouping {
    /// From the outcomes of samples in these groups, and the rates of the groups in the draws of a bootstrap.
    fn of(
        decisions: &Decisions<'_>,
        outcomes: &[DecisionOutcome],
        division: SampleGroups,
        draws: &[Vec<Rates>],
    ) -> Grouping {
        let SampleGroups {
            columns,
            values,
            of_samples,
        } = division;
        let mut counts = vec![OutcomeCounts::default(); values.len()];
        for (&group, &outcome) in of_samples.iter().zip(outcomes) {
            counts[group as usize].add(outcome);
        }
        let rates: Vec<Rates> = counts.iter().map(OutcomeCounts::rates).collect();
        let groups = values.into_iter().enumerate().map(|(at, values)| {
            let drawn = |place: usize| draws.iter().map(move |groups| groups[at][place]);
            GroupFigures {
                values,
                count: counts[at].samples(),
                rates: figures(&RATES, &rates[at], |place| {
                    bootstrap::interval(drawn(place))
                }),
                calibration_error: calibration_error(decisions, &of_samples, at as u32),
            }
        });
        let groups: Vec<GroupFigures> = groups.collect();
        let drawn: Vec<Gaps> = draws.iter().map(|rates| gaps(rates)).collect();
        Grouping {
            warnings: warnings(&groups),
            gaps: figures(&GAPS, &gaps(&rates), |place| {
                bootstrap::interval(drawn.iter().map(|gaps| gaps[place]))
            }),
            columns,
            groups,
        }
    }

    /// The gap called `name`, one of [`GAPS`].
    pub fn gap(&self, name: &str) -> Option<&FairFigure> {
        self.gaps.iter().find(|gap| gap.name == name)
    }
}

/// Figures with these names, values and intervals.
fn figures(
    names: &[&str],
    values: &[Option<f64>],
    interval: impl Fn(usize) -> Option<[f64; 2]>,
) -> Vec<FairFigure> {
    let each = names.iter().zip(values).enumerate();
    each.map(|(place, (name, value))| FairFigure {
        name: name.to_string(),
        value: *value,
        interval: value.and_then(|_| interval(place)),
    })
    .collect()
}

/// For each group of the `finest` division the group of a coarser `division` of the same samples in which it lies.
fn coarser(finest: &SampleGroups, division: &SampleGroups) -> Vec<usize> {
    let mut found = vec![0; finest.values.len()];
    for (&fine, &coarse) in finest.of_samples.iter().zip(&division.of_samples) {
        found[fine as usize] = coarse as usize;
    }
    found
}

/// The expected calibration error of the samples of a group.
fn calibration_error(decisions: &Decisions<'_>, of_samples: &[u32], group: u32) -> f64 {
    let rows = decisions.logits.chunks_exact(decisions.classes.max(1));
    let own = rows.zip(decisions.labels).zip(of_samples);
    let own = own.filter(|(_, of)| **of == group);
    let (logits, labels): (Vec<&[f32]>, Vec<u32>) =
        own.map(|((row, &label), _)| (row, label)).unzip();
    Calibration::of(&logits.concat(), decisions.classes, &labels).expected_error()
}

/// What makes the figures of `groups` uncertain.
fn warnings(groups: &[GroupFigures]) -> Vec<String> {
    let mut warnings = Vec::new();
    for group in groups {
        let name = group.values.join(", ");
        if group.count < SMALL_GROUP {
            warnings.push(format!(
                "the group {name} has {} samples, fewer than {SMALL_GROUP}: its figures, and gaps that it decides, are uncertain",
                group.count
            ));
        }
        let unknown = group.rates.iter().filter(|rate| rate.value.is_none());
        let unknown: Vec<String> = unknown.map(|rate| rate.name.replace('_', " ")).collect();
        if !unknown.is_empty() {
            warnings.push(format!(
                "no sample of the group {name} decides its {}, which the gaps leave out",
                unknown.join(" or ")
            ));
        }
    }
    warnings
}

/// The index of the positive class among `classes`: the one called `name` or, of two classes, the second if none is named.
///
/// # Errors
/// If there is no such class, or none is named of more than two.
pub fn positive_class(name: Option<&str>, classes: &[String]) -> Result<u32> {
    let listed = || match classes.get(..12) {
        Some(first) if classes.len() > 12 => format!("{} and others", first.join(", ")),
        _ => classes.join(", "),
    };
    match (name, classes.len()) {
        (Some(name), _) => {
            let found = classes.iter().position(|class| class == name);
            found.map(|place| place as u32).ok_or_else(|| {
                Error::Config(format!(
                    "there is no class {name} to be the positive one; there are {}{}",
                    listed(),
                    did_you_mean(name, classes.iter().map(String::as_str))
                ))
            })
        }
        (None, 2) => Ok(1),
        (None, _) => Err(Error::Config(format!(
            "groups are compared by one class against the rest, and the data have the classes {}; name one with --positive",
            listed()
        ))),
    }
}

/// The decisions by logits `[samples, classes]`: the class with the largest, the first of those that are equal.
pub fn decided(logits: &[f32], classes: usize) -> Vec<u32> {
    let largest = |row: &[f32]| {
        let each = row.iter().enumerate();
        each.fold(0, |best, (class, &logit)| match logit > row[best] {
            true => class,
            false => best,
        }) as u32
    };
    logits.chunks_exact(classes.max(1)).map(largest).collect()
}

#[cfg(test)]
mod tests;
