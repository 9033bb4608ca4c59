//! Compares a benchmark with the results of an earlier `wgrad bench --json`.

use super::Record;
use crate::error::{Error, Result};
use std::fs;
use std::path::Path;

/// Size limit of a results file, which has a few hundred bytes per workload.
const LARGEST_BYTES: u64 = 64 << 20;

/// The workloads of an earlier run.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    records: Vec<Record>,
}

/// How a workload's time has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineChange {
    /// Milliseconds per step in the earlier run.
    pub old_ms: f64,
    /// Milliseconds per step now.
    pub new_ms: f64,
    /// Whether the interquartile ranges of the two runs do not overlap; otherwise the change may be noise.
    pub beyond_spread: bool,
    /// Whether the earlier run used another adapter.
    pub other_adapter: bool,
}

impl Baseline {
    /// Reads the output of `wgrad bench --json`.
    ///
    /// # Errors
    /// If the file can't be read, is truncated, or has other content.
    pub fn read(path: &Path) -> Result<Baseline> {
        let size = fs::metadata(path).map_err(Error::io("read", path))?.len();
        let refuse = |what: String| {
            let path = path.display();
            Error::Data(format!(
                "{path} {what}; --baseline needs the output of wgrad bench --json"
            ))
        };
        if size > LARGEST_BYTES {
            return Err(refuse(format!("is {} MiB long", size >> 20)));
        }
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        let text = String::from_utf8(bytes).map_err(|_| refuse("is not text".to_string()))?;
        Self::parse(&text).map_err(refuse)
    }

    /// The records in `text`, one JSON object per line. Those of ceilings, of single launches and of decoding are skipped. If there
    /// are several records of one workload, the last counts.
    fn parse(text: &str) -> Result<Baseline, String> {
        let mut records: Vec<Record> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let value: serde_json::Value = serde_json::from_str(line).map_err(|e| {
                if e.is_eof() {
                    format!("is truncated in line {number}")
                } else {
                    format!("is not JSON in line {number}")
                }
            })?;
            let others = ["ceilings", "step", "device_waited"];
            if others.iter().any(|key| value.get(key).is_some()) {
                continue;
            }
            let record: Record = serde_json::from_value(value)
                .map_err(|e| format!("has no measurement of a workload in line {number} ({e})"))?;
            let times = [record.q1_ms, record.median_ms, record.q3_ms];
            if !(times.is_sorted() && times[0] > 0.0) {
                return Err(format!(
                    "has impossible times of {} in line {number}",
                    record.workload
                ));
            }
            records.retain(|known| known.workload != record.workload);
            records.push(record);
        }
        if records.is_empty() {
            return Err("holds no measurement of a workload".to_string());
        }
        Ok(Baseline { records })
    }

    /// The change of `new` from the earlier measurement; `None` if there is none for that workload.
    pub fn change(&self, new: &Record) -> Option<BaselineChange> {
        let old = self.records.iter().find(|r| r.workload == new.workload)?;
        Some(BaselineChange {
            old_ms: old.median_ms,
            new_ms: new.median_ms,
            beyond_spread: old.q3_ms < new.q1_ms || new.q3_ms < old.q1_ms,
            other_adapter: old.adapter != new.adapter,
        })
    }
}

impl BaselineChange {
    /// Factor by which the workload has become faster; below 1 it has become slower.
    pub fn speedup(&self) -> f64 {
        self.old_ms / self.new_ms
    }

    /// A summary in one or two words.
    pub fn verdict(&self) -> &'static str {
        match (self.beyond_spread, self.speedup() > 1.0) {
            (false, _) => "within spread",
            (true, true) => "faster",
            (true, false) => "slower",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(workload: &str, ms: f64, spread: f64) -> Record {
        Record::example(workload, [0, 1000], ms, spread)
    }

    fn lines(records: &[Record]) -> String {
        let line = |r: &Record| serde_json::to_string(r).unwrap() + "\n";
        records.iter().map(line).collect()
    }

    #[test]
    fn a_change_counts_where_the_middle_halves_lie_apart() {
        let baseline = Baseline::parse(&lines(&[record("a", 10.0, 1.0)])).unwrap();
        let change = |ms, spread| baseline.change(&record("a", ms, spread)).unwrap();
        assert_eq!(change(5.0, 1.0).verdict(), "faster");
        assert_eq!(change(5.0, 1.0).speedup(), 2.0);
        assert_eq!(change(20.0, 1.0).verdict(), "slower");
        assert_eq!(change(11.5, 1.0).verdict(), "within spread");
        assert_eq!(change(5.0, 4.5).verdict(), "within spread");
        assert_eq!(baseline.change(&record("b", 1.0, 0.1)), None);
    }

    #[test]
    fn another_adapter_is_noticed() {
        let old = Record {
            adapter: "another".to_string(),
            ..record("a", 10.0, 1.0)
        };
        let baseline = Baseline::parse(&lines(&[old])).unwrap();
        let change = baseline.change(&record("a", 10.0, 1.0)).unwrap();
        assert!(change.other_adapter);
    }

    #[test]
    fn of_several_measurements_the_last_counts_and_other_lines_are_passed_over() {
        let text = format!(
            "{{\"ceilings\":{{}}}}\n{}{{\"workload\":\"a\",\"step\":3}}\n\n{{\"workload\":\"d\",\"device_waited\":0.1}}\n{}",
            lines(&[record("a", 10.0, 1.0)]),
            lines(&[record("a", 4.0, 1.0)])
        );
        let baseline = Baseline::parse(&text).unwrap();
        assert_eq!(
            baseline.change(&record("a", 2.0, 0.1)).unwrap().speedup(),
            2.0
        );
    }

    #[test]
    fn a_file_that_is_no_baseline_is_refused() {
        let good = lines(&[record("a", 10.0, 1.0), record("b", 10.0, 1.0)]);
        for (text, said) in [
            (String::new(), "holds no measurement"),
            (
                good[..good.len() - 40].to_string(),
                "is truncated in line 2",
            ),
            (format!("{good}workload,ms\n"), "is not JSON in line 3"),
            ("{\"loss\":0.1}\n".to_string(), "in line 1 (missing field"),
            (lines(&[record("a", 1.0, 2.0)]), "impossible times of a"),
        ] {
            let message = Baseline::parse(&text).unwrap_err();
            assert!(message.contains(said), "{message}");
        }
    }
}
