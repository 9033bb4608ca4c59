//! Digests of samples, by which a resumed run notices that its data changed.

use super::field::FieldValues;
use super::{Dataset, Part, Samples, WindowRows};
use crate::checksum::{Absorb, Checksum, ContentDigest};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The content of a part of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartContent {
    /// Number of samples.
    pub samples: u64,
    /// The SHA-256 of all values of all fields; of images that stay on disk, that of the CRC-32 of each.
    pub sha256: String,
}

impl Samples {
    /// The number of samples and the CRC-32 of all values of all fields.
    pub fn digest(&self) -> String {
        let mut sum = Checksum::default();
        self.absorbed(&mut sum);
        format!("{} samples, crc32 {}", self.len(), sum.digits())
    }

    /// The number of samples and the SHA-256 of all values of all fields.
    pub fn content(&self) -> PartContent {
        let mut digest = ContentDigest::default();
        self.absorbed(&mut digest);
        PartContent {
            samples: self.len() as u64,
            sha256: digest.digits(),
        }
    }

    fn absorbed(&self, sum: &mut impl Absorb) {
        for field in self.fields() {
            sum.add(format!("{} {:?}", field.name, field.shape()).as_bytes());
            match &field.values {
                FieldValues::Pixels { bytes, .. } | FieldValues::ByteClasses { bytes, .. } => {
                    sum.add(bytes);
                }
                FieldValues::Files(files) => sum.add_parts(files.checksums()),
                FieldValues::Labels(labels) => sum.add(bytemuck::cast_slice(labels)),
                FieldValues::Windows { rows, offset, .. } => {
                    sum.add(&(*offset as u64).to_le_bytes());
                    match &**rows {
                        WindowRows::Floats { values, .. } => sum.add(bytemuck::cast_slice(values)),
                        WindowRows::Tokens { tokens, .. } => sum.add(bytemuck::cast_slice(tokens)),
                    }
                }
            }
        }
        if let Some(starts) = self.starts() {
            sum.add(bytemuck::cast_slice(&starts.first));
        }
    }
}

impl Dataset<Samples> {
    /// The digest of each part, by its name; `evaluated` is the part in the place of the test part.
    pub fn digests(&self, evaluated: Part) -> BTreeMap<String, String> {
        self.by_part(evaluated, Samples::digest)
    }

    /// The content of each part, by its name; `evaluated` is the part in the place of the test part.
    pub fn contents(&self, evaluated: Part) -> BTreeMap<String, PartContent> {
        self.by_part(evaluated, Samples::content)
    }

    fn by_part<T>(&self, evaluated: Part, of: impl Fn(&Samples) -> T) -> BTreeMap<String, T> {
        let validation = self.validation.as_ref();
        let parts = [
            (Part::Train, Some(&self.train)),
            (Part::Validation, validation),
            (evaluated, Some(&self.test)),
        ];
        let named = |(part, samples): (Part, Option<&Samples>)| {
            Some((part.name().to_string(), of(samples?)))
        };
        parts.into_iter().filter_map(named).collect()
    }
}

/// Compares the digests of data with those `recorded` when a run began. Parts that were not recorded are not compared.
///
/// # Errors
/// Names the first part that differs.
pub fn compare_digests(
    source: &str,
    recorded: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Result<()> {
    for (part, digest) in now {
        if let Some(before) = recorded.get(part).filter(|before| *before != digest) {
            return Err(Error::Data(format!(
                "the {part} part of {source} is not the one with which the run began ({before} then, {digest} now); restore the data, or \
                 begin a new run"
            )));
        }
    }
    Ok(())
}
