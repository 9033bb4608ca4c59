//! `report.html`: curves, epochs and settings of a run, in one file without scripts.

use super::KernelShares;
use super::chart::{CHART_STYLE, charts, epoch, headline, number, part};
use crate::tasks::scores::escape;
use crate::tasks::{Metric, Section};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<style>
"#;

const STYLE: &str = "\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.4em; margin-bottom: .2em; } h2 { font-size: 1.1em; margin-top: 1.6em; }
figure { display: inline-block; margin: 0 1em 1em 0; } svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; display: block; overflow-x: auto; } th, td { padding: .15em .9em; text-align: right; border-bottom: 1px solid var(--line); }
.name { text-align: left; } td.bar { min-width: 10em; } meter { width: 100%; }
pre { padding: 1em; border: 1px solid var(--line); overflow-x: auto; font-size: 13px; }
</style>
";

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
    /// Shares of the kernels in a training step, if one was timed.
    pub kernels: Option<&'a KernelShares>,
    /// The digest of each part of the data, by its name.
    pub digests: &'a BTreeMap<String, String>,
    /// The text of `run.toml`.
    pub settings: &'a str,
}

/// The largest shares are shown, the others together.
const MOST_KERNELS: usize = 12;

/// The page of a run.
pub(super) fn page(shown: &Page<'_>) -> String {
    let mut page = [HEAD, CHART_STYLE, STYLE].concat();
    let (title, epochs) = (escape(shown.title), shown.epochs);
    let _ = write!(page, "<title>{title}</title>\n<h1>{title}</h1>\n");
    let part = part(epochs).name();
    let headline = headline(shown.metrics, epochs);
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
            epoch(last),
            escape(shown.device)
        );
    }
    if let Some((best, metric, value)) = &shown.best {
        let _ = writeln!(
            page,
            "<p>Best epoch by {part} {metric}: {best} ({value}). Its weights are in <code>best.safetensors</code>.</p>"
        );
    }
    page.push_str(&charts(shown.metrics, epochs));
    for section in shown.sections {
        let _ = write!(
            page,
            "<h2>{}</h2>\n{}\n",
            escape(&section.title),
            section.html
        );
    }
    page.push_str(&table(epochs, part, &headline));
    page.push_str(&shown.kernels.map_or(String::new(), kernels));
    page.push_str(&origin(shown));
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

/// A table of the kernels' shares, each with a bar.
fn kernels(shares: &KernelShares) -> String {
    if shares.is_empty() {
        return String::new();
    }
    let mut rows: Vec<(&str, f64)> = shares.iter().collect();
    let others: f64 = rows.iter().skip(MOST_KERNELS).map(|(_, share)| share).sum();
    rows.truncate(MOST_KERNELS);
    if others > 0.0 {
        rows.push(("others", others));
    }
    let mut section =
        "<h2>Time of a training step</h2>\n<table>\n<tr><th class=\"name\">kernel<th>share<th>\n"
            .to_string();
    for (kernel, share) in rows {
        let percent = 100.0 * share;
        let _ = writeln!(
            section,
            "<tr><td class=\"name\">{}<td>{percent:.1}%<td class=\"bar\"><meter value=\"{share:.3}\">{percent:.0}%</meter>",
            escape(kernel)
        );
    }
    section.push_str("</table>\n");
    section
}

/// What the run was computed with, and from which data.
fn origin(shown: &Page<'_>) -> String {
    let mut section = format!(
        "<h2>Origin</h2>\n<table>\n<tr><td class=\"name\">program<td class=\"name\">wgrad {}\n<tr><td class=\"name\">device<td class=\"name\">{}\n",
        env!("CARGO_PKG_VERSION"),
        escape(shown.device)
    );
    for (part, digest) in shown.digests {
        let _ = writeln!(
            section,
            "<tr><td class=\"name\">{} part<td class=\"name\">{}",
            escape(part),
            escape(digest)
        );
    }
    section.push_str("</table>\n");
    section
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
            epoch(line),
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
    use super::{KernelShares, Page, page};
    use crate::tasks::{Metric, named};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    fn page_of(task: &str, epochs: &[Value], settings: &str) -> String {
        let metrics: Vec<Metric> = (named(task).unwrap().metrics)();
        page(&Page {
            title: "<net> & data",
            device: "a device",
            metrics: &metrics,
            epochs,
            best: None,
            sections: &[],
            kernels: Some(&KernelShares::of(&[
                ("a/<b>".to_string(), 3.0),
                ("c/d".to_string(), 1.0),
            ])),
            digests: &BTreeMap::from([("train".to_string(), "9 samples, crc32 0".to_string())]),
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
        assert!(page.contains("a/&lt;b&gt;<td>75.0%") && page.contains("9 samples, crc32 0"));
        assert!(page.contains(">epoch</text>") && !page.contains("learning rate"));
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
    fn a_run_without_epochs_has_its_settings() {
        let page = page_of("classification", &[], "seed = 1");
        assert!(page.contains("seed = 1") && !page.contains("<svg"));
    }
}
