//! Whether a file is one that a run wrote: weights, a checkpoint, or a model for other programs.

use super::carried::CarriedRoot;
use super::digest_of_file;
use super::ledger::{LedgerLine, LedgerLink, LedgerReader};
use super::merkle::MerkleTree;
use super::record::LedgerRecord;
use super::verify::LinkCheck;
use crate::checksum::from_hex;
use crate::error::Result;
use std::path::Path;

/// Checks that the file `path`, an exported model or weights, comes from the run with the ledger `ledger`, whose chain
/// [`verify_ledger`] checks.
///
/// # Errors
/// If one can't be read.
pub fn verify_file(path: &Path, ledger: &Path) -> Result<LinkCheck> {
    let own = digest_of_file(path)?;
    let mut found = None;
    let mut tree = MerkleTree::default();
    let carried = CarriedRoot::of_file(path).ok().flatten();
    let mut root = None;
    let mut reader = LedgerReader::open(ledger)?;
    let mut number = 0;
    while let Some(line) = reader.next_line()? {
        number += 1;
        let LedgerLine::Whole(line) = line else {
            continue;
        };
        let Ok(link) = LedgerLink::parse(&line) else {
            continue;
        };
        tree.add(&from_hex::<32>(&link.hash).unwrap_or_default());
        if carried
            .as_ref()
            .is_some_and(|carried| carried.links == number)
        {
            root = Some(tree.root());
        }
        let (sha256, kind) = match link.record() {
            Ok(Some(LedgerRecord::Export(record))) => (record.sha256, "export"),
            Ok(Some(LedgerRecord::Weights(record))) => (record.sha256, "weights"),
            Ok(Some(LedgerRecord::Checkpoint(record))) => (record.sha256, "checkpoint"),
            _ => continue,
        };
        if sha256 == own {
            found = Some((number, kind));
        }
    }
    let shown = path.display();
    let mut check = LinkCheck::of("file", Vec::new());
    let same_root = carried
        .as_ref()
        .map(|carried| Some(&carried.root) == root.as_ref());
    match (found, same_root) {
        (Some((number, kind)), None | Some(true)) => {
            check.link = Some(number);
            check.kind = kind.to_string();
        }
        (_, Some(false)) => check.problems.push(format!(
            "{shown} carries the root of another run than that of {}",
            ledger.display()
        )),
        (None, Some(true)) => check.problems.push(format!(
            "{shown} carries the root of this run, but is not as it was written: it was changed"
        )),
        (None, None) => check.problems.push(format!(
            "{shown} is no file that the run with {} wrote, or was changed since",
            ledger.display()
        )),
    }
    Ok(check)
}
