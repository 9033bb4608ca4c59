//! Norms by layer in a report: curves over the epochs, and a table of the last one.

use super::super::chart::{dots, epoch_axis};
use super::super::norms::{EpochNorms, LayerNorms};
use crate::html::plot::{Axis, COLOURS, Curve, Plot, short};
use crate::html::{escape, shortened};
use std::fmt::Write as _;

/// Most rows of the table.
const MOST_ROWS: usize = 60;
/// Most characters of a layer's name.
const MOST_NAME: usize = 32;

/// A kind of norm: its name, the title of its axis, and its value of a layer.
type Kind = (&'static str, &'static str, fn(&LayerNorms) -> Option<f64>);

const KINDS: [Kind; 3] = [
    ("parameters", "L2 norm", |layer| Some(layer.parameters)),
    ("relative updates", "relative change", |layer| layer.update),
    ("gradients", "RMS of the L2 norm", |layer| layer.gradient),
];

/// The section, as HTML; empty without epochs.
pub(super) fn section(epochs: &[EpochNorms]) -> String {
    let Some(last) = epochs.last().filter(|last| !last.layers.is_empty()) else {
        return String::new();
    };
    let has = |of: &dyn Fn(&LayerNorms) -> Option<f64>| last.layers.iter().any(|l| of(l).is_some());
    let gradients = match has(&KINDS[2].2) {
        true => {
            "Gradients: the root mean square of their norm over the recent steps, from the optimizer's mean of their squares."
        }
        false => {
            "The optimizer keeps no mean of squared gradients, so that their norms are not known."
        }
    };
    let drawn = evenly(last.layers.len());
    let some = match drawn.len() < last.layers.len() {
        true => format!(
            " Curves are of {} of {} layers.",
            drawn.len(),
            last.layers.len()
        ),
        false => String::new(),
    };
    let mut html = format!(
        "<h2>Norms by layer</h2>\n<p>After each epoch. Updates: the norm of the change over the epoch, divided by that of the \
         parameters before it. {gradients}{some}</p>\n"
    );
    for kind in &KINDS {
        html.push_str(&chart(kind, epochs, &drawn).unwrap_or_default());
    }
    html.push_str(&table(&last.layers));
    html
}

/// Indices of at most as many layers as there are colours, from the first to the last of `count`.
fn evenly(count: usize) -> Vec<usize> {
    let shown = count.min(COLOURS);
    (0..shown)
        .map(|i| i * (count - 1) / (shown - 1).max(1))
        .collect()
}

/// The curves of the layers `drawn` over the epochs.
fn chart((title, axis, of): &Kind, epochs: &[EpochNorms], drawn: &[usize]) -> Option<String> {
    let curves = drawn.iter().enumerate().map(|(colour, &layer)| {
        let values = epochs
            .iter()
            .map(|epoch| epoch.layers.get(layer).and_then(of));
        // A logarithmic axis has no place for 0.
        let value = |value: Option<f64>| value.filter(|&x| x > 0.0).unwrap_or(f64::NAN);
        let points = (0..).zip(values).map(|(i, v)| (f64::from(i), value(v)));
        let last = epochs.last().and_then(|epoch| epoch.layers.get(layer));
        let name = last.map_or(String::new(), |layer| shortened(&layer.layer, MOST_NAME));
        Curve {
            dots: dots(epochs.len()),
            ..Curve::line(&name, &format!("c{colour}"), points.collect())
        }
    });
    let curves: Vec<Curve> = curves
        .filter(|curve| curve.points.iter().any(|(_, y)| y.is_finite()))
        .collect();
    let values = curves.iter().flat_map(|curve| &curve.points);
    let y = Axis::logarithmic(axis, values.map(|&(_, y)| y))?;
    let numbers: Vec<u64> = epochs.iter().map(|epoch| epoch.epoch).collect();
    let plot = Plot {
        title: title.to_string(),
        x: epoch_axis(&numbers),
        y,
        bars: Vec::new(),
        curves,
    };
    Some(plot.html())
}

/// The norms after the last epoch.
fn table(layers: &[LayerNorms]) -> String {
    let mut table = "<table>\n<tr><th class=\"name\">layer<th>count<th>parameters<th>relative update<th>gradient\n".to_string();
    let shown = |value: Option<f64>| value.map_or("–".to_string(), short);
    for layer in layers.iter().take(MOST_ROWS) {
        let _ = writeln!(
            table,
            "<tr><td class=\"name\">{}<td>{}<td>{}<td>{}<td>{}",
            escape(&shortened(&layer.layer, MOST_NAME)),
            layer.count,
            short(layer.parameters),
            shown(layer.update),
            shown(layer.gradient)
        );
    }
    table.push_str("</table>\n");
    if layers.len() > MOST_ROWS {
        let _ = writeln!(
            table,
            "<p>The first {MOST_ROWS} of {} layers.</p>",
            layers.len()
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: u64, layers: usize, gradient: Option<f64>) -> EpochNorms {
        let layer = |index: usize| LayerNorms {
            layer: format!("<layer{index}>"),
            count: 10,
            parameters: 1.0 + index as f64,
            update: (number > 1).then_some(0.0),
            gradient,
        };
        EpochNorms {
            epoch: number,
            layers: (0..layers).map(layer).collect(),
        }
    }

    #[test]
    fn layers_have_curves_of_the_norms_that_are_known() {
        let html = section(&[epoch(1, 3, Some(0.5)), epoch(2, 3, Some(0.25))]);
        // Updates of 0 have no place on a logarithmic axis.
        assert_eq!(
            (
                html.matches("<svg").count(),
                html.matches("<polyline").count()
            ),
            (2, 6)
        );
        assert_eq!(html.matches("<tr>").count(), 4);
        assert!(
            !html.contains("<layer") && html.contains("&lt;layer2&gt;<td>10<td>3<td>0<td>0.25")
        );
        let html = section(&[epoch(1, 1, None)]);
        assert!(html.contains("norms are not known") && html.contains("<td>–<td>–"));
        assert_eq!(section(&[]), "");
    }

    #[test]
    fn many_layers_give_a_bounded_section() {
        let html = section(&[epoch(1, 10_000, Some(1.0))]);
        assert_eq!(html.matches("<tr>").count(), 1 + MOST_ROWS);
        assert!(html.contains("&lt;layer0&gt;</b>") && html.contains("&lt;layer9999&gt;</b>"));
        assert!(html.contains("Curves are of 8 of 10000 layers"));
        assert!(html.len() < 30_000, "{}", html.len());
        assert_eq!(evenly(1), [0]);
    }
}
