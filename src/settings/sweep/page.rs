//! `sweep.html`: parallel coordinates and a table of all trials, without scripts.

use super::values::{value_text, values_text};
use super::{SweepSummary, TrialResult};
use crate::html::plot::{Axis, short, significant};
use crate::html::{ParallelLine, ParallelPlot, escape, page_head, shortened};
use std::fmt::Write as _;
use toml::Value;

/// Most trials in the picture, and most rows of the table.
const MOST_LINES: usize = 500;
const MOST_ROWS: usize = 1000;
/// Up to this many different numbers are marked on an axis.
const MOST_TICKS: usize = 8;
/// Most characters of a value.
const MOST_TEXT: usize = 60;
/// A larger ratio of values is drawn on a logarithmic axis.
const LOGARITHMIC: f64 = 9.9;

impl SweepSummary {
    /// The page.
    pub(super) fn page(&self) -> String {
        let mut page = page_head(&format!("Sweep of {}", self.title));
        let failed = match self.failed() {
            0 => String::new(),
            failed => format!(", of which {failed} failed"),
        };
        let _ = writeln!(
            page,
            "<p>{} trials by method {}{failed}, compared by {} on the {} part.</p>",
            self.results.len(),
            self.method.name(),
            escape(&self.metric),
            self.part.name()
        );
        if let Some(best) = self.best() {
            let _ = writeln!(
                page,
                "<p>Best: trial {}, <b>{}</b>, with {}. Its settings are in <code>best.toml</code>.</p>",
                best.trial,
                escape(&best.shown_value().unwrap_or_default()),
                escape(&shortened(&values_text(&best.values), 1000))
            );
        }
        page.push_str(&self.picture());
        page.push_str(&self.table());
        page.push_str("</html>\n");
        page
    }

    /// The trials that did not fail as lines through their values and the metric. The best one is in front.
    fn picture(&self) -> String {
        let results = self
            .results
            .iter()
            .filter(|result| result.value().is_some());
        let results: Vec<&TrialResult> = results.take(MOST_LINES).collect();
        let metric: Vec<f64> = results.iter().filter_map(|result| result.value()).collect();
        let show = |value: f64, _: f64| results.first().map_or(String::new(), |r| r.show(value));
        let Some(metric_axis) = Axis::labelled(&self.metric, metric.iter().copied(), show) else {
            return String::new();
        };
        let mut axes = Vec::new();
        let mut columns: Vec<Vec<f64>> = Vec::new();
        for (place, key) in self.keys.iter().enumerate() {
            let values = results.iter().filter_map(|result| result.values.get(place));
            let values: Vec<&Value> = values.map(|(_, value)| value).collect();
            if let Some((axis, column)) = axis(key, &values) {
                axes.push(axis);
                columns.push(column);
            }
        }
        axes.push(metric_axis);
        let lines = results.iter().zip(&metric).enumerate();
        let line = |(index, (result, &value)): (usize, (&&TrialResult, &f64))| ParallelLine {
            name: format!(
                "trial {}, {}: {}",
                result.trial,
                result.shown_value().unwrap_or_default(),
                values_text(&result.values)
            ),
            values: columns
                .iter()
                .map(|column| column.get(index).copied().unwrap_or(f64::NAN))
                .chain([value])
                .collect(),
            // By rank, since one bad trial may lie far from all others.
            shade: 1.0 - index as f64 / (metric.len().max(2) - 1) as f64,
            is_wide: index == 0,
        };
        let mut lines: Vec<ParallelLine> = lines.map(line).collect();
        lines.reverse();
        let plot = ParallelPlot {
            title: format!(
                "a line for each trial, from the worst {} (orange) to the best (blue)",
                self.metric
            ),
            axes,
            lines,
        };
        format!("<h2>Trials</h2>\n{}", plot.html())
    }

