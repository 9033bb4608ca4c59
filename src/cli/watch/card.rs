//! A run as HTML. All text from files is escaped.

use super::record::{Planned, Record};
use crate::cli::plain;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use wgrad::html::escape;
use wgrad::run::chart::{charts, epoch, number, part};

/// Most characters of `run.toml` that are shown.
const MOST_SETTINGS: usize = 64 << 10;

/// Whether a run is being trained or how it ended.
#[derive(Clone, Copy)]
pub(super) enum State {
    Training,
    /// All epochs or steps are done, or it stopped early.
    Finished,
    /// It ended by a signal or an error before that.
    Stopped,
    /// Its process ended without a chance to say so.
    Killed,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Training => "training",
            State::Finished => "finished",
            State::Stopped => "stopped",
            State::Killed => "killed",
        }
    }
}

/// Text from a file or its name, within an element or an attribute.
fn text(text: &str) -> String {
    escape(&plain(text))
}

/// A sentence in the place of runs.
pub(super) fn sentence(sentence: &str) -> String {
    format!("<p data-run=\"\">{}</p>\n", text(sentence))
}

/// Begins the card of the run in the folder `path`.
fn begin(path: &Path, class: &str) -> String {
    let path = text(&path.display().to_string());
    format!(
        "<article data-run=\"{path}\">\n<header><h2>{path}</h2> <span class=\"state {class}\">{class}</span></header>\n"
    )
}

/// The card of a run whose files are damaged.
pub(super) fn damaged(path: &Path, sentence: &str) -> String {
    let card = begin(path, "damaged");
    format!(
        "{card}<p>The run cannot be shown: {}.</p>\n</article>\n",
        text(sentence)
    )
}

/// The card of a run: `steps` at its latest checkpoint, time since the last change of its files.
pub(super) fn card(
    path: &Path,
    record: &Record,
    state: State,
    steps: Option<u64>,
    change: Option<Duration>,
) -> String {
    let mut card = begin(path, state.name());
    let _ = writeln!(card, "<p class=\"title\">{}</p>", text(&record.title));
    let (done, planned, mut length) = match record.planned {
        Planned::Epochs(epochs) => {
            let length = format!("epoch {} of {epochs}", record.epochs);
            (record.epochs, epochs, length)
        }
        Planned::Steps(planned) => {
            let steps = steps.unwrap_or(0);
            let length = format!("step {steps} of {planned}, epoch {}", record.epochs);
            (steps, planned, length)
        }
    };
    if matches!(state, State::Finished) && done < planned {
        length.push_str(", stopped early");
    }
    let change = change.map_or(String::new(), |change| {
        format!("last change {} ago", rounded(change))
    });
    let _ = writeln!(
        card,
        "<p class=\"progress\"><progress aria-label=\"progress\" value=\"{done}\" max=\"{planned}\"></progress> \
         <span>{length}</span> <span class=\"change\">{change}</span></p>"
    );
    match record.drawn.last() {
        Some(last) => {
            card.push_str(&figures(record, last));
            let charts = charts(&record.metrics, &record.drawn);
            let _ = writeln!(card, "<div class=\"charts\">\n{charts}</div>");
        }
        None => card.push_str("<p>No epoch is finished yet.</p>\n"),
    }
    let cut = record.settings.floor_char_boundary(MOST_SETTINGS);
    let _ = writeln!(
        card,
        "<details><summary>Settings</summary>\n<pre tabindex=\"0\">{}</pre></details>\n</article>",
        text(&record.settings[..cut])
    );
    card
}

/// The table of the figures of the last and of the best epoch.
fn figures(record: &Record, last: &Value) -> String {
    let part = part(std::slice::from_ref(last)).name();
    let mut table = "<table>\n".to_string();
    if let Some((_, metric)) = &record.best {
        let _ = writeln!(table, "<caption>best epoch by {metric}</caption>");
    }
    let mut heads = vec!["training".to_string(), part.to_string()];
    if let Some((best, _)) = &record.best {
        heads.push(format!("best: epoch&nbsp;{}", epoch(best)));
    }
    table.push_str("<tr><td></td>");
    for head in heads {
        let _ = write!(table, "<th scope=\"col\">{head}</th>");
    }
    table.push_str("</tr>\n");
    let mut row = |name: &str, show: &dyn Fn(f64) -> String| {
        let _ = write!(table, "<tr><th scope=\"row\">{name}</th>");
        let best = record.best.as_ref().map(|(best, _)| (best, "test"));
        for (line, part) in [(last, "train"), (last, "test")].into_iter().chain(best) {
            let value = number(line, &format!("{part}_{name}"));
            let shown = match value.is_finite() {
                true => show(value),
                false => "–".to_string(),
            };
            let _ = write!(table, "<td>{shown}</td>");
        }
        table.push_str("</tr>\n");
    };
    row("loss", &|value| format!("{value:.4}"));
    for metric in &record.metrics {
        row(metric.name, &|value| metric.show(value));
    }
    table.push_str("</table>\n");
    table
}

/// A time in its largest unit.
fn rounded(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        86_400..172_800 => "1 day".to_string(),
        _ => format!("{} days", seconds / 86_400),
    }
}
