//! Parallel coordinates: an axis for each of several quantities, and a line through them for each item, as SVG within HTML.

use super::plot::Axis;
use super::{escape, shortened};
use std::fmt::Write as _;

/// Height of the picture, distance of its axes, and the margins around them, in CSS pixels.
const HEIGHT: f64 = 336.0;
const DISTANCE: f64 = 170.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 50.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 14.0;
/// The style of labels: with a margin in the colour of the page, since lines may pass below them.
const LABEL: &str =
    "paint-order: stroke; stroke: Canvas; stroke-width: 4px; stroke-linejoin: round";
/// Most characters of the title of an axis and of a label.
const MOST_TITLE: usize = 22;
const MOST_LABEL: usize = 14;

/// A picture of parallel coordinates.
#[derive(Clone, Debug)]
pub struct ParallelPlot {
    /// What it shows.
    pub title: String,
    /// The axes, from left to right.
    pub axes: Vec<Axis>,
    /// The lines, the last one in front.
    pub lines: Vec<ParallelLine>,
}

/// An item of the picture.
#[derive(Clone, Debug)]
pub struct ParallelLine {
    /// What a pointer on the line shows.
    pub name: String,
    /// Its values, one for each axis. The line passes over axes where it has none that is finite.
    pub values: Vec<f64>,
    /// How it is coloured, from 0 (orange) to 1 (blue).
    pub shade: f64,
    /// Whether it is wider than others.
    pub is_wide: bool,
}

impl ParallelPlot {
    /// The picture as a figure.
    pub fn html(&self) -> String {
        let width = LEFT + RIGHT + DISTANCE * self.axes.len().saturating_sub(1) as f64;
        let title = escape(&self.title);
        let mut svg = format!(
            "<figure><figcaption>{title}</figcaption>\n\
             <svg role=\"img\" aria-label=\"{title}\" viewBox=\"0 0 {width} {HEIGHT}\" width=\"{width}\" height=\"{HEIGHT}\">\n"
        );
        for line in &self.lines {
            self.line(&mut svg, line);
        }
        for (index, axis) in self.axes.iter().enumerate() {
            draw_axis(&mut svg, across(index), index, axis);
        }
        svg.push_str("</svg></figure>\n");
        svg
    }

    fn line(&self, svg: &mut String, line: &ParallelLine) {
        let points = self.axes.iter().zip(&line.values).enumerate();
        let points = points.filter_map(|(index, (axis, &value))| {
            let at = up(axis, value);
            at.is_finite()
                .then(|| format!("{:.1},{at:.1}", across(index)))
        });
        let points: Vec<String> = points.collect();
        let share = 100.0 * line.shade.clamp(0.0, 1.0);
        let width = if line.is_wide { 4 } else { 2 };
        let _ = writeln!(
            svg,
            "<polyline style=\"stroke: color-mix(in oklab, var(--c0) {share:.0}%, var(--c1)); stroke-width: {width}\" points=\"{}\">\
             <title>{}</title></polyline>",
            points.join(" "),
            escape(&line.name)
        );
    }
}

fn across(index: usize) -> f64 {
    LEFT + DISTANCE * index as f64
}

fn up(axis: &Axis, value: f64) -> f64 {
    HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)
}

/// An axis at `x`. The titles of neighbours stand in two rows.
fn draw_axis(svg: &mut String, x: f64, index: usize, axis: &Axis) {
    let row = if index.is_multiple_of(2) { 16.0 } else { 34.0 };
    let _ = writeln!(
        svg,
        "<line x1=\"{x}\" x2=\"{x}\" y1=\"{TOP}\" y2=\"{:.1}\" stroke=\"currentColor\"/>\
         <text x=\"{x}\" y=\"{row}\" text-anchor=\"middle\" font-weight=\"bold\">{}</text>",
        HEIGHT - BOTTOM,
        escape(&shortened(&axis.title, MOST_TITLE))
    );
    for (value, label) in &axis.ticks {
        let at = up(axis, *value);
        let _ = writeln!(
            svg,
            "<line x1=\"{:.1}\" x2=\"{x}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"currentColor\"/>\
             <text style=\"{LABEL}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            x - 5.0,
            x - 8.0,
            at + 4.0,
            escape(&shortened(label, MOST_LABEL))
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_passes_its_values_and_text_is_escaped() {
        let names = ["<a>", "b"].map(String::from);
        let plot = ParallelPlot {
            title: "<t>".to_string(),
            axes: vec![
                Axis::over("<x>", [0.0, 1.0].into_iter()).unwrap(),
                Axis::names("kind", &names),
                Axis::share("score"),
            ],
            lines: vec![ParallelLine {
                name: "<trial>".to_string(),
                values: vec![1.0, f64::NAN, 0.0],
                shade: 0.25,
                is_wide: true,
            }],
        };
        let html = plot.html();
        for text in ["<t>", "<x>", "<a>", "<trial>"] {
            assert!(
                !html.contains(text) && html.contains(&escape(text)),
                "{text}"
            );
        }
        let (top, bottom) = (TOP, HEIGHT - BOTTOM);
        let points = format!("points=\"130.0,{top:.1} 470.0,{bottom:.1}\"");
        assert!(html.contains(&points), "{html}");
        assert!(html.contains("var(--c0) 25%, var(--c1)"));
    }
}
