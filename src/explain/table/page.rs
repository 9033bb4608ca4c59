//! Explanations of a table as a page without scripts: the importance of its columns, a curve of each, and single rows.

use super::{ExplainedRow, Importances, PartialDependence};
use crate::html::plot::{Axis, COLOURS, Curve, Plot, significant};
use crate::html::{escape, page_head, shortened};
use std::fmt::Write as _;

/// What is shown of a table.
#[derive(Clone, Debug, Default)]
pub struct ExplainedTable {
    /// The importance of its columns.
    pub importances: Option<Importances>,
    /// Mean predictions by the cells of each column.
    pub dependences: Vec<PartialDependence>,
    /// The numbers of the predictions that are drawn, with their names.
    pub drawn: Vec<(usize, String)>,
    /// What is predicted, for the vertical axis of the curves.
    pub quantity: String,
    /// Single rows.
    pub rows: Vec<ExplainedRow>,
}

impl ExplainedTable {
    /// The page, called `title`.
    pub fn page(&self, title: &str) -> String {
        let mut page = page_head(&format!("Explanations of {title}"));
        if let Some(importances) = &self.importances {
            importances.section(&mut page);
        }
        if !self.dependences.is_empty() {
            page.push_str(
                "<h2>Partial dependence</h2>\n<p>The mean prediction where every row has the same cell in a column: quantiles of numbers \
                 from 5% to 95%, the most frequent categories.</p>\n",
            );
        }
        for dependence in &self.dependences {
            page.push_str(&self.chart(dependence));
        }
        for row in &self.rows {
            row.section(&mut page);
        }
        page.push_str("</html>\n");
        page
    }

    fn chart(&self, dependence: &PartialDependence) -> String {
        let drawn = self.drawn.iter().take(COLOURS);
        let at = |place: usize| match dependence.numbers.get(place) {
            Some(number) => *number,
            None => place as f64,
        };
        let curves: Vec<Curve> = drawn
            .enumerate()
            .map(|(colour, (output, name))| {
                let mean = |(place, means): (usize, &Vec<f64>)| {
                    (at(place), means.get(*output).copied().unwrap_or(f64::NAN))
                };
                let points = dependence.means.iter().enumerate().map(mean).collect();
                let mut curve = Curve::line(name, &format!("c{colour}"), points);
                curve.dots = Some(2.5);
                curve
            })
            .collect();
        let values = || curves.iter().flat_map(|curve| &curve.points);
        let x = match dependence.numbers.is_empty() {
            true => Some(Axis::names("", &short(&dependence.cells))),
            false => Axis::over("", values().map(|point| point.0)),
        };
        let y = Axis::over(&self.quantity, values().map(|point| point.1));
        let (Some(x), Some(y)) = (x, y) else {
            return String::new();
        };
        let chart = Plot {
            title: dependence.column.clone(),
            x,
            y,
            bars: Vec::new(),
            curves,
        };
        chart.html()
    }
}

/// Names of categories for an axis that has room for few letters.
fn short(cells: &[String]) -> Vec<String> {
    let most = (48 / cells.len().max(1)).max(1);
    let name = |cell: &String| shortened(cell, most);
    cells.iter().map(name).collect()
}

impl Importances {
    fn section(&self, html: &mut String) {
        let _ = writeln!(
            html,
            "<h2>Permutation importance</h2>\n<p>How much {} falls from {} where the cells of a column are in another order: mean and \
             standard deviation over {} orders of {} rows.</p>\n<table class=\"whole\">\n<tr><th class=\"name\">column<th>fall\
             <th>deviation<th>",
            self.score,
            significant(self.baseline, 4),
            self.repeats,
            self.rows
        );
        let largest = self.columns.iter().map(|own| own.mean).fold(0.0, f64::max);
        for own in &self.columns {
            let _ = writeln!(
                html,
                "<tr><td class=\"name\">{}<td>{}<td>{}<td class=\"bar\"><meter min=\"0\" max=\"1\" value=\"{:.3}\"></meter>",
                escape(&own.column),
                significant(own.mean, 3),
                significant(own.deviation, 2),
                own.mean.max(0.0) / largest.max(f64::MIN_POSITIVE)
            );
        }
        html.push_str("</table>\n");
    }
}

impl ExplainedRow {
    fn section(&self, html: &mut String) {
        let _ = writeln!(
            html,
            "<h2>{}</h2>\n<p>Predicted: {}. Explained: {}, by integrated gradients, whose sum is {:.2}% off.</p>\n<table>\n\
             <tr><th class=\"name\">column<th class=\"name\">cell<th>adds",
            escape(&self.name),
            escape(&self.predictions),
            escape(&self.explained),
            100.0 * self.attributions.completeness
        );
        for ((column, cell), value) in self.in_order() {
            let _ = writeln!(
                html,
                "<tr><td class=\"name\">{}<td class=\"name\">{}<td>{}",
                escape(column),
                escape(cell),
                significant(value, 4)
            );
        }
        html.push_str("</table>\n");
    }

    /// Each column with its cell and what it adds, those first that add or take the most.
    pub fn in_order(&self) -> Vec<(&(String, String), f64)> {
        let values = self.attributions.values.iter().copied();
        let mut each: Vec<(&(String, String), f64)> = self.cells.iter().zip(values).collect();
        each.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        each
    }
}
