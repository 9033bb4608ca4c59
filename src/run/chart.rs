//! Curves of a run over its epochs, as SVG within HTML.

use crate::data::Part;
use crate::tasks::Metric;
use serde_json::Value;
use std::fmt::Write as _;

/// Width and height of a chart, and the margins left and below its curves, in CSS pixels.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 256.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 10.0;
/// Up to this many epochs are drawn with a dot each; more would merge.
const MOST_DOTS: usize = 50;
/// Values up to this magnitude are drawn.
const LARGEST: f64 = 1e30;
/// The key of the learning rate.
const RATE: &str = "learning_rate";
/// A smaller range of values is drawn as a constant.
const SMALLEST: f64 = 1e-30;

/// The style of the curves, in light and dark.
pub const CHART_STYLE: &str = "\
:root { color-scheme: light dark; --line: light-dark(#ccc, #444); --train: light-dark(#b35a00, #ffa94d); \
--test: light-dark(#0b5fb0, #74b9ff); }
svg text { font-size: 12px; fill: currentColor; } .grid { stroke: var(--line); }
.train { stroke: var(--train); } .test { stroke: var(--test); } polyline { fill: none; stroke-width: 2; }
circle.train { fill: var(--train); } circle.test { fill: var(--test); }
b.train { color: var(--train); } b.test { color: var(--test); }
";

/// Charts of the loss and of the headline metrics over the epochs, lines of `metrics.jsonl`: each with a curve of training and
/// one of the part that was evaluated.
pub fn charts(metrics: &[Metric], epochs: &[Value]) -> String {
    let part = part(epochs).name();
    let mut charts = chart(
        "loss",
        part,
        epochs,
        ["train_loss", "test_loss"],
        loss_label,
    );
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
        charts.push_str(&chart(
            "learning rate",
            part,
            epochs,
            [RATE, ""],
            loss_label,
        ));
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

/// The label of a loss on the axis, with enough digits to distinguish ticks a `step` apart.
fn loss_label(loss: f64, step: f64) -> String {
    // A step is a difference of ticks, which may fall short of 0.1 by a rounding error.
    let place = |x: f64| (x.abs().log10() + 1e-6).floor() as i32;
    let digits = -place(step);
    if loss == 0.0 {
        return "0".to_string();
    }
    if loss.abs() >= 1e5 || digits > 4 {
        let digits = (place(loss) + digits).max(0) as usize;
        return format!("{loss:.digits$e}");
    }
    format!("{loss:.*}", digits.max(0) as usize)
}

/// Three to six round values from `low` to `high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let least = (high - low) / 5.0;
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = steps
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(steps[3]);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|n| n as f64 * step).collect()
}

/// Two curves over the epochs.
fn chart(
    name: &str,
    part: &str,
    epochs: &[Value],
    [train, test]: [&str; 2],
    label: impl Fn(f64, f64) -> String,
) -> String {
    // Numbers beyond are of no use in a chart, and their differences may overflow.
    let bounded = |v: f64| if v.abs() <= LARGEST { v } else { f64::NAN };
    let value = |line: &Value, key: &str| bounded(number(line, key));
    let values = |key: &str| -> Vec<f64> { epochs.iter().map(|line| value(line, key)).collect() };
    let (train, test) = (values(train), values(test));
    let finite = || train.iter().chain(&test).copied().filter(|v| v.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    if low > high {
        return String::new();
    }
    let margin = match high - low > SMALLEST {
        true => 0.0,
        false => (1e-3 * high.abs()).max(0.5),
    };
    let (low, high) = (low - margin, high + margin);
    let x = |i: usize| {
        let share = if epochs.len() > 1 {
            i as f64 / (epochs.len() - 1) as f64
        } else {
            0.5
        };
        LEFT + share * (WIDTH - LEFT - 10.0)
    };
    let y = |v: f64| TOP + (high - v) / (high - low) * (HEIGHT - TOP - BOTTOM);
    // Some metrics are computed in evaluations alone.
    let curves = [("train", "training", &train), ("test", part, &test)];
    let curves = curves
        .into_iter()
        .filter(|(.., values)| values.iter().any(|v| v.is_finite()));
    let legend: Vec<String> = curves
        .clone()
        .map(|(class, name, _)| format!("<b class=\"{class}\">{name}</b>"))
        .collect();
    let legend = legend.join(", ");
    let mut svg = format!(
        "<figure><figcaption>{name}: {legend}</figcaption>\n\
         <svg role=\"img\" aria-label=\"{name} over the epochs\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\n"
    );
    let ticks = ticks(low, high);
    let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).next();
    for value in ticks {
        let at = y(value);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            label(value, step.unwrap_or(high - low))
        );
    }
    let every = epochs.len().div_ceil(8);
    for (i, line) in epochs.iter().enumerate().step_by(every) {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(i),
            HEIGHT - BOTTOM + 20.0,
            epoch(line)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">epoch</text>",
        (LEFT + WIDTH - 10.0) / 2.0,
        HEIGHT - 6.0
    );
    for (class, _, values) in curves {
        let points: Vec<(f64, f64)> = values
            .iter()
            .enumerate()
            .filter(|(_, v)| v.is_finite())
            .map(|(i, &v)| (x(i), y(v)))
            .collect();
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline class=\"{class}\" points=\"{}\"/>",
            path.join(" ")
        );
        let dots = points.iter().filter(|_| points.len() <= MOST_DOTS);
        for (x, y) in dots {
            let _ = writeln!(
                svg,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"
            );
        }
    }
    svg.push_str("</svg></figure>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::{charts, loss_label, ticks};
    use serde_json::{Value, json};

    #[test]
    fn ticks_are_round_and_within() {
        let near = |found: Vec<f64>, wanted: &[f64]| {
            assert_eq!(found.len(), wanted.len(), "{found:?}");
            assert!(
                found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9),
                "{found:?}"
            );
        };
        near(ticks(0.022, 0.264), &[0.05, 0.1, 0.15, 0.2, 0.25]);
        near(ticks(0.9156, 0.9932), &[0.92, 0.94, 0.96, 0.98]);
        near(ticks(-0.5, 0.5), &[-0.4, -0.2, 0.0, 0.2, 0.4]);
        near(
            ticks(0.0, 1000.0),
            &[0.0, 200.0, 400.0, 600.0, 800.0, 1000.0],
        );
    }

    #[test]
    fn losses_of_any_size_are_short_and_distinguished() {
        let labels = |values: [f64; 2]| values.map(|v| loss_label(v, values[1] - values[0]));
        assert_eq!(labels([0.05, 0.1]), ["0.05", "0.10"]);
        assert_eq!(labels([0.0, 200.0]), ["0", "200"]);
        assert_eq!(labels([150.1, 150.2]), ["150.1", "150.2"]);
        assert_eq!(labels([1.01e6, 1.02e6]), ["1.01e6", "1.02e6"]);
        assert_eq!(labels([2e12, 4e12]), ["2e12", "4e12"]);
        assert_eq!(labels([0.000002, 0.000004]), ["2e-6", "4e-6"]);
    }

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
