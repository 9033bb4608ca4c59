//! The ledger of a run, `provenance.jsonl`: opened with the folder, and added to as the run goes on.

use super::RunFolder;
use crate::error::{Error, Result};
use crate::provenance::{EndRecord, LEDGER_FILE, Ledger, LedgerRecord, LedgerScan, LedgerSigner};
use std::path::PathBuf;
use std::sync::Arc;

impl RunFolder {
    /// `provenance.jsonl`: the ledger of the run; `None` if it is missing, as in runs of earlier versions.
    pub fn ledger_path(&self) -> Option<PathBuf> {
        Some(self.path.join(LEDGER_FILE)).filter(|path| path.is_file())
    }

    /// The same.
    ///
    /// # Errors
    /// If it is missing.
    pub fn require_ledger(&self) -> Result<PathBuf> {
        self.ledger_path().ok_or_else(|| {
            Error::Config(format!(
                "{} has no {LEDGER_FILE}: it was trained by a version without one, or the file was removed, and nothing can be verified; \
                 train it again",
                self.path.display()
            ))
        })
    }

    /// Lets the run that writes in the folder add what it does to its ledger, signed by `signer` if there is one. An incomplete last
    /// line is cut off.
    ///
    /// # Errors
    /// If a file that the run did not write has its name, or it is damaged, which is better known before the training than at its end.
    pub(crate) fn open_ledger(&mut self, signer: Option<Arc<LedgerSigner>>) -> Result<()> {
        let ledger = Ledger::new(&self.claim(LEDGER_FILE)?, signer);
        self.cut = ledger.repair()?;
        if ledger.path().exists() {
            LedgerScan::of(ledger.path())?;
        }
        self.ledger = Some(ledger);
        Ok(())
    }

    /// Bytes of an incomplete last line that were cut off the ledger when it was opened, as a process leaves one that was killed.
    pub fn cut_off(&self) -> u64 {
        self.cut
    }

    /// Adds a link to the ledger, if one is open.
    pub(super) fn record(&self, record: impl FnOnce() -> Result<LedgerRecord>) -> Result<()> {
        match &self.ledger {
            Some(ledger) => ledger.append(&[record()?]),
            None => Ok(()),
        }
    }

    /// Adds links about the beginning of the run to the ledger, if one is open.
    ///
    /// # Errors
    /// If it can't be written.
    pub(crate) fn record_start(&self, records: &[LedgerRecord]) -> Result<()> {
        match &self.ledger {
            Some(ledger) => ledger.append(records),
            None => Ok(()),
        }
    }

    /// Adds the end of the run after `step` steps to the ledger, with the root over all links so far, if one is open and has none.
    ///
    /// # Errors
    /// If it can't be read or written.
    pub(crate) fn record_end(&self, step: u64) -> Result<()> {
        let Some(ledger) = self.ledger.as_ref().filter(|ledger| ledger.path().exists()) else {
            return Ok(());
        };
        let scan = LedgerScan::of(ledger.path())?;
        if scan.end.is_some() || scan.links == 0 {
            return Ok(());
        }
        let end = EndRecord {
            step,
            links: scan.links,
            root: scan.root,
        };
        ledger.append(&[LedgerRecord::End(end)])?;
        ledger.sync()
    }

    /// Adds what was done with the run after its training to its ledger, signed by `signer` if there is one. Runs of earlier versions
    /// have none, and get none.
    ///
    /// # Errors
    /// If it is damaged, or can't be written.
    pub fn record_later(
        &self,
        record: LedgerRecord,
        signer: Option<Arc<LedgerSigner>>,
    ) -> Result<()> {
        match self.ledger_path() {
            Some(path) => Ledger::new(&path, signer).append(&[record]),
            None => Ok(()),
        }
    }
}
