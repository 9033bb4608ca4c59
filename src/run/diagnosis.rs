//! Why a run diverged: the step at which a number stopped being finite, and its state before.

use super::observer::Silent;
use super::{Checkpoint, Run};
use crate::error::{Error, Result};
use std::time::{Duration, Instant};

impl Run<'_> {
    /// Takes one step. `false` if it gives a loss, a weight or a state of the optimizer that is not finite.
    ///
    /// # Errors
    /// If the device failed.
    fn step_is_finite(&mut self) -> Result<bool> {
        self.length.steps = Some(self.trainer.steps_done() + 1);
        let taken = self.train_steps(&mut Silent, None);
        if self
            .trainer
            .steps_done()
            .is_multiple_of(self.steps_of_epoch())
        {
            self.progress.epoch += 1;
        }
        taken
            .and_then(|_| self.checkpoint())
            .map(|_| true)
            .or_else(|error| match error {
                Error::Training(_) => Ok(false),
                other => Err(other),
            })
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
            if !self.step_is_finite()? {
                return Ok(Some(before));
            }
        }
        Ok(None)
    }

    /// Takes one step, on an engine that checks every operation.
    ///
    /// # Errors
    /// The operation whose result is not finite.
    pub fn step_checked(&mut self) -> Result<()> {
        self.length.steps = Some(self.trainer.steps_done() + 1);
        self.train_steps(&mut Silent, None).map(|_| ())
    }
}
