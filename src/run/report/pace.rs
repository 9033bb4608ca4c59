//! When `report.html` is written: its pages grow with the number of epochs, so writing one after every epoch of a long run would
//! take ever more of the time.

use std::time::{Duration, Instant};

/// The largest share of a run's time that is spent on reports.
const SHARE: f64 = 0.01;

/// The time that a run has spent on reports.
#[derive(Debug)]
pub(in crate::run) struct ReportPace {
    start: Instant,
    spent: Duration,
}

impl Default for ReportPace {
    fn default() -> Self {
        ReportPace {
            start: Instant::now(),
            spent: Duration::ZERO,
        }
    }
}

impl ReportPace {
    /// Whether a report is due: those before took at most their share of the time since the start.
    pub fn is_due(&self) -> bool {
        self.spent.as_secs_f64() <= SHARE * self.start.elapsed().as_secs_f64()
    }

    /// Adds the time that a report took.
    pub fn written(&mut self, time: Duration) {
        self.spent += time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_report_is_due_and_the_next_after_a_hundred_times_its_duration() {
        let mut pace = ReportPace::default();
        assert!(pace.is_due());
        pace.written(Duration::from_millis(200));
        assert!(!pace.is_due());
        pace.start -= Duration::from_secs(21);
        assert!(pace.is_due());
    }
}
