//! What the files of a run say. They may be damaged, or be made to keep a reader busy.

use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;
use wgrad::run::chart::{epoch, headline};
use wgrad::run::{Monitor, RunFolder};
use wgrad::settings::Settings;
use wgrad::tasks::Metric;
use wgrad::toml_text::parse;

/// Largest `run.toml` and `metrics.jsonl` in bytes.
const LARGEST_SETTINGS: u64 = 1 << 20;
const LARGEST_METRICS: u64 = 8 << 20;
/// Most epochs in a chart. Of more, every second, third, ... is drawn, and the last.
const MOST_DRAWN: usize = 200;

/// A run as its files record it.
pub(super) struct Record {
    /// Model and data.
    pub title: String,
    /// The text of `run.toml`.
    pub settings: String,
    /// Planned length.
    pub planned: Planned,
    /// The metrics that the epochs have.
    pub metrics: Vec<Metric>,
    /// Number of the last epoch; 0 if none is finished.
    pub epochs: u64,
    /// The epochs to draw, the last one at the end.
    pub drawn: Vec<Value>,
    /// The best epoch, and the metric that selects it.
    pub best: Option<(Value, &'static str)>,
    /// Whether the run is out of patience.
    pub gave_up: bool,
}

/// The planned length of a run.
#[derive(Clone, Copy)]
pub(super) enum Planned {
    Epochs(u64),
    Steps(u64),
}

impl Record {
    /// Reads `run.toml` and `metrics.jsonl`.
    ///
    /// # Errors
    /// A sentence about the file that can't be read.
    pub(super) fn read(folder: &RunFolder) -> Result<Record, String> {
        let settings = read_text(&folder.settings_path(), LARGEST_SETTINGS)?;
        // Unlike `Settings::read`, this opens no other file.
        let parsed: Settings = parse(&settings, "run.toml").map_err(|e| e.to_string())?;
        let task = parsed.named_task().map_err(|e| e.to_string())?;
        let metrics = folder.metrics_path();
        let lines = match metrics.symlink_metadata() {
            Ok(_) => lines(&read_text(&metrics, LARGEST_METRICS)?)?,
            // No epoch is finished.
            Err(_) => Vec::new(),
        };
        let monitor = Monitor {
            metric: parsed.monitor.clone(),
            patience: parsed.patience,
            min_delta: parsed.min_delta,
        };
        let all = task.metrics();
        let metrics: Vec<Metric> = headline(&all, &lines).into_iter().copied().collect();
        let best = lines.iter().rfind(|line| line["is_best"] == true);
        let every = lines.len().div_ceil(MOST_DRAWN).max(1);
        let drawn = lines.iter().rev().step_by(every).rev();
        Ok(Record {
            title: parsed.title(),
            planned: match parsed.steps {
                Some(steps) => Planned::Steps(steps),
                None => Planned::Epochs(parsed.epochs.into()),
            },
            epochs: lines.last().map_or(0, epoch),
            drawn: drawn.map(|line| known(line, &metrics)).collect(),
            best: best
                .map(|line| known(line, &metrics))
                .zip(monitor.metric(&*task).map(|metric| metric.name)),
            gave_up: monitor.gives_up_after(&*task, &lines),
            settings,
            metrics,
        })
    }
}

/// The text of a file of a run with at most `most` bytes.
fn read_text(path: &Path, most: u64) -> Result<String, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let cannot = |error: std::io::Error| format!("{name} cannot be read: {error}");
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("{name} is not a file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > most {
        return Err(format!("{name} is larger than {} MiB", most >> 20));
    }
    String::from_utf8(bytes).map_err(|_| format!("{name} is damaged: it is not UTF-8 text"))
}

/// The epochs of `metrics.jsonl`. The last line may be incomplete: it is being written, or its run was killed.
fn lines(text: &str) -> Result<Vec<Value>, String> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let parsed = (1..).zip(complete.lines()).map(|(number, line)| {
        let line: Option<Value> = serde_json::from_str(line).ok();
        line.filter(|line| epoch(line) > 0)
            .ok_or_else(|| format!("metrics.jsonl is damaged: line {number} is not an epoch"))
    });
    parsed.collect()
}

/// What is shown of an epoch, so that a file with anything else in it is not kept in memory.
fn known(line: &Value, metrics: &[Metric]) -> Value {
    let names = metrics.iter().map(|metric| metric.name).chain(["loss"]);
    let keys = names.flat_map(|name| ["train", "test"].map(|part| format!("{part}_{name}")));
    let keys = keys.chain(["epoch".to_string()]);
    let numbers = keys.filter_map(|key| {
        let value = line.get(&key).filter(|value| value.is_number())?;
        Some((key, value.clone()))
    });
    let part = wgrad::run::chart::part(std::slice::from_ref(line)).name();
    let part = ("part".to_string(), part.into());
    numbers.chain([part]).collect::<Map<String, Value>>().into()
}

/// When a file of the run last changed.
pub(super) fn last_change(folder: &RunFolder) -> Option<SystemTime> {
    let paths = [
        folder.settings_path(),
        folder.metrics_path(),
        folder.checkpoints_path(),
    ];
    let changes = paths
        .iter()
        .filter_map(|path| fs::metadata(path).ok()?.modified().ok());
    changes.max()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn a_line_that_is_being_written_is_left_out_and_a_damaged_one_is_named() {
        assert_eq!(lines("").unwrap().len(), 0);
        assert_eq!(lines("{\"epoch\": 1}\n{\"epo").unwrap().len(), 1);
        for damaged in [
            "{\"epoch\": 1}\n{\"epo\n",
            "{\"epoch\": 1}\n[2]\n",
            "\n\n{\"epoch\": -1}\n",
        ] {
            let message = lines(damaged).unwrap_err();
            assert!(
                message.starts_with("metrics.jsonl is damaged: line "),
                "{message}"
            );
        }
    }
}
