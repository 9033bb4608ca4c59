//! A profile as lines of text.

use super::{ColumnProfile, ColumnRole, ColumnValues, Distribution, TableProfile};
use crate::data::Moment;
use crate::html::plot::significant;
use crate::html::{in_blocks, shortened};

/// Columns that are shown, in texts and on pages; JSON has all of them.
pub(super) const MOST_COLUMNS: usize = 200;
/// Categories that are shown.
const CATEGORIES: usize = 4;
/// Characters of a name or category that are shown.
const SHOWN: usize = 40;
/// Whole numbers below this have all of their digits.
const WHOLE: f64 = 1e12;
/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// The profile as lines: about the rows, two for each column, then what may leak the target.
pub fn lines(profile: &TableProfile) -> Vec<String> {
    let mut lines = vec![format!("profile of {}", about(profile))];
    for column in profile.columns.iter().take(MOST_COLUMNS) {
        lines.push(format!(
            "column {}: {}",
            shortened(&column.name, SHOWN),
            summary(column, profile.rows)
        ));
        lines.extend(values(column, profile.rows).map(|values| format!("  {values}")));
    }
    lines.extend(left_out(profile));
    let suspects = profile.suspects.iter();
    lines.extend(suspects.map(|suspect| format!("suspect: {}", suspect.sentence)));
    if profile.suspects.is_empty() {
        lines.push("no column is suspected to leak the target or to name the rows".to_string());
    }
    lines
}

/// Which rows the profile is of.
pub(super) fn about(profile: &TableProfile) -> String {
    let TableProfile {
        name,
        rows,
        sampled,
        target,
        ..
    } = profile;
    let sample = match sampled < rows {
        true => {
            format!("; quartiles, histograms and distinct numbers are of {sampled} random rows")
        }
        false => String::new(),
    };
    format!("the {rows} rows of {name}, with the target {target}{sample}")
}

/// How many columns are not shown.
pub(super) fn left_out(profile: &TableProfile) -> Option<String> {
    let more = profile.columns.len().saturating_sub(MOST_COLUMNS);
    (more > 0).then(|| format!("… and {more} more columns; --json has all of them"))
}

/// Kind, distinct values, missing cells and association of a column of a table of `rows`.
pub(super) fn summary(column: &ColumnProfile, rows: usize) -> String {
    let kind = match column.values {
        ColumnValues::Number(_) => "numbers",
        ColumnValues::Date(_) => "dates",
        ColumnValues::Category { .. } => "categories",
        ColumnValues::Empty => return "all cells are missing".to_string(),
    };
    let role = match column.role {
        ColumnRole::Input => "",
        ColumnRole::Target => "the target, ",
        ColumnRole::LeftOut => "left out, ",
    };
    let least = if column.at_least { "at least " } else { "" };
    let missing = match column.missing {
        0 => "none missing".to_string(),
        count => format!(
            "some missing ({count}, {:.1}%)",
            100.0 * count as f64 / rows as f64
        ),
    };
    let association = column.association.map_or(String::new(), |association| {
        format!(", {} {:.3}", association.measure.name(), association.value)
    });
    format!(
        "{role}{kind}, {least}{} distinct, {missing}{association}",
        column.distinct
    )
}

/// The values of a column of a table of `rows`; `None` if it has none.
fn values(column: &ColumnProfile, rows: usize) -> Option<String> {
    match &column.values {
        ColumnValues::Number(found) | ColumnValues::Date(found) => {
            let [min, max] = [found.min, found.max].map(|x| shown(column, x));
            let bars = in_blocks(&found.histogram);
            let figures = figures(column, found);
            let figures: Vec<String> = figures
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            Some(format!("{min} |{bars}| {max}; {}", figures.join(", ")))
        }
        ColumnValues::Category { top } => {
            let present = (rows - column.missing).max(1) as f64;
            let share = |count: usize| format!("{:.1}%", 100.0 * count as f64 / present);
            let mut listed: Vec<String> = top
                .iter()
                .take(CATEGORIES)
                .map(|(text, count)| format!("{} {}", shortened(text, SHOWN), share(*count)))
                .collect();
            if column.distinct > listed.len() {
                listed.push(format!("{} more", column.distinct - listed.len()));
            }
            Some(listed.join(", "))
        }
        ColumnValues::Empty => None,
    }
}

/// Quartiles, mean and deviation with their names.
pub(super) fn figures(column: &ColumnProfile, found: &Distribution) -> [(&'static str, String); 3] {
    let quartiles = [found.lower_quartile, found.median, found.upper_quartile];
    let quartiles = quartiles.map(|x| shown(column, x)).join(" / ");
    let deviation = match column.values {
        ColumnValues::Date(_) => format!("{} days", significant(found.std / DAY, 4)),
        _ => significant(found.std, 4),
    };
    [
        ("quartiles", quartiles),
        ("mean", shown(column, found.mean)),
        ("deviation", deviation),
    ]
}

/// A number of a column, or a date.
pub(super) fn shown(column: &ColumnProfile, x: f64) -> String {
    match column.values {
        ColumnValues::Date(_) => Moment::in_words(x),
        _ if x.fract() == 0.0 && x.abs() < WHOLE => format!("{x}"),
        _ => significant(x, 5),
    }
}
