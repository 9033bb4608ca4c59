//! Curves of a run over its epochs, as SVG within HTML.

use crate::data::Part;
use crate::html::plot::{Axis, Curve, Plot, label};
use crate::tasks::Metric;
use serde_json::Value;

/// Up to this many epochs are drawn with a dot each; more would merge.
const MOST_DOTS: usize = 50;
/// The key of the learning rate.
const RATE: &str = "learning_rate";

/// Charts of the loss and of the headline metrics over the epochs, lines of `metrics.jsonl`: each with a curve of training and
/// one of the part that was evaluated.
pub fn charts(metrics: &[Metric], epochs: &[Value]) -> String {
    let part = part(epochs).name();
    // That of agents.
    let mut charts = chart("mean_return", part, epochs, ["mean_return", ""], label);
    charts.push_str(&chart(
        "loss",
        part,
        epochs,
        ["train_loss", "test_loss"],
        label,
    ));
    for metric in headline(metrics, epochs) {
        let keys = ["train", "test"].map(|part| format!("{part}_{}", metric.name));
        charts.push_str(&chart(
            metric.name,
            part,
            epochs,
            [&keys[0], &keys[1]],
            |v, _| metric.show(v),
        ));
    }
    let rates: Vec<f64> = epochs.iter().map(|line| number(line, RATE)).collect();
    if rates.windows(2).any(|pair| pair[0] != pair[1]) {
        charts.push_str(&chart("learning rate", part, epochs, [RATE, ""], label));
    }
    charts
}

/// Those of `metrics` that epoch lines show and that `epochs` have.
pub fn headline<'a>(metrics: &'a [Metric], epochs: &[Value]) -> Vec<&'a Metric> {
    let there = |metric: &&Metric| {
        let key = format!("test_{}", metric.name);
        epochs.iter().any(|line| line.get(&key).is_some())
    };
    let shown = metrics.iter().filter(|metric| metric.in_epoch_line);
    shown.filter(there).collect()
}

/// The part of the data on which the last of `epochs` was evaluated.
pub fn part(epochs: &[Value]) -> Part {
    let part = epochs.last().map(|last| last["part"].clone());
    part.and_then(|part| serde_json::from_value(part).ok())
        .unwrap_or_default()
}

/// A number of a line of `metrics.jsonl`; not finite if the line lacks it.
pub fn number(line: &Value, key: &str) -> f64 {
    line[key].as_f64().unwrap_or(f64::NAN)
}

/// The epoch of a line of `metrics.jsonl`; 0 if the line lacks it.
pub fn epoch(line: &Value) -> u64 {
    line["epoch"].as_u64().unwrap_or(0)
}

/// Two curves over the epochs.
fn chart(
    name: &str,
    part: &str,
    epochs: &[Value],
    [train, test]: [&str; 2],
    label: impl Fn(f64, f64) -> String,
) -> String {
    let values = |key: &str| -> Vec<f64> { epochs.iter().map(|line| number(line, key)).collect() };
    let curves = [
        ("train", "training", values(train)),
        ("test", part, values(test)),
    ];
    let all = curves.iter().flat_map(|(.., values)| values);
    let Some(y) = Axis::labelled(name, all.copied(), label) else {
        return String::new();
    };
    // Some metrics are computed in evaluations alone.
    let drawn = curves
        .iter()
        .filter(|(.., values)| values.iter().any(|v| v.is_finite()));
    let curves = drawn.map(|(class, name, values)| {
        let points = (0..).zip(values).map(|(i, &v)| (f64::from(i), v));
        Curve {
            dots: dots(values.len()),
            ..Curve::line(name, class, points.collect())
        }
    });
    let plot = Plot {
        title: name.to_string(),
        x: epoch_axis(&epochs.iter().map(epoch).collect::<Vec<u64>>()),
        y,
        bars: Vec::new(),
        curves: curves.collect(),
    };
    plot.html()
}

/// Radius of the dots of a curve over this many epochs, if it has dots.
pub fn dots(epochs: usize) -> Option<f64> {
    (epochs <= MOST_DOTS).then_some(3.0)
}

/// The horizontal axis of values after these epochs: their index, labelled with the epoch.
pub fn epoch_axis(epochs: &[u64]) -> Axis {
    let every = epochs.len().div_ceil(8).max(1);
    let ticks = epochs.iter().enumerate().step_by(every);
    let last = epochs.len().saturating_sub(1) as f64;
    let range = if last > 0.0 { [0.0, last] } else { [-1.0, 1.0] };
    Axis {
        title: "epoch".to_string(),
        range,
        ticks: ticks
            .map(|(i, epoch)| (i as f64, epoch.to_string()))
            .collect(),
        logarithmic: false,
    }
}

#[cfg(test)]
mod tests {
    use super::charts;
    use serde_json::{Value, json};

    #[test]
    fn damaged_numbers_give_a_short_chart_or_none() {
        let line =
            |epoch: Value, loss: f64| json!({"epoch": epoch, "train_loss": loss, "test_loss": 0.0});
        for losses in [[5e-324, 0.0], [1.7e308, -1.7e308], [1e29, 1e29]] {
            let epochs = losses.map(|loss| line(1.into(), loss));
            let chart = charts(&[], &epochs);
            assert!(chart.len() < 10_000 && !chart.contains("NaN"), "{chart}");
        }
        let chart = charts(&[], &[line("<script>".into(), 0.5)]);
        assert!(chart.contains("<svg") && !chart.contains("<script"));
    }
}
