//! A comparison as a page without scripts.

use super::{ComparedEpoch, ComparedRun, Comparison};
use crate::html::plot::{Axis, COLOURS, Curve, Plot, label, short};
use crate::html::{escape, page_head, shortened};
use crate::run::chart::{dots, epoch, epoch_axis, number};
use crate::tasks::Metric;
use std::fmt::Write as _;

/// Most characters of a value that are shown.
const MOST_TEXT: usize = 60;

impl Comparison {
    /// The comparison as an HTML page: tables of the runs, the settings that differ and the metrics, and curves over the epochs.
    pub fn page(&self) -> String {
        let mut page = page_head(&format!("Comparison of {} runs", self.runs.len()));
        for note in &self.notes {
            let _ = writeln!(page, "<p>{}.</p>", escape(note));
        }
        page.push_str(&self.runs_table());
        page.push_str(&self.metrics_table());
        page.push_str(&self.settings_table());
        page.push_str("<h2>Curves</h2>\n");
        if self.runs.len() > COLOURS {
            let _ = writeln!(page, "<p>Every {COLOURS}th run has the same colour.</p>");
        }
        page.push_str(&self.curves("training loss", "train_loss", label));
        for row in &self.metrics {
            let Metric { name, .. } = row.metric;
            let drawn = name == "loss" || row.metric.in_epoch_line;
            if row.epoch == ComparedEpoch::Last && drawn {
                let show = |value: f64, step: f64| match name {
                    "loss" => label(value, step),
                    _ => row.metric.show(value),
                };
                let title = format!("evaluated {name}");
                page.push_str(&self.curves(&title, &format!("test_{name}"), show));
            }
        }
        page.push_str("</html>\n");
        page
    }

    /// A cell for each run with its number, in its colour.
    fn numbers(&self) -> String {
        let cell = |index: usize| {
            let class = colour(index);
            format!(
                "<th><b class=\"{class}\" style=\"color: var(--ink)\">{}</b>",
                index + 1
            )
        };
        (0..self.runs.len()).map(cell).collect()
    }

    fn runs_table(&self) -> String {
        let mut table = "<h2>Runs</h2>\n<table>\n<tr><th>run<th class=\"name\">folder<th class=\"name\">model and data\
                         <th class=\"name\">task<th class=\"name\">part<th>epochs<th>best epoch<th>seconds\n"
            .to_string();
        for (index, run) in self.runs.iter().enumerate() {
            let best = run.best.map_or(String::new(), |(epoch, metric)| {
                format!("{epoch}, by {metric}")
            });
            let _ = writeln!(
                table,
                "<tr><td><b class=\"{}\" style=\"color: var(--ink)\">{}</b><td class=\"name\">{}<td class=\"name\">{}\
                 <td class=\"name\">{}<td class=\"name\">{}<td>{}<td>{best}<td>{}",
                colour(index),
                index + 1,
                escape(&run.path.display().to_string()),
                escape(&shortened(&run.title, MOST_TEXT)),
                run.task,
                run.part.name(),
                run.epochs,
                short(run.seconds)
            );
        }
        table.push_str("</table>\n");
        table
    }

    fn metrics_table(&self) -> String {
        let numbers = self.numbers();
        let mut table = format!(
            "<h2>Metrics</h2>\n<p>On the evaluated part; the best values are bold.</p>\n\
             <table>\n<tr><th class=\"name\">metric{numbers}\n"
        );
        for row in &self.metrics {
            let _ = write!(table, "<tr><td class=\"name\">{}", row.title());
            let winners = row.winners();
            for (index, value) in row.values.iter().enumerate() {
                let text = value.map_or("–".to_string(), |value| row.metric.show(value));
                let _ = match winners.contains(&index) {
                    true => write!(table, "<td><b>{text}</b>"),
                    false => write!(table, "<td>{text}"),
                };
            }
            table.push('\n');
        }
        table.push_str("</table>\n");
        table
    }

    fn settings_table(&self) -> String {
        let mut table = "<h2>Settings that differ</h2>\n".to_string();
        if self.settings.is_empty() {
            table.push_str("<p>None.</p>\n");
            return table;
        }
        let _ = writeln!(
            table,
            "<table>\n<tr><th class=\"name\">setting{}",
            self.numbers()
        );
        for row in &self.settings {
            let _ = write!(table, "<tr><td class=\"name\">{}", escape(&row.key));
            for value in row.shown() {
                let _ = write!(table, "<td>{}", escape(&shortened(&value, MOST_TEXT)));
            }
            table.push('\n');
        }
        table.push_str("</table>\n");
        table
    }

    /// A chart with a curve of each run over its epochs: the values of `key` in `metrics.jsonl`.
    fn curves(&self, title: &str, key: &str, show: impl Fn(f64, f64) -> String) -> String {
        let epochs = self.runs.iter().map(|run| run.epochs).max().unwrap_or(0);
        let points = |run: &ComparedRun| -> Vec<(f64, f64)> {
            let lines = run.lines.iter();
            lines
                .map(|line| (epoch(line).saturating_sub(1) as f64, number(line, key)))
                .collect()
        };
        let all = self.runs.iter().flat_map(points);
        let Some(y) = Axis::labelled(title, all.map(|(_, y)| y), show) else {
            return String::new();
        };
        let curve = |(index, run): (usize, &ComparedRun)| {
            let name = format!("{} {}", index + 1, shortened(&run.name(), MOST_TEXT));
            Curve {
                dots: dots(run.lines.len()),
                ..Curve::line(&name, &colour(index), points(run))
            }
        };
        let plot = Plot {
            title: title.to_string(),
            x: epoch_axis(&(1..=epochs).collect::<Vec<u64>>()),
            y,
            bars: Vec::new(),
            curves: self.runs.iter().enumerate().map(curve).collect(),
        };
        plot.html()
    }
}

/// The class of the colour of a run.
fn colour(index: usize) -> String {
    format!("c{}", index % COLOURS)
}
