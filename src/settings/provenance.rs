//! What the ledger of a run says of its beginning: program, settings, data, device, and the weights that it begins with.

use super::Settings;
use crate::device::Engine;
use crate::error::Result;
use crate::provenance::{
    CodeRecord, DataRecord, DeviceRecord, LedgerRecord, LedgerSigner, PartContents, SettingsRecord,
    StartRecord, digest_of_file,
};
use crate::run::RunFolder;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is known of a beginning beside the settings.
#[derive(Default)]
pub(super) struct Beginning {
    /// The content of the parts of the data; `None` of an agent.
    pub data: Option<PartContents>,
    /// Finished steps.
    pub step: u64,
    /// The digest of the weights or of the checkpoint that it begins with, unless the seed draws them.
    pub values: Option<String>,
    /// Settings that changed when the run was resumed.
    pub changed: Vec<String>,
}

/// The note about bytes that were cut off a ledger.
pub(super) fn cut_off(bytes: u64) -> String {
    format!(
        "the ledger of the run ended in the middle of a line, of which {bytes} bytes were cut off: the process that wrote it was killed"
    )
}

impl Settings {
    /// The key that signs the links of the ledger, if one is named.
    ///
    /// # Errors
    /// If its file holds something else, or others can read it.
    pub fn signer(&self) -> Result<Option<Arc<LedgerSigner>>> {
        let signer = self.sign.as_deref().map(LedgerSigner::read);
        Ok(signer.transpose()?.map(Arc::new))
    }

    /// Adds the beginning of the run in `folder` on `engine`, whose training step has the digest `step`, to its ledger.
    ///
    /// # Errors
    /// If a file of the run can't be read, or the ledger can't be written.
    pub(super) fn record_beginning(
        &self,
        folder: &RunFolder,
        engine: &Engine,
        step: &str,
        beginning: Beginning,
    ) -> Result<()> {
        let mut files = BTreeMap::new();
        for (name, path) in folder.settings_files()? {
            files.insert(name, digest_of_file(&path)?);
        }
        let settings = SettingsRecord {
            files,
            changed: beginning.changed,
        };
        let mut records = vec![
            LedgerRecord::Code(CodeRecord::own()),
            LedgerRecord::Settings(settings),
        ];
        if let Some(parts) = beginning.data {
            let listing = folder.recorded_files();
            let file = folder.data_files_path();
            records.push(LedgerRecord::Data(DataRecord {
                source: self.data.source.clone(),
                files: listing.map_or(0, |listing| listing.len() as u64),
                listing: file.map(|file| digest_of_file(&file)).transpose()?,
                parts,
            }));
        }
        records.push(LedgerRecord::Device(device_record(folder, engine, step)?));
        let mut inputs = BTreeMap::new();
        for path in self.weights_read()? {
            inputs.insert(path.display().to_string(), digest_of_file(&path)?);
        }
        records.push(LedgerRecord::Start(StartRecord {
            step: beginning.step,
            values: beginning.values,
            inputs,
            cut: folder.cut_off(),
        }));
        folder.record_start(&records)
    }

    /// The files of weights that the run reads: those of `init`, of its teachers, and of the runs that it goes on from.
    fn weights_read(&self) -> Result<Vec<PathBuf>> {
        let mut paths: Vec<PathBuf> = self.init.iter().cloned().collect();
        for teacher in self.teacher_paths() {
            paths.push(RunFolder::open(Path::new(teacher))?.weights_path(false));
        }
        let earlier = self.earlier_runs()?;
        paths.extend(earlier.iter().map(|run| run.folder.weights_path(false)));
        let files = paths.into_iter().filter(|path| path.is_file());
        // As in the settings of a run, paths are valid from any folder.
        Ok(files
            .map(|path| path.canonicalize().unwrap_or(path))
            .collect())
    }
}

/// What is said of `engine`, whose kernel variants are written into `folder`.
fn device_record(folder: &RunFolder, engine: &Engine, step: &str) -> Result<DeviceRecord> {
    let (name, step) = (engine.name(), step.to_string());
    let Some(tuning) = engine.tuning() else {
        return Ok(DeviceRecord {
            name,
            backend: "reference".to_string(),
            driver: String::new(),
            variants: None,
            step,
        });
    };
    let variants = folder.record_variants(&tuning)?;
    Ok(DeviceRecord {
        name,
        backend: tuning.made_for.backend,
        driver: tuning.made_for.driver,
        variants: Some(digest_of_file(&variants)?),
        step,
    })
}
