//! Provenance: ledgers that say what a run was made of and what it made, each line with the hash of the one before, and their
//! verification.

mod carried;
mod ledger;
mod merkle;
mod record;
mod scan;
mod signature;
mod verify;
mod written;

pub use carried::{CARRIED, CarriedRoot};
pub use ledger::{LONGEST_LINE, Ledger, LedgerLine, LedgerLink, LedgerReader};
pub use merkle::MerkleTree;
pub use record::{
    CheckpointRecord, CodeRecord, DataRecord, DeviceRecord, EndRecord, EvaluationRecord,
    ExportRecord, LedgerRecord, RunRecord, SettingsRecord, StartRecord, WeightsRecord,
    figures_of_line,
};
pub use scan::LedgerScan;
pub use signature::{LedgerKey, LedgerSigner};
pub use verify::{
    LEDGER_FILE, LinkCheck, PartContents, Verification, VerifiedLedger, verify_ledger,
};
pub use written::verify_file;

use crate::checksum::{ContentDigest, FileSums, sha256_digits};
use crate::cpu::{Data, Tensor};
use crate::error::{Error, Result};
use std::path::Path;

/// The SHA-256 of `bytes` in hexadecimal digits, as `sha256sum` prints it.
pub fn digest_of(bytes: &[u8]) -> String {
    sha256_digits(bytes)
}

/// The SHA-256 of the file at `path` in hexadecimal digits.
///
/// # Errors
/// If it is not a file, or can't be read.
pub fn digest_of_file(path: &Path) -> Result<String> {
    check_file(path, "a file")?;
    let sums = FileSums::of(path).map_err(Error::io("read", path))?;
    Ok(sums.sha256)
}

/// The SHA-256 of types, shapes and values of `tensors`, in their order, in hexadecimal digits.
pub fn digest_of_values(tensors: &[Tensor<f32>]) -> String {
    use crate::checksum::Absorb as _;
    let mut digest = ContentDigest::default();
    for tensor in tensors {
        digest.add(tensor.ty().to_string().as_bytes());
        match &tensor.data {
            Data::Real(x) => digest.add(bytemuck::cast_slice(x)),
            Data::Index(x) => digest.add(bytemuck::cast_slice(x)),
        }
    }
    digest.digits()
}

/// Checks that there is a file at `path`; `what` says which one to name. A pipe or a device, which might never end, is none.
fn check_file(path: &Path, what: &str) -> Result<()> {
    match (path.is_file(), path.exists()) {
        (true, _) => Ok(()),
        (false, true) => Err(Error::Config(format!(
            "{} is not a file; name {what}",
            path.display()
        ))),
        (false, false) => Err(Error::missing(path, what)),
    }
}
