//! When checkpoints are written, and how many are kept.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// When checkpoints are written beside those after every epoch, and how many are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Saving {
    /// How often a checkpoint is written within an epoch; never if absent.
    pub every: Option<CheckpointInterval>,
    /// Number of the latest checkpoints that are kept, in addition to that of the best epoch.
    pub keep: usize,
}

impl Default for Saving {
    fn default() -> Self {
        Saving {
            every: None,
            keep: 2,
        }
    }
}

/// Steps or time between two checkpoints. As text, `500` or `500 steps`, and `90s`, `10m` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "String")]
pub enum CheckpointInterval {
    /// A checkpoint after every multiple of this number of steps.
    Steps(u64),
    /// A checkpoint at the first step after this time since the last one.
    Time(Duration),
}

impl CheckpointInterval {
    /// The number of steps until the next checkpoint after `done` steps, at most `steps`.
    pub(super) fn limit(self, done: u64, steps: u64) -> u64 {
        match self {
            CheckpointInterval::Steps(every) => steps.min(every - done % every),
            CheckpointInterval::Time(_) => steps,
        }
    }

    /// Whether a checkpoint is due after `done` steps, if the last one was written `before`.
    pub(super) fn is_due(self, done: u64, before: Duration) -> bool {
        match self {
            CheckpointInterval::Steps(every) => done.is_multiple_of(every),
            CheckpointInterval::Time(every) => before >= every,
        }
    }
}

impl FromStr for CheckpointInterval {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = text.trim();
        let number = number
            .strip_suffix("steps")
            .or(number.strip_suffix("step"))
            .unwrap_or(number)
            .trim_end();
        let interval = match number.parse() {
            Ok(steps) => Some(CheckpointInterval::Steps(steps)),
            Err(_) => humantime::parse_duration(text)
                .ok()
                .map(CheckpointInterval::Time),
        };
        let none = [
            CheckpointInterval::Steps(0),
            CheckpointInterval::Time(Duration::ZERO),
        ];
        interval
            .filter(|interval| !none.contains(interval))
            .ok_or_else(|| {
                Error::Config(format!(
                    "checkpoint_every is {text:?}; give a number of steps, such as 500, or a time, such as 90s, 10m or \"1h 30m\""
                ))
            })
    }
}

impl fmt::Display for CheckpointInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointInterval::Steps(steps) => write!(f, "{steps} steps"),
            CheckpointInterval::Time(time) => write!(f, "{}", humantime::format_duration(*time)),
        }
    }
}

/// An interval in a settings file: a number or a text.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Steps(u64),
    Text(String),
}

impl TryFrom<Written> for CheckpointInterval {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        match written {
            Written::Steps(steps) => steps.to_string().parse(),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<CheckpointInterval> for String {
    fn from(interval: CheckpointInterval) -> String {
        interval.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_they_are_written() {
        for (text, interval) in [
            ("500", CheckpointInterval::Steps(500)),
            ("1 step", CheckpointInterval::Steps(1)),
            ("20steps", CheckpointInterval::Steps(20)),
            ("10m", CheckpointInterval::Time(Duration::from_secs(600))),
            (
                "1h 30m",
                CheckpointInterval::Time(Duration::from_secs(5400)),
            ),
        ] {
            assert_eq!(text.parse::<CheckpointInterval>().unwrap(), interval);
            assert_eq!(
                interval.to_string().parse::<CheckpointInterval>().unwrap(),
                interval
            );
        }
        for text in ["", "0", "0s", "-5", "steps", "10 x", "1e3"] {
            let message = text.parse::<CheckpointInterval>().unwrap_err().to_string();
            assert!(message.contains("checkpoint_every"), "{message}");
        }
    }

    #[test]
    fn a_step_never_goes_past_a_checkpoint() {
        let every = CheckpointInterval::Steps(10);
        assert_eq!(every.limit(0, 64), 10);
        assert_eq!(every.limit(7, 64), 3);
        assert_eq!(every.limit(7, 2), 2);
        assert!(every.is_due(20, Duration::ZERO) && !every.is_due(21, Duration::MAX));
        let every = CheckpointInterval::Time(Duration::from_secs(5));
        assert_eq!(every.limit(7, 64), 64);
        assert!(every.is_due(3, Duration::from_secs(5)));
        assert!(!every.is_due(3, Duration::from_secs(4)));
    }
}
