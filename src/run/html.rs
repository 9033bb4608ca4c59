//! `report.html`: curves, epochs and settings of a run, in one file without scripts.

use crate::data::Part;
use crate::tasks::scores::escape;
use crate::tasks::{Metric, Section};
use serde_json::Value;
use std::fmt::Write as _;

/// Width and height of a chart, and the margins left and below its curves, in CSS pixels.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 28.0;
const TOP: f64 = 10.0;
/// Up to this many epochs are drawn with a dot each; more would merge.
const MOST_DOTS: usize = 50;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<style>
:root { color-scheme: light dark; --line: light-dark(#ccc, #444); --train: light-dark(#b35a00, #ffa94d); --test: light-dark(#0b5fb0, #74b9ff); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.4em; margin-bottom: .2em; } h2 { font-size: 1.1em; margin-top: 1.6em; }
figure { display: inline-block; margin: 0 1em 1em 0; } svg { max-width: 100%; height: auto; }
svg text { font-size: 12px; fill: currentColor; } .grid { stroke: var(--line); }
.train { stroke: var(--train); } .test { stroke: var(--test); } polyline { fill: none; stroke-width: 2; }
circle.train { fill: var(--train); } circle.test { fill: var(--test); }
b.train { color: var(--train); } b.test { color: var(--test); }
table { border-collapse: collapse; } th, td { padding: .15em .9em; text-align: right; border-bottom: 1px solid var(--line); }
pre { padding: 1em; border: 1px solid var(--line); overflow-x: auto; font-size: 13px; }
</style>
"#;

/// Content of a report.
pub(super) struct Page<'a> {
    /// Heading.
    pub title: &'a str,
    /// The device of the run.
    pub device: &'a str,
    /// The task's metrics, the score first.
    pub metrics: &'a [Metric],
    /// The lines of `metrics.jsonl`.
    pub epochs: &'a [Value],
    /// The best epoch, the metric that selects it, and its formatted value.
    pub best: Option<(u32, &'a str, String)>,
    /// Sections of the task.
    pub sections: &'a [Section],
    /// The text of `run.toml`.
    pub settings: &'a str,
}

/// The page of a run.
pub(super) fn page(shown: &Page<'_>) -> String {
    let mut page = HEAD.to_string();
    let (title, epochs) = (escape(shown.title), shown.epochs);
    let _ = write!(page, "<title>{title}</title>\n<h1>{title}</h1>\n");
    let part = epochs.last().and_then(|last| last["part"].as_str());
    let part = escape(part.unwrap_or(Part::Test.name()));
    let part = part.as_str();
    let there = |metric: &&Metric| {
        let key = format!("test_{}", metric.name);
        epochs.iter().any(|line| line.get(&key).is_some())
    };
    let headline: Vec<&Metric> = shown
        .metrics
        .iter()
        .filter(|metric| metric.in_epoch_line)
        .filter(there)
        .collect();
    if let Some(last) = epochs.last() {
        let figures: Vec<String> = headline
            .iter()
            .map(|metric| {
                let value = number(last, &format!("test_{}", metric.name));
                format!("{} <b>{}</b>", metric.name, metric.show(value))
            })
            .collect();
        let _ = writeln!(
            page,
            "<p>{} loss <b>{:.4}</b>, {} after epoch {}, on {}.</p>",
            capitalized(part),
            number(last, "test_loss"),
            figures.join(", "),
            last["epoch"],
            escape(shown.device)
        );
    }
    if let Some((epoch, metric, value)) = &shown.best {
        let _ = writeln!(
            page,
            "<p>Best epoch by {part} {metric}: {epoch} ({value}). Its weights are in <code>best.safetensors</code>.</p>"
        );
    }
    page.push_str(&chart(
        "loss",
        part,
        epochs,
        ["train_loss", "test_loss"],
        loss_label,
    ));
    for metric in &headline {
        let keys = ["train", "test"].map(|part| format!("{part}_{}", metric.name));
        page.push_str(&chart(
            metric.name,
            part,
            epochs,
            [&keys[0], &keys[1]],
            |v, _| metric.show(v),
        ));
    }
    for section in shown.sections {
        let _ = write!(
            page,
            "<h2>{}</h2>\n{}\n",
            escape(&section.title),
            section.html
        );
    }
    page.push_str(&table(epochs, part, &headline));
    let _ = write!(
        page,
        "<h2>Settings</h2>\n<pre>{}</pre>\n</html>\n",
        escape(shown.settings)
    );
    page
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

fn number(line: &Value, key: &str) -> f64 {
    line[key].as_f64().unwrap_or(f64::NAN)
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
    let values = |key: &str| -> Vec<f64> { epochs.iter().map(|line| number(line, key)).collect() };
    let (train, test) = (values(train), values(test));
    let finite = || train.iter().chain(&test).copied().filter(|v| v.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    if low > high {
        return String::new();
    }
    let margin = if high > low { 0.0 } else { 0.5 };
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
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\n"
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
            HEIGHT - 6.0,
            line["epoch"]
        );
    }
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

fn table(epochs: &[Value], part: &str, metrics: &[&Metric]) -> String {
    let mut table = "<h2>Epochs</h2>\n<table>\n<tr><th>epoch<th>training loss".to_string();
    let trained = |metric: &&&Metric| {
        let key = format!("train_{}", metric.name);
        epochs.iter().any(|line| line.get(&key).is_some())
    };
    let trained: Vec<&&Metric> = metrics.iter().filter(trained).collect();
    for metric in &trained {
        let _ = write!(table, "<th>training {}", metric.name);
    }
    let _ = write!(table, "<th>{part} loss");
    for metric in metrics {
        let _ = write!(table, "<th>{part} {}", metric.name);
    }
    table.push_str("<th>samples/s<th>seconds\n");
    for line in epochs {
        let _ = write!(
            table,
            "<tr><td>{}<td>{:.4}",
            line["epoch"],
            number(line, "train_loss")
        );
        for metric in &trained {
            let value = number(line, &format!("train_{}", metric.name));
            let _ = write!(table, "<td>{}", metric.show(value));
        }
        let _ = write!(table, "<td>{:.4}", number(line, "test_loss"));
        for metric in metrics {
            let value = number(line, &format!("test_{}", metric.name));
            let _ = write!(table, "<td>{}", metric.show(value));
        }
        let _ = writeln!(
            table,
            "<td>{:.0}<td>{:.1}",
            number(line, "samples_per_s"),
            number(line, "seconds")
        );
    }
    table.push_str("</table>\n");
    table
}

#[cfg(test)]
mod tests {
    use super::{Page, loss_label, page, ticks};
    use crate::tasks::{Metric, named};
    use serde_json::{Value, json};

    fn page_of(task: &str, epochs: &[Value], settings: &str) -> String {
        let metrics: Vec<Metric> = (named(task).unwrap().metrics)();
        page(&Page {
            title: "<net> & data",
            device: "a device",
            metrics: &metrics,
            epochs,
            best: None,
            sections: &[],
            settings,
        })
    }

    #[test]
    fn names_are_escaped_and_every_epoch_has_a_row_and_two_points() {
        let line = |epoch: u32| {
            json!({
                "epoch": epoch, "train_loss": 0.5, "train_accuracy": 0.8, "test_loss": 0.4, "test_accuracy": 0.875,
                "samples_per_s": 1000.0, "seconds": 2.0,
            })
        };
        let page = page_of("classification", &[line(1), line(2)], "seed = 1");
        assert!(page.contains("<h1>&lt;net&gt; &amp; data</h1>"));
        assert!(page.contains(
            "Test loss <b>0.4000</b>, accuracy <b>87.50%</b> after epoch 2, on a device."
        ));
        assert_eq!(page.matches("<circle").count(), 8);
        assert_eq!(page.matches("<tr><td>").count(), 2);
        assert!(!page.contains("NaN"));
    }

    #[test]
    fn a_language_model_is_shown_with_its_perplexity() {
        let line = json!({
            "epoch": 1, "train_loss": 2.0, "train_accuracy": 0.4, "test_loss": 1.0, "test_accuracy": 0.5,
            "test_perplexity": 2.71, "samples_per_s": 1000.0, "seconds": 2.0,
        });
        let page = page_of("language_model", &[line], "seed = 1");
        let summary = "Test loss <b>1.0000</b>, accuracy <b>50.00%</b>, perplexity <b>2.710</b>";
        assert!(page.contains(summary), "{page}");
        // Its curve is of evaluations alone.
        let legend = |name: &str| page.split(&format!("<figcaption>{name}: ")).nth(1).unwrap();
        assert!(
            legend("accuracy").starts_with("<b class=\"train\">training</b>, <b class=\"test\">")
        );
        assert!(legend("perplexity").starts_with("<b class=\"test\">"));
    }

    #[test]
    fn what_was_measured_on_another_part_says_so() {
        let line = json!({
            "epoch": 1, "part": "validation", "train_loss": 0.5, "train_accuracy": 0.8, "test_loss": 0.4, "test_accuracy": 0.75,
            "samples_per_s": 1000.0, "seconds": 2.0,
        });
        let page = page_of("classification", &[line], "");
        assert!(
            page.contains("Validation loss <b>0.4000</b>, accuracy <b>75.00%</b>")
                && page.contains("<th>validation loss")
        );
        assert!(!page.contains(">test<") && !page.contains("<th>test"));
    }

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
    fn a_run_without_epochs_has_its_settings() {
        let page = page_of("classification", &[], "seed = 1");
        assert!(page.contains("seed = 1") && !page.contains("<svg"));
    }
}
