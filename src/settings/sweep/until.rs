//! A run that pauses after a number of epochs.

use super::super::{Prepared, SessionObserver};
use super::SweepObserver;
use crate::device::Engine;
use crate::error::Result;
use crate::run::{EpochReport, Evaluation, Observer, Run, RunFolder, StepReport};

/// Stops a run with a checkpoint after some epochs. Its length stays what it was, so that schedules span it from the start, and the
/// run that is resumed is the same bit for bit as one that never paused.
pub(super) struct UntilEpoch<'a> {
    observer: &'a mut dyn SweepObserver,
    /// After how many epochs; never if absent.
    last: Option<u32>,
    is_reached: bool,
}

impl<'a> UntilEpoch<'a> {
    pub(super) fn new(observer: &'a mut dyn SweepObserver, last: Option<u32>) -> UntilEpoch<'a> {
        UntilEpoch {
            observer,
            last,
            is_reached: false,
        }
    }

    /// Whether the run paused because it had taken its epochs.
    pub(super) fn is_reached(&self) -> bool {
        self.is_reached
    }

    fn count(&mut self, epochs: u32) {
        self.is_reached = self.last.is_some_and(|last| epochs >= last);
    }
}

impl Observer for UntilEpoch<'_> {
    fn step(&mut self, report: &StepReport) {
        self.observer.step(report);
    }

    fn epoch(&mut self, report: &EpochReport) -> Result<()> {
        self.count(report.epoch);
        self.observer.epoch(report)
    }

    fn stops(&self) -> bool {
        self.is_reached || self.observer.stops()
    }
}

impl SessionObserver for UntilEpoch<'_> {
    fn opened(&mut self, prepared: &Prepared, engine: &Engine, notes: &[String]) {
        self.observer.opened(prepared, engine, notes);
    }

    fn started(&mut self, run: &Run<'_>, folder: &RunFolder) {
        // It may have been killed between its checkpoint and its result.
        self.count(run.progress().epoch);
        self.observer.started(run, folder);
    }

    fn note(&mut self, text: &str) {
        self.observer.note(text);
    }

    fn finished(&mut self, run: &Run<'_>, engine: &Engine, folder: &RunFolder, last: &Evaluation) {
        self.observer.finished(run, engine, folder, last);
    }
}
