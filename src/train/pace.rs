//! The number of steps per submission.

use std::time::Instant;

/// Chooses the number of steps per submission so that it takes about a fifth of a second.
pub(crate) struct Pace {
    most: u64,
    steps: u64,
    last: Instant,
    finished: u64,
}

impl Pace {
    pub fn new(most: usize) -> Self {
        Pace {
            most: most as u64,
            steps: 1,
            last: Instant::now(),
            finished: 0,
        }
    }

    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Records that `finished` steps are done.
    pub fn finished(&mut self, finished: u64) {
        const TARGET_SECONDS: f64 = 0.2;
        if finished <= self.finished {
            return;
        }
        let each = self.last.elapsed().as_secs_f64() / (finished - self.finished) as f64;
        let wanted = (TARGET_SECONDS / each.max(1e-6)) as u64;
        self.steps = wanted.clamp(1, (self.steps * 2).min(self.most));
        (self.finished, self.last) = (finished, Instant::now());
    }
}
