//! Training a run once more from its beginning, to compare the bits of its last checkpoint with those of the first time.

use super::Settings;
use crate::agents::{AgentEpoch, AgentObserver};
use crate::data::Fitted;
use crate::device::Engine;
use crate::error::{Error, Result};
use crate::provenance::{
    CheckpointRecord, LEDGER_FILE, LedgerRecord, LedgerScan, LinkCheck, PartContents,
};
use crate::run::{CheckpointInterval, EpochReport, Observer, RunFolder, StepReport};
use std::collections::BTreeMap;
use std::path::Path;

/// The outcome of training a run again.
#[derive(Clone, Debug)]
pub struct TrainedAgain {
    /// The checkpoint of the first time that was compared.
    pub checkpoint: CheckpointRecord,
    /// What is broken, and what may surprise.
    pub check: LinkCheck,
}

impl Settings {
    /// The content of each part of the data of a run, of those at `source` if they are somewhere else now.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn data_contents(&self, source: Option<&str>) -> Result<PartContents> {
        let mut settings = self.clone();
        if let Some(source) = source {
            settings.set_source(source.to_string());
        }
        let dataset = settings.load_data()?;
        Ok(dataset.contents(settings.data.evaluate))
    }

    /// Trains the run in the folder `path` again, from its data and settings alone, in a temporary folder, with the kernel variants that
    /// it recorded, and compares the last checkpoint. Data are taken from `source` if they are somewhere else now.
    ///
    /// # Errors
    /// If the run has no ledger or no checkpoint, or can't be trained.
    pub fn train_again(
        path: &Path,
        source: Option<&str>,
        observer: &mut dyn Observer,
    ) -> Result<TrainedAgain> {
        let (folder, mut settings) = Settings::open_run(path)?;
        let ledger = folder.require_ledger()?;
        let first = LedgerScan::of(&ledger)?;
        let Some(checkpoint) = first.checkpoint else {
            return Err(Error::Config(format!(
                "{} has no checkpoint to compare with; train it first",
                path.display()
            )));
        };
        let temporary = tempfile::tempdir().map_err(Error::io(
            "create a temporary folder for",
            path.to_path_buf(),
        ))?;
        settings.out = Some(temporary.path().join("run"));
        settings.fitted = Fitted::default();
        settings.tensorboard = false;
        if let Some(source) = source {
            settings.set_source(source.to_string());
        }
        if first.end.is_none() && !settings.is_agent() {
            // It stopped there, perhaps within an epoch.
            settings.checkpoint_every = Some(CheckpointInterval::Steps(checkpoint.step));
        }
        let mut until = Until {
            observer,
            step: checkpoint.step,
            ends: first.end.is_some(),
            reached: false,
        };
        let name = settings.retrained(&folder, &mut until)?;
        let again = temporary.path().join("run").join(LEDGER_FILE);
        let mut check = compared(&checkpoint, &ledger, &again)?;
        if !check.is_ok() && !first.changed.is_empty() {
            check.notes.push(format!(
                "the run was resumed with other settings ({}), which a training from the beginning has from its first step on",
                first.changed.join(", ")
            ));
        }
        let device = first.device.map(|device| device.name);
        if let Some(device) = device.filter(|device| *device != name) {
            check.notes.push(format!(
                "the run was trained on {device} and again on {name}, which may round sums differently"
            ));
        }
        Ok(TrainedAgain { checkpoint, check })
    }

    /// Trains from the beginning with the kernel variants of the run in `folder`, and returns the name of the device.
    fn retrained(self, folder: &RunFolder, until: &mut Until<'_>) -> Result<String> {
        let open = |settings: &Settings| -> Result<Engine> {
            let adapter = settings.adapter.as_deref();
            let variants = folder.recorded_variants()?;
            Ok(Engine::open(settings.device, adapter, variants)?.0)
        };
        let (outcome, name) = if self.is_agent() {
            let prepared = self.prepare_agent()?;
            let engine = open(&prepared.settings)?;
            let trained = prepared.train(&engine, until, &mut |_, _, _| {});
            (trained, engine.name())
        } else {
            let prepared = self.prepared(None)?;
            let engine = open(&prepared.settings)?;
            let (mut run, folder) = prepared.start(&engine)?;
            let trained = run.fit(until, Some(&folder)).map(|_| ());
            (trained, engine.name())
        };
        match outcome {
            Err(Error::Stopped(_)) if until.reached => Ok(name),
            Err(Error::Stopped(_)) => Err(Error::Stopped(
                "the second training was stopped before its end".to_string(),
            )),
            outcome => outcome.map(|()| name),
        }
    }
}

/// The outcome of comparing `last`, a checkpoint of the run with the ledger `first`, with those in the ledger `again`.
fn compared(last: &CheckpointRecord, first: &Path, again: &Path) -> Result<LinkCheck> {
    let mut trained: BTreeMap<u64, String> = BTreeMap::new();
    let mut data: Option<PartContents> = None;
    let mut same = false;
    LedgerScan::each(again, &mut |_, record| match record {
        LedgerRecord::Checkpoint(found) => {
            same |= found.step == last.step && found.values == last.values;
            trained.insert(found.step, found.values);
        }
        LedgerRecord::Data(found) => data = Some(found.parts),
        _ => {}
    })?;
    let mut problems = Vec::new();
    if same {
        return Ok(LinkCheck::of("replay", problems));
    }
    let (mut differs, mut other_data) = (None, false);
    LedgerScan::each(first, &mut |_, record| match record {
        LedgerRecord::Checkpoint(found) if differs.is_none() => {
            let now = trained.get(&found.step);
            differs = now.filter(|now| **now != found.values).map(|_| found.step);
        }
        LedgerRecord::Data(found) => {
            other_data |= data.as_ref().is_some_and(|data| *data != found.parts);
        }
        _ => {}
    })?;
    if other_data {
        problems.push("the data of the second training are not those of the first".to_string());
    }
    problems.push(match differs {
        Some(step) => format!(
            "training again gives other bits: the first checkpoint that differs is the one after step {step}"
        ),
        None => format!(
            "training again gives no checkpoint after step {}, the last one",
            last.step
        ),
    });
    Ok(LinkCheck::of("replay", problems))
}

/// Stops a training of which only the beginning is compared.
struct Until<'a> {
    observer: &'a mut dyn Observer,
    step: u64,
    /// Whether the run is compared at its end.
    ends: bool,
    reached: bool,
}

impl Observer for Until<'_> {
    fn step(&mut self, report: &StepReport) {
        let done = u64::from(report.epoch.saturating_sub(1)) * report.steps + report.step;
        self.reached |= !self.ends && done >= self.step;
        self.observer.step(report);
    }

    fn epoch(&mut self, report: &EpochReport) -> Result<()> {
        self.observer.epoch(report)
    }

    fn stops(&self) -> bool {
        self.reached || self.observer.stops()
    }
}

impl AgentObserver for Until<'_> {
    fn agent_epoch(&mut self, _epoch: &AgentEpoch) -> Result<()> {
        Ok(())
    }
}
