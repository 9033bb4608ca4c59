//! Images with degraded ones, restored.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, Samples, Source};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/degraded.toml");

/// See the module.
pub(super) struct Degraded;

impl Starter for Degraded {
    fn formats(&self) -> &'static [&'static str] {
        &["image_pairs"]
    }

    fn read(&self, data: &mut DataSettings, _source: &Source) -> Result<()> {
        // The model is for grey images, and pixels from 0 to 1.
        data.channels = Some(1);
        (data.mean, data.std) = (Some(vec![0.0]), Some(vec![1.0]));
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, _data: &DataSettings) -> Option<Start> {
        (task == "restoration").then(|| Start {
            model: "restoration-cnn",
            epochs: epochs(dataset, 16, 1000, [5, 100]),
            batch: 16,
            rest: REST,
            why: "images with degraded ones, in grey, suit restoration-cnn".to_string(),
        })
    }
}
