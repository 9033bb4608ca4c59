//! Parquet and Arrow files (Feather) as tables, in builds with the feature `parquet`.

#[cfg(feature = "parquet")]
mod cells;
#[cfg(feature = "parquet")]
mod read;
#[cfg(not(feature = "parquet"))]
mod without;

#[cfg(feature = "parquet")]
pub(super) use self::read::{names, read};
#[cfg(not(feature = "parquet"))]
pub(super) use self::without::{names, read};

/// Endings of such files.
pub(super) const ENDINGS: [&str; 3] = ["parquet", "feather", "arrow"];
