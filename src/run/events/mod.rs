//! Event files of a run for TensorBoard: curves, histograms of weights, images, settings and hyper-parameters.
//!
//! Every start and every resume writes a file of its own, since the last record of a process that was killed may be incomplete.
//! It begins with the first step that is taken then: TensorBoard drops what earlier files say about that step and later ones.

mod file;
mod histogram;
mod hyperparameters;
pub mod messages;
mod pictures;
mod record;
mod values;

use super::folder::RunFolder;
use super::observer::StepReport;
use crate::cpu::{Data, Tensor};
use crate::data::Samples;
use crate::error::Result;
use crate::tasks::EpochFile;
use file::{EventFile, now};
use messages::{
    EventContent, HParamsContent, HParamsStatus, SessionEndInfo, SessionLog, SessionStartInfo,
    SessionStatus, Summary, SummaryContent, SummaryImage, SummaryValue,
};
use serde_json::Value;
use std::time::{Duration, Instant};
use values::{hparams, scalar, text, value};

/// The shortest time between two reports within an epoch, the last of which is always written.
const PAUSE: Duration = Duration::from_millis(100);

/// What a run writes for TensorBoard.
pub(super) struct TensorBoard {
    /// Name of the evaluated part.
    part: &'static str,
    /// The first pictures of that part, if it has pictures.
    pictures: Option<SummaryImage>,
    /// The file, once training has begun in a folder.
    file: Option<EventFile>,
    /// Steps of the last report.
    reported: u64,
    /// When the last report was written.
    written: Option<Instant>,
}

impl TensorBoard {
    /// For a run that is evaluated on `samples`, the part called `part`.
    ///
    /// # Errors
    /// If its first pictures can't be encoded.
    pub fn new(samples: &Samples, part: &'static str) -> Result<TensorBoard> {
        Ok(TensorBoard {
            part,
            pictures: pictures::first_of(samples)?.and_then(pictures::message),
            file: None,
            reported: 0,
            written: None,
        })
    }

    /// Begins a file in `folder` after `done` steps of the run, with settings, hyper-parameters and pictures.
    ///
    /// # Errors
    /// If the settings can't be read or the file can't be written.
    pub fn begin(&mut self, folder: &RunFolder, done: u64) -> Result<()> {
        let settings = folder.read_settings()?;
        let start = now();
        let mut file = EventFile::create(folder.claim_events(start as u64)?)?;
        let info = SessionStartInfo {
            hparams: hyperparameters::hyperparameters(&settings)?,
            start_time_secs: start,
        };
        let mut values = vec![
            text("run.toml", &format!("```toml\n{settings}\n```")),
            hparams(HParamsContent::SessionStartInfo(info)),
        ];
        if let Some(image) = &self.pictures {
            let tag = format!("pictures/{}", self.part);
            values.push(value(&tag, SummaryContent::Image(image.clone())));
        }
        let log = SessionLog {
            status: SessionStatus::Start.into(),
        };
        // What was written after the steps that are done stays valid.
        let first = if done == 0 { 0 } else { done + 1 };
        file.write(first, [EventContent::SessionLog(log), summary(values)])?;
        file.sync()?;
        (self.file, self.reported) = (Some(file), done);
        Ok(())
    }

    /// Writes progress within an epoch after `done` steps of the run. Reports that follow closely are left out.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn step(&mut self, done: u64, report: &StepReport) -> Result<()> {
        let is_last = report.step == report.steps;
        let is_due = self.written.is_none_or(|time| time.elapsed() >= PAUSE);
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        if done <= self.reported || !(is_last || is_due) {
            return Ok(());
        }
        let mut values = vec![
            scalar("step/loss", report.loss),
            scalar("step/lr", report.learning_rate),
            scalar("step/samples_per_s", report.samples_per_second),
        ];
        if let Some(score) = &report.score {
            let tag = format!("step/{}", score.metric.name);
            values.push(scalar(&tag, score.value));
        }
        file.write(done, [summary(values)])?;
        (self.reported, self.written) = (done, Some(Instant::now()));
        Ok(())
    }

    /// Writes a finished epoch after `done` steps of the run: the numbers of its `line` in `metrics.jsonl`, and a histogram of
    /// each of the `weights`.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn epoch<'w>(
        &mut self,
        done: u64,
        line: &Value,
        weights: impl Iterator<Item = (&'w str, &'w Tensor<f32>)>,
    ) -> Result<()> {
        let numbers = line.as_object().into_iter().flatten();
        let numbers = numbers.filter_map(|(key, value)| {
            let flag = value.as_bool().map(|flag| f64::from(u8::from(flag)));
            let number = value.as_f64().or(flag)?;
            Some(scalar(&format!("epoch/{key}"), number))
        });
        let histograms = weights.filter_map(|(name, tensor)| {
            let Data::Real(numbers) = &tensor.data else {
                return None;
            };
            let found = histogram::histogram(numbers)?;
            let tag = format!("weights/{name}");
            Some(value(&tag, SummaryContent::Histogram(found)))
        });
        self.append(done, numbers.chain(histograms).collect())
    }

    /// Writes those of the task's `files` of an epoch that are pictures.
    ///
    /// # Errors
    /// If they can't be written.
    pub fn epoch_files(&mut self, done: u64, files: Vec<EpochFile>) -> Result<()> {
        let images = files.into_iter().filter_map(|file| {
            let image = pictures::message(file.bytes)?;
            let tag = format!("pictures/{}", file.folder);
            Some(value(&tag, SummaryContent::Image(image)))
        });
        let images: Vec<SummaryValue> = images.collect();
        match images.is_empty() {
            true => Ok(()),
            false => self.append(done, images),
        }
    }

    /// Writes that the run ended after `done` steps.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn finish(&mut self, done: u64) -> Result<()> {
        let info = SessionEndInfo {
            status: HParamsStatus::Success.into(),
            end_time_secs: now(),
        };
        self.append(done, vec![hparams(HParamsContent::SessionEndInfo(info))])
    }

    fn append(&mut self, done: u64, values: Vec<SummaryValue>) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write(done, [summary(values)])?;
        file.sync()
    }
}

fn summary(value: Vec<SummaryValue>) -> EventContent {
    EventContent::Summary(Summary { value })
}
