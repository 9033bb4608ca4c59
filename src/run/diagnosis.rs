//! Why a run diverged: the step at which a number stopped being finite, and its state before.

use super::observer::Silent;
use super::{Checkpoint, Run};
use crate::error::{Error, Result};
use std::time::{Duration, Instant};

impl Run<'_> {
    /// Takes one step.
    fn one_step(&mut self) -> Result<()> {
        self.length.steps = Some(self.trainer.steps_done() + 1);
        self.train_steps(&mut Silent, None)?;
        let done = self.trainer.steps_done();
        if done.is_multiple_of(self.steps_of_epoch()) {
            self.progress.epoch += 1;
        }
        Ok(())
    }

    /// Goes on step by step to the first that gives a number which is not finite, and returns the state before it; `None` if there
    /// is none within an epoch or `longest`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn before_divergence(&mut self, longest: Duration) -> Result<Option<Checkpoint>> {
        let start = Instant::now();
        for _ in 0..=self.steps_of_epoch() {
            if start.elapsed() > longest {
                return Ok(None);
            }
            let before = self.checkpoint()?;
            // The state after the step may not be finite although its loss is.
            match self.one_step().and_then(|()| self.checkpoint()) {
                Err(Error::Diverged(_)) => return Ok(Some(before)),
                outcome => outcome.map(|_| ())?,
            }
        }
        Ok(None)
    }

    /// Takes one step, on an engine that checks every operation.
    ///
    /// # Errors
    /// The operation whose result is not finite.
    pub fn step_checked(&mut self) -> Result<()> {
        self.one_step()
    }
}
