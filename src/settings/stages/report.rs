//! `report.html` of stages: what is left of every task after each of them.

use super::StagesSummary;
use crate::html::plot::{Axis, COLOURS, Curve, Plot};
use crate::html::{escape, page_head};
use crate::settings::Settings;
use std::fmt::Write as _;

/// The page about the stages that are finished.
pub(super) fn page(title: &str, summary: &StagesSummary, settings: &Settings) -> String {
    let mut page = page_head(&format!("Continual learning: {title}"));
    let all = settings.stages().len();
    let _ = writeln!(
        page,
        "<p>{} of {all} stages, each trained after the one before ({}). The {} on the test part of every task, after each stage.</p>",
        summary.rows.len(),
        method(settings),
        escape(summary.metric())
    );
    page.push_str(&table(summary));
    page.push_str(&chart(summary));
    page
}

/// The method in words.
fn method(settings: &Settings) -> String {
    use crate::settings::ContinualMethod::{Ewc, FineTuning, Replay};
    let own = settings.continual.clone().unwrap_or_default();
    match own.method {
        FineTuning => "fine-tuning alone".to_string(),
        Ewc => format!("elastic weight consolidation of strength {}", own.strength),
        Replay => format!(
            "replay of {} samples of each earlier stage, {:.0} % of a batch",
            own.memory,
            100.0 * own.share
        ),
    }
}

/// The matrix: a row after each stage, a column for each task.
fn table(summary: &StagesSummary) -> String {
    let mut table = String::from("<table class=\"whole\">\n");
    for (number, row) in summary.cells().iter().enumerate() {
        let tag = if number == 0 { "th" } else { "td" };
        let cells: String = (row.iter().enumerate())
            .map(|(column, cell)| {
                let class = if column == 0 { " class=\"name\"" } else { "" };
                format!("<{tag}{class}>{}</{tag}>", escape(cell))
            })
            .collect();
        let _ = writeln!(table, "<tr>{cells}</tr>");
    }
    table.push_str("</table>\n");
    table
}

/// A curve for each task over the stages, from that which learned it on, and their mean.
fn chart(summary: &StagesSummary) -> String {
    let rows = &summary.rows;
    let values = rows.iter().flat_map(|row| &row.tasks);
    let shown = values.clone().next().map(|score| score.shown);
    let label = |value: f64, _| shown.map_or(value.to_string(), |shown| shown.show(value));
    let Some(y) = Axis::labelled(summary.metric(), values.map(|score| score.value), label) else {
        return String::new();
    };
    let place = |at: usize| at as f64;
    let of_task = |task: usize| {
        let points = (rows.iter().enumerate())
            .filter_map(|(at, row)| Some((place(at), row.tasks.get(task)?.value)));
        Curve {
            dots: Some(3.0),
            ..Curve::line(
                &rows[task].after,
                &format!("c{}", task % COLOURS),
                points.collect(),
            )
        }
    };
    let mut curves: Vec<Curve> = (0..rows.len()).map(of_task).collect();
    let means = rows.iter().enumerate();
    let means = means.map(|(at, row)| (place(at), row.mean())).collect();
    curves.push(Curve::line("mean", "mean", means));
    let last = place(rows.len().saturating_sub(1));
    // Names may be longer than there is room for; the table above has them in this order.
    let numbers = (1..=rows.len()).map(|number| number.to_string());
    let plot = Plot {
        title: format!("{} of every task", summary.metric()),
        x: Axis {
            title: "after the stage".to_string(),
            range: if last > 0.0 { [0.0, last] } else { [-1.0, 1.0] },
            ticks: numbers
                .enumerate()
                .map(|(at, number)| (place(at), number))
                .collect(),
            logarithmic: false,
        },
        y,
        bars: Vec::new(),
        curves,
    };
    plot.html()
}

#[cfg(test)]
mod tests {
    use super::super::tests::summary;
    use super::*;

    #[test]
    fn the_page_shows_the_matrix_and_a_curve_for_each_task() {
        let page = page("a & b", &summary(), &Settings::default());
        assert!(
            page.contains("a &amp; b") && page.contains("fine-tuning alone"),
            "{page}"
        );
        assert!(
            page.contains("<td>70.00%</td><td>80.00%</td><td>75.00%</td>"),
            "{page}"
        );
        assert!(
            page.contains("&lt;b&gt;") && !page.contains("<b>first"),
            "{page}"
        );
        assert_eq!(page.matches("<polyline").count(), 3);
    }
}
