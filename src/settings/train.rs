//! A prepared run from its start to its end, also when the device is lost on the way.

use super::provenance::cut_off;
use super::start::{Prepared, Resumed};
use super::{Settings, TaskScores};
use crate::device::Engine;
use crate::error::{Error, Result};
use crate::run::{Evaluation, Observer, Run, RunFolder};
use std::time::Duration;

/// How often in a row a device may be lost without a new checkpoint in between.
const MOST_LOSSES: u32 = 3;
/// Pause before a lost device is opened again: drivers reset it first.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest time for which steps are replayed to find out why a run diverged.
const LONGEST_REPLAY: Duration = Duration::from_secs(120);

/// Receives reports of a run from its start to its end.
pub trait SessionObserver: Observer {
    /// Called when the device is open, with notes for the user; once more each time that it was lost.
    fn opened(&mut self, _prepared: &Prepared, _engine: &Engine, _notes: &[String]) {}
    /// Called when the run is on the device and has its folder.
    fn started(&mut self, _run: &Run<'_>, _folder: &RunFolder) {}
    /// Called with a note for the user: the device was lost and is about to be opened again, or steps are replayed.
    fn note(&mut self, _text: &str) {}
    /// Called at the end of the run, with the last evaluation.
    fn finished(
        &mut self,
        _run: &Run<'_>,
        _engine: &Engine,
        _folder: &RunFolder,
        _last: &Evaluation,
    ) {
    }
    /// Called with the results on the data of every earlier run, at the end of a run of continual learning.
    fn tasks(&mut self, _scores: &TaskScores) {}
}

/// Losses of the device in a run.
#[derive(Default)]
struct Losses {
    /// In a row, without a new checkpoint in between.
    count: u32,
    /// Steps of the last checkpoint before the last one.
    step: Option<u64>,
}

impl Losses {
    /// Whether the run may go on once more, from a checkpoint after `step` steps.
    fn permit(&mut self, step: u64) -> bool {
        if self.step.replace(step) != Some(step) {
            self.count = 0;
        }
        self.count += 1;
        self.count <= MOST_LOSSES
    }
}

impl Prepared {
    /// Trains the run to its end: opens the device, starts the run or resumes it, and trains. If the device is lost, it is opened
    /// again and the run goes on from its last checkpoint, or from its beginning if it has none, with the same result bit for
    /// bit.
    ///
    /// # Errors
    /// As [`Prepared::open_engine`], [`Prepared::start`] and [`Run::fit`]; if the device was lost several times in a row without a
    /// new checkpoint in between, or does not open again. A new run that fails without a checkpoint leaves nothing behind.
    pub fn train(mut self, observer: &mut dyn SessionObserver) -> Result<Evaluation> {
        let (engine, notes) = self.open_engine()?;
        let mut opened = Some((engine, notes));
        let mut losses = Losses::default();
        let mut name = String::new();
        loop {
            let (engine, notes) = match opened.take() {
                Some(opened) => opened,
                None => self.reopen_engine(&name)?,
            };
            name = engine.name();
            observer.opened(&self, &engine, &notes);
            let (settings, resumed) = (self.settings.clone(), self.folder().cloned());
            let (error, folder, begun) = match self.start(&engine) {
                Ok((mut run, folder)) => {
                    if folder.cut_off() > 0 {
                        observer.note(&cut_off(folder.cut_off()));
                    }
                    observer.started(&run, &folder);
                    match run.fit(observer, Some(&folder)) {
                        Ok(last) => {
                            observer.finished(&run, &engine, &folder, &last);
                            // Its memory on the device is free for the evaluations.
                            drop(run);
                            if settings.continual.is_some() {
                                observer.tasks(&settings.score_tasks(&folder, &engine)?);
                            }
                            return Ok(last);
                        }
                        Err(error) => (error, Some(folder), true),
                    }
                }
                Err(error) => (error, resumed, false),
            };
            let lost = match error {
                Error::Device(_) => true,
                // All that a run needs was allocated before it began.
                Error::Memory(_) => begun,
                _ => false,
            };
            let checkpoint = match &folder {
                Some(folder) if lost => folder.latest_checkpoint()?,
                _ => None,
            };
            let step = checkpoint.as_ref().map_or(0, |found| found.progress.step);
            if let (Error::Diverged(text), Some(folder)) = (&error, &folder) {
                observer.note("a value is not finite: the last steps are replayed to find where it comes from");
                let why = settings.diagnosed(folder, &engine).ok().flatten();
                let why = why.map(|why| Error::Diverged(format!("{text}; {why}")));
                return Err(given_up(why.unwrap_or(error), Some(folder)));
            }
            if !lost || !losses.permit(step) {
                return Err(given_up(error, folder.as_ref()));
            }
            observer.note(&format!(
                "{error}; the device is opened again, and the run goes on after step {step}"
            ));
            let resumed = folder.map(|folder| Resumed {
                folder,
                checkpoint,
                earlier: None,
                changed: Vec::new(),
            });
            self = settings.prepared(resumed)?;
        }
    }

    /// Opens the device `name` again, which was lost.
    fn reopen_engine(&self, name: &str) -> Result<(Engine, Vec<String>)> {
        let mut outcome = Ok(());
        for _ in 0..MOST_LOSSES {
            std::thread::sleep(PAUSE);
            outcome = match self.open_engine() {
                Ok((engine, notes)) if engine.name() == name => return Ok((engine, notes)),
                Ok((engine, _)) => Err(format!("only {} opens now", engine.name())),
                Err(error) => Err(error.to_string()),
            };
        }
        let why = outcome.err().unwrap_or_default();
        let error = Error::Device(format!("{name} was lost and does not open again: {why}"));
        Err(given_up(error, self.folder()))
    }
}

impl Settings {
    /// Replays the steps since the last checkpoint of the diverged run in `folder` one by one on `engine`, and the first that gives a
    /// number which is not finite on the reference, with every operation checked: the rest of a sentence about it. `None` if the
    /// replay stays finite.
    ///
    /// # Errors
    /// If the replay fails for another reason.
    fn diagnosed(&self, folder: &RunFolder, engine: &Engine) -> Result<Option<String>> {
        let prepared = || -> Result<Prepared> {
            let checkpoint = folder.latest_checkpoint()?;
            let folder = folder.clone();
            self.clone().prepared(Some(Resumed {
                folder,
                checkpoint,
                earlier: None,
                changed: Vec::new(),
            }))
        };
        let before = {
            let mut run = prepared()?.replay(engine)?;
            run.before_divergence(LONGEST_REPLAY)?
        };
        let Some(before) = before else {
            return Ok(None);
        };
        let step = before.progress.step + 1;
        let mut run = prepared()?.replay(&Engine::CheckedCpu)?;
        run.restore(before)?;
        let found = match run.step_checked() {
            Err(Error::Diverged(found)) => found,
            Err(other) => return Err(other),
            Ok(()) => "the CPU reference stays finite there; run wgrad check".to_string(),
        };
        Ok(Some(format!("step {step} is the first: {found}")))
    }
}

/// The error that ends a run, whose folder is removed if it has no checkpoint.
fn given_up(error: Error, folder: Option<&RunFolder>) -> Error {
    let Some(folder) = folder.filter(|_| !matches!(error, Error::Stopped(_))) else {
        return error;
    };
    folder.discard();
    folder.advise(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_may_be_lost_again_after_every_checkpoint_but_not_forever_before_one() {
        let mut losses = Losses::default();
        for step in 1..20 {
            assert!(losses.permit(step));
        }
        assert!(losses.permit(19) && losses.permit(19));
        assert!(!losses.permit(19));
    }
}