    fn table(&self) -> String {
        let several = self.results.iter().any(|result| result.runs.len() > 1);
        let mut table = "<table class=\"whole\">\n<tr><th>trial".to_string();
        for key in &self.keys {
            let _ = write!(table, "<th>{}", escape(key));
        }
        let _ = write!(table, "<th>{}", escape(&self.metric));
        if several {
            table.push_str("<th>over the seeds");
        }
        table.push_str("<th>epochs<th>steps<th>seconds\n");
        for result in self.results.iter().take(MOST_ROWS) {
            let _ = write!(table, "<tr><td>{}", result.trial);
            for (_, value) in &result.values {
                let _ = write!(
                    table,
                    "<td>{}",
                    escape(&shortened(&value_text(value), MOST_TEXT))
                );
            }
            if let Some(error) = &result.error {
                let columns = if several { 5 } else { 4 };
                let _ = writeln!(
                    table,
                    "<td class=\"text\" colspan=\"{columns}\">failed: {}",
                    escape(&shortened(error, 400))
                );
                continue;
            }
            let value = result
                .value()
                .map_or(String::new(), |value| result.show(value));
            let _ = write!(table, "<td>{}", escape(&value));
            if several {
                let values: Vec<String> = result
                    .runs
                    .iter()
                    .map(|run| result.show(run.value))
                    .collect();
                let _ = write!(table, "<td>{}", escape(&values.join(", ")));
            }
            let _ = writeln!(
                table,
                "<td>{}<td>{}<td>{}",
                result.epochs(),
                result.steps(),
                short(result.seconds())
            );
        }
        table.push_str("</table>\n");
        if self.results.len() > MOST_ROWS {
            let _ = writeln!(table, "<p>The best {MOST_ROWS} trials.</p>");
        }
        table
    }
}

/// The axis of a setting with these values, and where they lie on it. Numbers are at their values, others at their names.
fn axis(key: &str, values: &[&Value]) -> Option<(Axis, Vec<f64>)> {
    let number = |value: &&Value| {
        value
            .as_float()
            .or(value.as_integer().map(|whole| whole as f64))
    };
    let Some(numbers) = values.iter().map(number).collect::<Option<Vec<f64>>>() else {
        let mut names: Vec<String> = Vec::new();
        let place = |value: &&Value| {
            let name = value_text(value);
            let found = names.iter().position(|known| *known == name);
            found.unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            }) as f64
        };
        let column = values.iter().map(place).collect();
        return Some((Axis::names(key, &names), column));
    };
    let mut distinct = numbers.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let (low, high) = (*distinct.first()?, *distinct.last()?);
    let all = numbers.iter().copied();
    let mut axis = match low > 0.0 && high / low > LOGARITHMIC {
        true => Axis::logarithmic(key, all)?,
        false => Axis::over(key, all)?,
    };
    if distinct.len() <= MOST_TICKS {
        axis.ticks = distinct
            .iter()
            .map(|&value| (value, significant(value, 4)))
            .collect();
    }
    Some((axis, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_an_axis_of_numbers_and_texts_one_of_names() {
        let of = |values: &[Value]| {
            let values: Vec<&Value> = values.iter().collect();
            axis("key", &values).unwrap()
        };
        let (found, column) = of(&[0.1.into(), 0.001.into(), 0.1.into()]);
        assert!(found.logarithmic);
        assert_eq!(column, [0.1, 0.001, 0.1]);
        assert_eq!(
            found.ticks,
            [(0.001, "0.001".to_string()), (0.1, "0.1".to_string())]
        );
        let (found, _) = of(&[Value::Integer(8), Value::Integer(16)]);
        assert!(!found.logarithmic);
        let (found, column) = of(&["sgd".into(), "adam".into(), "sgd".into(), Value::Integer(3)]);
        assert_eq!(column, [0.0, 1.0, 0.0, 2.0]);
        let names: Vec<&str> = found.ticks.iter().map(|(_, name)| &**name).collect();
        assert_eq!(names, ["sgd", "adam", "3"]);
    }
}
