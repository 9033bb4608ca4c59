//! Training on pictures that are decoded from their files while the device trains: how long each of the two waits for the other.

use crate::data::{ByteCount, decoding_threads};
use crate::device::Engine;
use crate::error::{Error, Result};
use crate::graph::Precision;
use crate::nn::ModelSpec;
use crate::random::Stream;
use crate::run::{EpochReport, Observer, StepReport};
use crate::settings::Settings;
use image::RgbImage;
use serde::Serialize;
use std::path::Path;

/// Name of the workload.
pub const DECODING: &str = "cnn_train_decoded_b32";

/// Number of pictures, and pixels per side of their files.
const PICTURES: usize = 640;
const SIDE: u32 = 224;
/// Pixels per side that they are scaled to.
const SIZE: usize = 64;
const BATCH: usize = 32;
const CLASSES: [&str; 2] = ["a", "b"];

/// The waiting in an epoch of training on pictures from files. Shares are of the epoch's time.
#[derive(Clone, Debug, Serialize)]
pub struct Decoding {
    /// Name of the workload.
    pub workload: &'static str,
    /// Name of the adapter.
    pub adapter: String,
    /// Number of files.
    pub pictures: usize,
    /// Pixels per side of the files.
    pub side: u32,
    /// Number of threads that decode them.
    pub threads: usize,
    /// Samples per second.
    pub samples_per_s: f64,
    /// Share of the time in which the device waited for pictures.
    pub device_waited: f64,
    /// Share of the time in which the decoding threads waited for room.
    pub decoders_waited: f64,
}

/// Trains the built-in model `small-cnn` in `precision` on files of a temporary folder, none of which is kept in memory. The second
/// of two epochs is measured, as the first one also compiles kernels.
///
/// # Errors
/// If the files can't be written, or the training fails.
pub fn decoding(engine: &Engine, precision: Precision) -> Result<Decoding> {
    let folder = tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))?;
    write_pictures(folder.path())?;
    let mut settings = Settings {
        batch: BATCH,
        precision,
        epochs: 2,
        model: ModelSpec::preset("small-cnn")?,
        ..Settings::default()
    };
    settings.set_source(folder.path().display().to_string());
    settings.data.size = Some([SIZE; 2]);
    settings.data.test_share = Some(0.1);
    settings.data.memory_limit = Some(ByteCount(0));
    let dataset = settings.load_data()?;
    let mut last = Last::default();
    settings.start(engine, dataset)?.fit(&mut last, None)?;
    let report = last.0.ok_or_else(|| nothing("no epoch"))?;
    let waits = report.waits.ok_or_else(|| nothing("no waiting"))?;
    Ok(Decoding {
        workload: DECODING,
        adapter: engine.name(),
        pictures: PICTURES,
        side: SIDE,
        threads: decoding_threads(),
        samples_per_s: report.samples_per_s,
        device_waited: waits.device,
        decoders_waited: waits.decoders,
    })
}

fn nothing(what: &str) -> Error {
    Error::Graph(format!("{DECODING} reported {what}"))
}

/// Writes JPEG files of noise over a gradient, half of them into the folder of either class.
fn write_pictures(folder: &Path) -> Result<()> {
    let mut stream = Stream::new(1, 0);
    for index in 0..PICTURES {
        let class = folder.join(CLASSES[index % CLASSES.len()]);
        std::fs::create_dir_all(&class).map_err(Error::io("create", &class))?;
        let shade = stream.below(128);
        let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
            let noise = stream.below(24);
            image::Rgb([x, y, x + y].map(|at| (at / 4 + shade + noise).min(255) as u8))
        });
        let path = class.join(format!("{index}.jpg"));
        picture
            .save(&path)
            .map_err(|e| Error::io("write", &path)(std::io::Error::other(e)))?;
    }
    Ok(())
}

/// Keeps the last epoch's report.
#[derive(Default)]
struct Last(Option<EpochReport>);

impl Observer for Last {
    fn step(&mut self, _: &StepReport) {}

    fn epoch(&mut self, report: &EpochReport) -> Result<()> {
        self.0 = Some(report.clone());
        Ok(())
    }
}
