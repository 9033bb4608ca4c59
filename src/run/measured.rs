//! Trained models on an engine: evaluation and prediction alone.

use super::observer::Evaluation;
use super::report::worst_section;
use super::{RunParts, evaluation};
use crate::data::{DataSettings, Fitted, Samples};
use crate::device::{Device, Engine};
use crate::error::Result;
use crate::tasks::{Counters, Decoded, Evaluated, Known, WorstSample};
use crate::train::{Collected, Evaluator, Outputs, outputs_of};
use serde_json::Value;

/// Trained models and samples to evaluate or predict, on an engine.
pub struct Measured<'e> {
    device: Box<dyn Device + 'e>,
    evaluator: Evaluator,
    data: DataSettings,
    fitted: Fitted,
}

impl<'e> Measured<'e> {
    /// Puts weights and a set on `engine` for evaluation.
    ///
    /// # Errors
    /// If the data do not fit the models, or device memory is too small.
    pub fn evaluation(
        engine: &'e Engine,
        parts: RunParts,
        samples: impl Into<Samples>,
    ) -> Result<Measured<'e>> {
        Self::new(engine, parts, samples.into(), "test")
    }

    /// Puts weights and samples without targets on `engine` for prediction.
    ///
    /// # Errors
    /// If the data do not fit the models, or device memory is too small.
    pub fn prediction(
        engine: &'e Engine,
        parts: RunParts,
        samples: impl Into<Samples>,
    ) -> Result<Measured<'e>> {
        Self::new(engine, parts, samples.into(), "prediction")
    }

    fn new(
        engine: &'e Engine,
        mut parts: RunParts,
        samples: Samples,
        part: &str,
    ) -> Result<Measured<'e>> {
        parts
            .task
            .check(&parts.fit(part, &samples, &parts.fitted.classes, &parts.data.source))?;
        let mut device = engine.device();
        let values = parts.initial();
        parts.models.put(&mut *device, &values)?;
        let make = match part {
            "prediction" => Evaluator::prediction,
            _ => Evaluator::evaluation,
        };
        let evaluator = make(
            &mut *device,
            parts.task.clone(),
            &parts.models,
            samples,
            parts.normal(),
            parts.sizes(),
        )?;
        Ok(Measured {
            device,
            evaluator,
            data: parts.data,
            fitted: parts.fitted,
        })
    }

    /// Passes over the samples and returns the metrics, the counters and all outputs, except for those that are only shown.
    ///
    /// # Errors
    /// If the device failed.
    pub fn run(&mut self) -> Result<(Evaluation, Counters, Collected)> {
        self.run_keeping(Outputs::All)
    }

    /// The same with the outputs that `keep` says: every one for [`Measured::sample_lines`].
    ///
    /// # Errors
    /// If the device failed.
    pub fn run_keeping(&mut self, keep: Outputs) -> Result<(Evaluation, Counters, Collected)> {
        let (counters, outputs) = self.evaluator.run(&mut *self.device, keep)?;
        let task = self.evaluator.task();
        let computed = task.host_metrics(&self.evaluated(&counters, &outputs));
        let counters = counters.with_computed(computed);
        let evaluation = evaluation(&**task, &counters, self.data.evaluate);
        Ok((evaluation, counters, outputs))
    }

    /// The decoded predictions of all samples whose outputs were kept, or of the images that they are tiles of: one or more lines of JSON
    /// for each, with its index, its name if it has one, and its known target.
    ///
    /// # Errors
    /// If the task can't decode its outputs.
    pub fn sample_lines(&self, outputs: &Collected) -> Result<Vec<Value>> {
        let (samples, task) = (self.evaluator.samples(), self.evaluator.task());
        let mut lines = Vec::new();
        for (count, index) in samples.firsts().into_iter().enumerate() {
            let own = outputs_of(outputs, samples, index)?;
            let decoded = Decoded {
                outputs: &own,
                samples,
                index,
                picture: None,
                fitted: &self.fitted,
                data: &self.data,
                top: usize::MAX,
                out_named: false,
            };
            let (known, name) = (task.known(&decoded), samples.name(index));
            for (place, line) in task.decode(&decoded)?.lines.into_iter().enumerate() {
                let mut json = line.json;
                json.insert("index".to_string(), count.into());
                json.insert(name.key.to_string(), name.value.clone());
                let known = Known::of_line(&known, place);
                json.extend(known.map(|known| known.json.clone()).unwrap_or_default());
                lines.push(Value::Object(json));
            }
        }
        Ok(lines)
    }

    /// These samples of the set as HTML, with their inputs and what is said of each; empty without any. `about` says which samples they
    /// are, as the beginning of a sentence.
    ///
    /// # Errors
    /// If an image can't be read.
    pub fn sample_section(&mut self, shown: &[WorstSample], about: &str) -> Result<String> {
        let indices: Vec<usize> = shown.iter().map(|sample| sample.index).collect();
        let pictures = match indices.is_empty() {
            true => None,
            false => self.evaluator.pictures(&mut *self.device, &indices)?,
        };
        let samples = self.evaluator.samples();
        Ok(worst_section(
            shown,
            samples,
            &self.fitted,
            pictures.as_ref(),
            about,
        ))
    }

    /// The samples, without pixels if these are on the device.
    pub fn samples(&self) -> &Samples {
        self.evaluator.samples()
    }

    /// The results of a pass, for the task's findings and report.
    pub fn evaluated<'a>(
        &'a self,
        counters: &'a Counters,
        outputs: &'a Collected,
    ) -> Evaluated<'a> {
        Evaluated {
            counters,
            samples: self.evaluator.samples(),
            fitted: &self.fitted,
            data: &self.data,
            outputs,
            complete: true,
        }
    }
}
