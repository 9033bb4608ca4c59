//! `report.html` of an agent's run: returns, losses, epochs and settings.

use crate::html::{escape, page_head};
use crate::run::chart::{charts, epoch, number};
use crate::tasks::Metric;
use serde_json::Value;
use std::fmt::Write as _;

/// Most epochs that are drawn and listed.
const MOST_EPOCHS: usize = 300;

/// The page. `epochs` are lines of `metrics.jsonl`, `settings` the text of `run.toml`.
pub(super) fn page(
    title: &str,
    device: &str,
    metrics: &[Metric],
    epochs: &[Value],
    settings: &str,
) -> String {
    let mut page = page_head(title);
    let every = epochs.len().div_ceil(MOST_EPOCHS).max(1);
    let last = epochs.len().saturating_sub(1);
    let kept = epochs.iter().enumerate();
    let kept: Vec<Value> = kept
        .filter(|(index, _)| (last - index).is_multiple_of(every))
        .map(|(_, line)| line.clone())
        .collect();
    let shown = |line: &Value, key: &str, decimals: usize| match number(line, key) {
        value if value.is_finite() => format!("{value:.decimals$}"),
        _ => "–".to_string(),
    };
    if let Some(line) = kept.last() {
        let _ = writeln!(
            page,
            "<p>Mean return of the last 100 episodes <b>{}</b> after epoch {} and {} steps of the environments, on {}.</p>",
            shown(line, "mean_return_last_100", 2),
            epoch(line),
            line["env_steps"],
            escape(device)
        );
    }
    page.push_str(&charts(metrics, &kept));
    page.push_str(
        "<h2>Epochs</h2>\n<table>\n<tr><th>epoch<th>steps<th>episodes<th>mean return<th>mean length<th>last 100<th>loss<th>steps/s\n",
    );
    for line in &kept {
        let _ = writeln!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            epoch(line),
            line["env_steps"],
            line["episodes"],
            shown(line, "mean_return", 2),
            shown(line, "mean_length", 1),
            shown(line, "mean_return_last_100", 2),
            shown(line, "train_loss", 4),
            shown(line, "env_steps_per_s", 0),
        );
    }
    let _ = write!(
        page,
        "</table>\n<h2>Settings</h2>\n<pre tabindex=\"0\">{}</pre>\n</html>\n",
        escape(settings)
    );
    page
}

#[cfg(test)]
mod tests {
    use super::page;
    use serde_json::json;

    #[test]
    fn the_page_has_the_curve_of_the_return_and_a_row_for_each_epoch() {
        let line = |epoch: u32, mean: Option<f64>| {
            json!({
                "epoch": epoch, "env_steps": 100 * epoch, "episodes": 3, "mean_return": mean, "mean_return_last_100": mean,
                "train_loss": 0.5, "env_steps_per_s": 10.0,
            })
        };
        let lines = [line(1, None), line(2, Some(20.5)), line(3, Some(31.0))];
        let page = page("<a>", "a device", &[], &lines, "seed = 1");
        assert!(page.contains("episodes <b>31.00</b> after epoch 3 and 300 steps"));
        assert_eq!(page.matches("<tr><td>").count(), 3);
        assert!(
            page.contains("mean_return: ") && page.contains("&lt;a&gt;"),
            "{page}"
        );
        assert!(!page.contains("NaN") && page.contains("<td>–"));
    }
}
