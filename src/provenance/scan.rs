//! What a ledger says, read without checks: its root, and the last records of each kind.

use super::carried::CarriedRoot;
use super::ledger::{LedgerLine, LedgerLink, LedgerReader};
use super::merkle::MerkleTree;
use super::record::{CheckpointRecord, DeviceRecord, EndRecord, LedgerRecord, WeightsRecord};
use crate::checksum::from_hex;
use crate::error::{Error, Result};
use std::path::Path;

/// Changed settings that are kept, of which a run that is resumed again and again has many.
const MOST_CHANGES: usize = 100;

/// What a ledger says, without checks.
#[derive(Clone, Debug, Default)]
pub struct LedgerScan {
    /// Number and root of all links.
    pub links: u64,
    /// Their root.
    pub root: String,
    /// The end of the training, unless another start follows.
    pub end: Option<EndRecord>,
    /// The last checkpoint.
    pub checkpoint: Option<CheckpointRecord>,
    /// The last weights.
    pub weights: Option<WeightsRecord>,
    /// The device of the last start.
    pub device: Option<DeviceRecord>,
    /// Settings that changed when the run was resumed.
    pub changed: Vec<String>,
}

impl LedgerScan {
    /// Reads the ledger at `path`.
    ///
    /// # Errors
    /// If it can't be read, or a line is no link.
    pub fn of(path: &Path) -> Result<LedgerScan> {
        let mut scan = LedgerScan::default();
        let root = Self::each(path, &mut |link, record| {
            scan.links = link;
            match record {
                LedgerRecord::Start(_) => scan.end = None,
                LedgerRecord::End(end) => scan.end = Some(end),
                LedgerRecord::Checkpoint(found) => scan.checkpoint = Some(found),
                LedgerRecord::Weights(found) => scan.weights = Some(found),
                LedgerRecord::Device(found) => scan.device = Some(found),
                LedgerRecord::Settings(found) => {
                    scan.changed.extend(found.changed);
                    scan.changed.truncate(MOST_CHANGES);
                }
                _ => {}
            }
        })?;
        scan.root = root;
        Ok(scan)
    }

    /// Passes every record with the number of its link to `take`, and returns the root over all links.
    ///
    /// # Errors
    /// If the ledger can't be read, or a line is no link.
    pub fn each(path: &Path, take: &mut dyn FnMut(u64, LedgerRecord)) -> Result<String> {
        let mut reader = LedgerReader::open(path)?;
        let mut tree = MerkleTree::default();
        while let Some(line) = reader.next_line()? {
            let number = tree.leaves() + 1;
            let damaged = || {
                Error::Config(format!(
                    "line {number} of {} is no link of a ledger: restore the file, or move it away; `wgrad verify` says more",
                    path.display()
                ))
            };
            let LedgerLine::Whole(line) = line else {
                return Err(damaged());
            };
            let link = LedgerLink::parse(&line).map_err(|_| damaged())?;
            tree.add(&from_hex::<32>(&link.hash).ok_or_else(damaged)?);
            if let Some(record) = link.record().map_err(|_| damaged())? {
                take(number, record);
            }
        }
        Ok(tree.root())
    }

    /// The root that a model carries: that of the end of the training or, before it, of all links so far.
    pub fn carried(&self) -> CarriedRoot {
        let (links, root) = match &self.end {
            Some(end) => (end.links, &end.root),
            None => (self.links, &self.root),
        };
        CarriedRoot {
            links,
            root: root.clone(),
        }
    }
}
