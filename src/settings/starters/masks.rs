//! Pictures with masks, segmented.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, Samples, Source};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/masks.toml");

/// The side to which pictures are scaled, which is that of the model.
const SIDE: usize = 128;

/// See the module.
pub(super) struct Masks;

impl Starter for Masks {
    fn formats(&self) -> &'static [&'static str] {
        &["masks"]
    }

    fn read(&self, data: &mut DataSettings, _source: &Source) -> Result<()> {
        data.size = Some([SIDE; 2]);
        data.channels = Some(1);
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, _data: &DataSettings) -> Option<Start> {
        if task != "segmentation" {
            return None;
        }
        Some(Start {
            model: "unet",
            epochs: epochs(dataset, 4, 400, [10, 100]),
            batch: 4,
            rest: REST,
            why: format!("pictures with masks, scaled to {SIDE} x {SIDE} in grey, suit unet"),
        })
    }
}
