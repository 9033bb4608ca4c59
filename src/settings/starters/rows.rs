//! Rows of a table.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, Samples, Source, estimated_rows};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/rows.toml");

/// Tables with fewer rows are cut into fewer pieces, and trained on in fewer steps of smaller batches.
const FEW: usize = 5000;
/// Pieces of each numeric column of a table with few rows, and with many.
const PIECES: [usize; 2] = [8, 32];

/// See the module.
pub(super) struct Rows;

impl Starter for Rows {
    fn formats(&self) -> &'static [&'static str] {
        &["table"]
    }

    fn read(&self, data: &mut DataSettings, source: &Source) -> Result<()> {
        data.pieces = PIECES[usize::from(estimated_rows(source) >= FEW)];
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, data: &DataSettings) -> Option<Start> {
        if !matches!(task, "classification" | "regression") {
            return None;
        }
        let (batch, steps) = match dataset.train.len() < FEW {
            true => (32, 300),
            false => (128, 2000),
        };
        Some(Start {
            model: "tabular",
            epochs: epochs(dataset, batch, steps, [8, 60]),
            batch,
            rest: REST,
            why: format!(
                "numeric columns are cut into at most {} pieces (data.pieces), so that small and large numbers can be treated differently",
                data.pieces
            ),
        })
    }
}
