//! Numbers of bytes in settings and messages, such as `1 GB`.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Units with their bytes. The first four are those in which numbers are shown.
const UNITS: [(&str, u64); 9] = [
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("B", 1),
];

/// A number of bytes. As text, `500 MB`, `1.5 GB` or `2 GiB`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "Written", into = "u64")]
pub struct ByteCount(pub u64);

/// Bytes in a settings file: a number or a text.
#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a number of bytes, or a text such as \"1 GB\""
)]
enum Written {
    Bytes(u64),
    Text(String),
}

impl FromStr for ByteCount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let end = text.find(|c: char| c.is_alphabetic());
        let (number, unit) = text.split_at(end.unwrap_or(text.len()));
        let same = |known: &&(&str, u64)| known.0.eq_ignore_ascii_case(unit.trim());
        let each = match unit.trim() {
            "" => Some(1),
            _ => UNITS.iter().find(same).map(|(_, each)| *each),
        };
        let number: Option<f64> = number.trim().parse().ok();
        // A file in TOML holds numbers up to 2^63 - 1.
        let bytes = number.zip(each).map(|(number, each)| number * each as f64);
        match bytes.filter(|bytes| (0.0..i64::MAX as f64).contains(bytes)) {
            Some(bytes) => Ok(ByteCount(bytes as u64)),
            None => Err(Error::Config(format!(
                "{text:?} is not a number of bytes; give one such as 500 MB, 1.5 GB or 2 GiB"
            ))),
        }
    }
}

impl TryFrom<Written> for ByteCount {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        match written {
            Written::Bytes(bytes) => Ok(ByteCount(bytes)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<ByteCount> for u64 {
    fn from(bytes: ByteCount) -> u64 {
        bytes.0
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = UNITS[..4].iter().rev();
        match shown.find(|(_, each)| self.0 >= *each) {
            Some((unit, each)) => {
                let number = format!("{:.1}", self.0 as f64 / *each as f64);
                write!(f, "{} {unit}", number.trim_end_matches(".0"))
            }
            None => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_with_units_and_shown_in_the_largest_that_fits() {
        for (text, bytes, shown) in [
            ("1 GB", 1_000_000_000, "1 GB"),
            ("1.5gb", 1_500_000_000, "1.5 GB"),
            ("2 GiB", 2 << 30, "2.1 GB"),
            ("500MB", 500_000_000, "500 MB"),
            ("64 KiB", 65_536, "65.5 kB"),
            ("12", 12, "12 B"),
            ("0 B", 0, "0 B"),
        ] {
            let read: ByteCount = text.parse().unwrap();
            assert_eq!((read.0, &*read.to_string()), (bytes, shown), "{text}");
        }
        for wrong in ["", "GB", "1 XB", "-1 GB", "1e30 GB", "nan", "1 2 GB"] {
            let message = wrong.parse::<ByteCount>().unwrap_err().to_string();
            assert!(message.contains("1.5 GB"), "{wrong}: {message}");
        }
    }

    #[test]
    fn a_file_holds_a_number_or_a_text_and_is_written_as_a_number() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct File {
            limit: ByteCount,
        }
        let limit = ByteCount(1_000_000_000);
        for text in ["limit = \"1 GB\"", "limit = 1000000000"] {
            assert_eq!(toml::from_str::<File>(text).unwrap(), File { limit });
        }
        assert_eq!(
            toml::to_string(&File { limit }).unwrap(),
            "limit = 1000000000\n"
        );
    }
}
