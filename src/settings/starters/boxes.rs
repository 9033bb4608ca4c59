//! Pictures with boxes around objects.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, PictureFit, Samples, Source};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/boxes.toml");

/// The size to which pictures are scaled: multiples of the largest stride of the model.
const SIZE: [usize; 2] = [256, 320];

/// See the module.
pub(super) struct Boxes;

impl Starter for Boxes {
    fn formats(&self) -> &'static [&'static str] {
        &["voc", "coco", "yolo", "box_table"]
    }

    fn read(&self, data: &mut DataSettings, _source: &Source) -> Result<()> {
        data.size = Some(SIZE);
        data.channels = Some(3);
        data.fit = PictureFit::Pad;
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, _data: &DataSettings) -> Option<Start> {
        if task != "detection" {
            return None;
        }
        let [height, width] = SIZE;
        Some(Start {
            model: "fcos",
            epochs: epochs(dataset, 8, 2500, [10, 100]),
            batch: 8,
            rest: REST,
            why: format!(
                "pictures with boxes, scaled to {height} x {width} with grey at their sides, suit fcos"
            ),
        })
    }
}
