//! The page of a run: curves, sections of the task, norms, epochs and settings.

use super::super::KernelShares;
use super::super::chart::{charts, epoch, headline, number, part};
use super::super::norms::EpochNorms;
use super::{norms, settings};
use crate::data::Samples;
use crate::html::{escape, page_head};
use crate::tasks::{Metric, Section};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Content of a report.
pub(in crate::run) struct Page<'a> {
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
    /// Sections of the task, with the epoch that they are about; none before the first one.
    pub sections: Option<(u32, &'a [Section])>,
    /// The lines of `norms.jsonl`.
    pub norms: &'a [EpochNorms],
    /// Shares of the kernels in a training step, if one was timed.
    pub kernels: Option<&'a KernelShares>,
    /// The digest of each part of the data, by its name.
    pub digests: &'a BTreeMap<String, String>,
    /// The text of `run.toml`.
    pub settings: &'a str,
    /// The evaluated samples.
    pub samples: &'a Samples,
}

/// The largest shares are shown, the others together.
const MOST_KERNELS: usize = 12;
/// Most epochs that are drawn and listed.
const MOST_EPOCHS: usize = 300;

/// The page of a run.
pub(in crate::run) fn page(shown: &Page<'_>) -> String {
    let mut page = page_head(shown.title);
    let epochs = &thinned(shown.epochs)[..];
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
    if let Some((of, sections)) = shown.sections {
        page.push_str(&task_sections(of, sections, epochs));
    }
    page.push_str(&norms::section(&thinned(shown.norms)));
    page.push_str(&table(epochs, shown.epochs.len(), part, &headline));
    page.push_str(&shown.kernels.map_or(String::new(), kernels));
    page.push_str(&origin(shown));
    let _ = write!(
        page,
        "<h2>Settings</h2>\n<p>Those that matter to this kind of run; all are in <code>run.toml</code>.</p>\n\
         <pre tabindex=\"0\">{}</pre>\n</html>\n",
        escape(&settings::shown(shown.settings, shown.samples))
    );
    page
}

/// Epochs at equal distances, at most [`MOST_EPOCHS`] and the last one.
fn thinned<T: Clone>(epochs: &[T]) -> Vec<T> {
    let every = epochs.len().div_ceil(MOST_EPOCHS).max(1);
    let last = epochs.len().saturating_sub(1);
    let kept = epochs.iter().enumerate();
    let kept = kept.filter(|(index, _)| (last - index).is_multiple_of(every));
    kept.map(|(_, epoch)| epoch.clone()).collect()
}

/// The sections of the task, which are about the epoch `of`.
fn task_sections(of: u32, sections: &[Section], epochs: &[Value]) -> String {
    let mut html = String::new();
    if epochs.last().map(epoch) != Some(u64::from(of)) && !sections.is_empty() {
        let _ = writeln!(html, "<p>The next sections are about epoch {of}.</p>");
    }
    for section in sections {
        let title = escape(&section.title);
        let _ = write!(
            html,
            "<section><h2>{title}</h2>\n{}</section>\n",
            section.html
        );
    }
    html
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

/// The epochs as rows; `all` is their number before some were left out.
fn table(epochs: &[Value], all: usize, part: &str, metrics: &[&Metric]) -> String {
    let mut table = "<h2>Epochs</h2>\n".to_string();
    if epochs.len() < all {
        let _ = writeln!(
            table,
            "<p>{} of {all} epochs; all are in <code>metrics.jsonl</code>.</p>",
            epochs.len()
        );
    }
    table.push_str("<table>\n<tr><th>epoch<th>training loss");
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
    use super::{KernelShares, Page, page, task_sections};
    use crate::data::Samples;
    use crate::tasks::{Metric, Section, named};
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
            sections: None,
            norms: &[],
            kernels: Some(&KernelShares::of(&[
                ("a/<b>".to_string(), 3.0),
                ("c/d".to_string(), 1.0),
            ])),
            digests: &BTreeMap::from([("train".to_string(), "9 samples, crc32 0".to_string())]),
            settings,
            samples: &Samples::new(0, Vec::new(), None),
        })
    }

    #[test]
    fn a_page_of_many_epochs_is_bounded() {
        let line = |epoch: u32| json!({"epoch": epoch, "train_loss": 0.5, "test_loss": 0.4});
        let epochs: Vec<Value> = (1..=20_000).map(line).collect();
        let page = page_of("classification", &epochs, "");
        assert!(page.len() < 100_000, "{}", page.len());
        assert!(page.contains("<tr><td>20000<td>") && page.contains("299 of 20000 epochs"));
    }

    #[test]
    fn sections_of_an_earlier_epoch_say_so() {
        let section = Section {
            title: "<a>".to_string(),
            html: "<p>b</p>".to_string(),
        };
        let epochs = [json!({"epoch": 3})];
        let html = |of| task_sections(of, std::slice::from_ref(&section), &epochs);
        assert_eq!(html(3), "<section><h2>&lt;a&gt;</h2>\n<p>b</p></section>\n");
        assert!(html(2).starts_with("<p>The next sections are about epoch 2.</p>"));
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
