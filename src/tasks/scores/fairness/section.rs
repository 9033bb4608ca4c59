//! How groups are treated, as a page of HTML: a table and a chart for each grouping, with the intervals of a bootstrap.

use super::{DRAWS, FairFigure, Fairness, FittedThresholds, Grouping, RATES, TradeOff};
use crate::data::GroupThresholds;
use crate::html::plot::{Axis, Curve, Plot};
use crate::html::{escape, page_head, shortened};
use std::fmt::Write as _;

/// Up to this many groups are named on the axis of a chart; more are numbered as in the table.
const MOST_NAMED: usize = 6;
/// Most characters of a name on the axis.
const MOST_NAME: usize = 14;
/// Distance on the axis between the rates of a group; groups are 1 apart.
const APART: f64 = 0.14;

/// How groups are treated, as sections of a page.
pub fn fairness_sections(fairness: &Fairness) -> String {
    let mut html = format!(
        "<p>{} samples of the {} part; the positive class is <b>{}</b>. Lines and brackets are the intervals that hold 95% of {DRAWS} \
         draws of the samples with replacement.</p>\n",
        fairness.count,
        escape(&fairness.part),
        escape(&fairness.positive)
    );
    for grouping in &fairness.groupings {
        html.push_str(&section(grouping));
    }
    html
}

/// The section of a grouping.
fn section(grouping: &Grouping) -> String {
    let mut html = format!(
        "<h2>Groups by {}</h2>\n",
        escape(&grouping.columns.join(", "))
    );
    html.push_str(&chart(grouping).html());
    html.push_str("<table class=\"whole\">\n<tr><th class=\"name\">group<th>samples");
    for rate in RATES {
        let _ = write!(html, "<th>{}", in_words(rate));
    }
    html.push_str("<th>calibration error\n");
    for (number, group) in (1..).zip(&grouping.groups) {
        let _ = write!(
            html,
            "<tr><td class=\"name\">{number}. {}<td>{}",
            escape(&group.values.join(", ")),
            group.count
        );
        for rate in &group.rates {
            let _ = write!(html, "<td>{}", shown(rate));
        }
        let _ = writeln!(html, "<td>{:.4}", group.calibration_error);
    }
    html.push_str("</table>\n<table class=\"whole\">\n<tr><th class=\"name\">gap<th>value\n");
    for gap in &grouping.gaps {
        let name = in_words(&gap.name);
        let _ = writeln!(html, "<tr><td class=\"name\">{name}<td>{}", shown(gap));
    }
    html.push_str("</table>\n");
    for warning in &grouping.warnings {
        let _ = writeln!(html, "<p>Warning: {}.</p>", escape(warning));
    }
    html
}

/// A page called `title` of the trade-off between the gap of `thresholds` and accuracy, on the samples to which they were fitted.
pub fn trade_off_page(
    fitted: &FittedThresholds,
    thresholds: &GroupThresholds,
    title: &str,
) -> String {
    let mut page = page_head(title);
    let criterion = in_words(&thresholds.criterion);
    let point = |judged: &TradeOff| (judged.gap, judged.accuracy);
    let line: Vec<(f64, f64)> = fitted.trade_off.iter().map(point).collect();
    let ends = [&fitted.before, &fitted.after];
    let all = || line.iter().copied().chain(ends.map(point));
    let gap = Axis::over(
        &format!("gap ({criterion})"),
        all().map(|(gap, _)| gap).chain([0.0]),
    );
    let accuracy = Axis::over("accuracy", all().map(|(_, accuracy)| accuracy));
    if let (Some(x), Some(y)) = (gap, accuracy) {
        let plot = Plot {
            title: "trade-off".to_string(),
            x,
            y,
            bars: Vec::new(),
            curves: vec![
                Curve::line("best accuracy for a gap", "c0", line),
                Curve::dots("one threshold", "c1", vec![point(&fitted.before)], 5.0),
                Curve::dots("these thresholds", "c2", vec![point(&fitted.after)], 5.0),
            ],
        };
        page.push_str(&plot.html());
    }
    let _ = writeln!(
        page,
        "<table class=\"whole\">\n<tr><th class=\"name\">{}<th>{} from",
        escape(&thresholds.columns.join(", ")),
        escape(&thresholds.positive)
    );
    for group in &thresholds.group {
        let _ = writeln!(
            page,
            "<tr><td class=\"name\">{}<td>{:.2}%",
            escape(&group.values.join(", ")),
            100.0 * group.threshold
        );
    }
    let _ = writeln!(
        page,
        "</table>\n<p>On the {} part, accuracy is {:.2}% with these thresholds and {:.2}% with one half for every group.</p>",
        escape(&thresholds.part),
        100.0 * fitted.after.accuracy,
        100.0 * fitted.before.accuracy
    );
    page
}

/// A figure with its interval.
fn shown(figure: &FairFigure) -> String {
    match (figure.value, figure.interval) {
        (Some(value), Some([low, high])) => format!("{value:.4} [{low:.4}, {high:.4}]"),
        (Some(value), None) => format!("{value:.4}"),
        (None, _) => "not known".to_string(),
    }
}

/// The name of a figure in words.
fn in_words(name: &str) -> String {
    name.replace('_', " ")
}

/// The rates of the groups, with their intervals.
fn chart(grouping: &Grouping) -> Plot {
    let count = grouping.groups.len();
    let name = |(number, values): (usize, &[String])| match count <= MOST_NAMED {
        true => shortened(&values.join(", "), MOST_NAME),
        false => number.to_string(),
    };
    let names = grouping.groups.iter().enumerate();
    let names: Vec<String> = names
        .map(|(place, group)| name((place + 1, &group.values)))
        .collect();
    let mut across = Axis::names(&grouping.columns.join(", "), &names);
    across.range = [-0.5, count.max(1) as f64 - 0.5];
    let mut curves = Vec::new();
    for (rate, name) in RATES.iter().enumerate() {
        let class = format!("c{rate}");
        let centre = (RATES.len() - 1) as f64 / 2.0;
        let at = |group: usize| group as f64 + (rate as f64 - centre) * APART;
        let mut dots = Vec::new();
        for (place, group) in grouping.groups.iter().enumerate() {
            let Some(figure) = group.rates.get(rate) else {
                continue;
            };
            dots.extend(figure.value.map(|value| (at(place), value)));
            if let Some([low, high]) = figure.interval {
                let line = vec![(at(place), low), (at(place), high)];
                curves.push(Curve::line("", &class, line));
            }
        }
        curves.push(Curve::dots(&in_words(name), &class, dots, 4.0));
    }
    Plot {
        title: "rates by group".to_string(),
        x: across,
        y: Axis::share("share"),
        bars: Vec::new(),
        curves,
    }
}
