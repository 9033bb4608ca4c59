//! Photographs of any size, scaled to one.

use super::{Start, Starter, epochs, pictures};
use crate::data::{Dataset, PictureFit, Samples, Source, image_files};
use crate::error::Result;
use crate::settings::DataSettings;
use std::path::{Path, PathBuf};

pub(super) const REST: &str = include_str!("../../../assets/starters/photographs.toml");

/// Number of pictures whose size is looked at.
const LOOKED_AT: usize = 64;
/// Pictures with no longer side than this keep their size.
const SMALL: u32 = 64;
/// The side to which larger ones are scaled.
const SIDE: usize = 96;
/// With fewer training pictures than this, weights that were trained on others help most.
const FEW: usize = 5000;
/// File of the published weights of EfficientNet-Lite0, which docs/transfer.md describes.
const WEIGHTS: &str = "efficientnet-lite0.safetensors";

/// See the module.
pub(super) struct Photographs;

impl Starter for Photographs {
    fn formats(&self) -> &'static [&'static str] {
        &["folder", "manifest"]
    }

    fn read(&self, data: &mut DataSettings, source: &Source) -> Result<()> {
        let longest = longest_side(&files(source)?);
        if longest.is_none_or(|side| side > SMALL) {
            data.size = Some([SIDE; 2]);
            data.fit = PictureFit::Crop;
        }
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, data: &DataSettings) -> Option<Start> {
        let [height, width, _] = dataset.train.pictures()?.shape;
        if height.max(width) <= SMALL as usize {
            return pictures::start(task, dataset);
        }
        if !matches!(task, "classification" | "regression") {
            return None;
        }
        let count = dataset.train.len();
        let mut why = format!(
            "photographs, scaled to {height} x {width}, suit photo-cnn, with changes of each picture drawn at random"
        );
        if count < FEW && task == "classification" {
            why += &format!(
                "; with {count} pictures far more is reached from weights that were trained on others: {}",
                suggestion(Path::new(&data.source))
            );
        }
        Some(Start {
            model: "photo-cnn",
            epochs: epochs(dataset, 16, 1200, [15, 100]),
            batch: 16,
            rest: REST,
            why,
        })
    }
}

/// The pictures of `source`; none if it is a table that lists them.
fn files(source: &Source) -> Result<Vec<PathBuf>> {
    Ok(match source.is_folder() {
        true => image_files(source.path())?,
        false => Vec::new(),
    })
}

/// The longest side of some of `files`, at even distances; `None` if there are none that can be read.
fn longest_side(files: &[PathBuf]) -> Option<u32> {
    let stride = files.len().div_ceil(LOOKED_AT).max(1);
    let sides = files.iter().step_by(stride).filter_map(|path| {
        let (width, height) = image::image_dimensions(path).ok()?;
        Some(width.max(height))
    });
    sides.max()
}

/// How to begin with the weights of EfficientNet-Lite0, if they lie beside the data or here.
fn suggestion(source: &Path) -> String {
    let beside = source.parent().map(|folder| folder.join(WEIGHTS));
    let here = Some(PathBuf::from(WEIGHTS));
    match here.into_iter().chain(beside).find(|path| path.is_file()) {
        Some(path) => format!(
            "wgrad train efficientnet-lite0 --data {} --init {} --batch 16 --lr 0.003 --set 'freeze=[\"*\", \"!_fc.*\"]'",
            source.display(),
            path.display()
        ),
        None => "docs/transfer.md has the commands for EfficientNet-Lite0".to_string(),
    }
}
