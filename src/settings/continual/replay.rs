//! Replay: training samples of earlier runs, before those of a run's own data.

use super::super::Settings;
use super::chain::Earlier;
use super::{Continual, ContinualMethod};
use crate::data::{Samples, labelled};
use crate::error::{Error, Result};
use crate::train::Replay;

impl Settings {
    /// Puts samples of the runs of the `chain` before the training samples `train`, if this run replays them.
    ///
    /// # Errors
    /// If one has fewer samples than are kept of it, or samples of another kind.
    pub(in crate::settings) fn replayed(
        &self,
        chain: &[Earlier],
        train: &mut Samples,
    ) -> Result<Option<Replay>> {
        let Some(own) = &self.continual else {
            return Ok(None);
        };
        if self.continual_method() != Some(ContinualMethod::Replay) {
            return Ok(None);
        }
        let mut memory: Option<Samples> = None;
        for earlier in chain {
            let kept = kept(earlier, own, self.seed)?;
            memory = Some(match memory {
                Some(memory) => joined(&memory, &kept)?,
                None => kept,
            });
        }
        let Some(memory) = memory else {
            return Ok(None);
        };
        *train = joined(&memory, train)?;
        Ok(Some(Replay {
            samples: memory.len(),
            share: own.share,
        }))
    }
}

/// The training samples that are kept of a run, equally many of each class.
fn kept(earlier: &Earlier, own: &Continual, seed: u64) -> Result<Samples> {
    let dataset = earlier.load()?;
    let (train, count) = (&dataset.train, own.memory);
    if count > train.len() {
        return Err(Error::Config(format!(
            "continual.memory is {count}, but {} has {} training {}; make it smaller",
            earlier.name,
            train.len(),
            train.noun()
        )));
    }
    let chosen = match train.labels() {
        Some(labels) => labelled::balanced(labels, dataset.classes.len(), count, seed),
        None => labelled::balanced(&vec![0; train.len()], 1, count, seed),
    };
    Ok(train.chosen(&chosen))
}

/// Samples, and others after them.
fn joined(first: &Samples, second: &Samples) -> Result<Samples> {
    first.followed_by(second).map_err(|why| {
        Error::Config(format!(
            "continual.method = \"replay\" mixes samples of all runs, but they {why}; choose another method, or data of the same kind"
        ))
    })
}
