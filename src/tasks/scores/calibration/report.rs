//! The calibration of a classifier on a part of its data, before and after temperature scaling, with a temperature that is fitted to
//! other samples than it is judged on.

use super::{
    Calibration, CalibrationBin, MOST_TEMPERATURE, ProbabilityScores, fit_temperature, scaled,
};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use crate::tasks::scores::SelectivePrediction;
use serde_json::{Map, Value, json};

/// Predictions, and what is true.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The logits, `[samples, classes]`.
    pub logits: &'a [f32],
    /// Number of classes.
    pub classes: usize,
    /// The class of each sample.
    pub labels: &'a [u32],
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibrationReport {
    /// The part of the data that is judged.
    pub part: String,
    /// What the temperature was fitted to: `validation`, that part; or `half`, a half of the samples of the judged part, chosen by the seed,
    /// so that only the other half is judged.
    pub fitted_to: &'static str,
    /// Number of samples that it was fitted to.
    pub fitted_samples: usize,
    /// The temperature.
    pub temperature: f64,
    /// The probabilities as the model gives them.
    pub own: Calibrated,
    /// Those by logits divided by the temperature.
    pub scaled: Calibrated,
}

/// How good the probabilities of a set of samples are.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrated {
    /// The scores.
    pub scores: ProbabilityScores,
    /// The bins of the reliability diagram.
    pub bins: Calibration,
    /// Accuracy over coverage.
    pub selective: SelectivePrediction,
}

impl Judged<'_> {
    /// The samples at these indices.
    fn chosen(&self, indices: &[usize]) -> (Vec<f32>, Vec<u32>) {
        let rows = indices.iter().filter_map(|&index| {
            let row = self.logits.chunks_exact(self.classes.max(1)).nth(index)?;
            Some((row, *self.labels.get(index)?))
        });
        let (rows, labels): (Vec<&[f32]>, Vec<u32>) = rows.unzip();
        (rows.concat(), labels)
    }
}

impl CalibrationReport {
    /// Of the `judged` samples of the part of the data called `part`. The temperature is fitted to those of the `validation` part or,
    /// without one, to half of the judged ones by `seed`.
    ///
    /// # Errors
    /// If fewer than two samples are judged, or a label is none of the classes.
    pub fn of(
        judged: Judged<'_>,
        validation: Option<Judged<'_>>,
        part: &str,
        seed: u64,
    ) -> Result<CalibrationReport> {
        let count = judged.labels.len();
        if count < 2 {
            let samples = if count == 1 { "sample" } else { "samples" };
            return Err(Error::Data(format!(
                "the {part} part has {count} {samples}, and calibration is measured on two or more; name another part with --part, or \
                 other data with --data"
            )));
        }
        if let Some(fitted) = validation.filter(|fitted| !fitted.labels.is_empty()) {
            return Self::fitted(fitted, "validation", judged, part);
        }
        let mut order: Vec<usize> = (0..count).collect();
        Stream::new(seed, Purpose::TemperatureHalf.stream(0)).shuffle(&mut order);
        let (fit, rest) = order.split_at_mut(count / 2);
        fit.sort_unstable();
        rest.sort_unstable();
        let halves = [fit, rest].map(|half| judged.chosen(half));
        let [fitted, rest] = halves.each_ref().map(|(logits, labels)| Judged {
            logits,
            classes: judged.classes,
            labels,
        });
        Self::fitted(fitted, "half", rest, part)
    }

    fn fitted(
        fitted: Judged<'_>,
        fitted_to: &'static str,
        judged: Judged<'_>,
        part: &str,
    ) -> Result<CalibrationReport> {
        let temperature = fit_temperature(fitted.logits, fitted.classes, fitted.labels)?;
        let logits = scaled(judged.logits, temperature);
        let scaled = Judged {
            logits: &logits,
            ..judged
        };
        let calibrated = |judged| {
            Calibrated::of(judged)
                .ok_or_else(|| Error::Data(format!("the {part} part has no samples to judge")))
        };
        Ok(CalibrationReport {
            part: part.to_string(),
            fitted_to,
            fitted_samples: fitted.labels.len(),
            temperature,
            own: calibrated(judged)?,
            scaled: calibrated(scaled)?,
        })
    }

    /// What the temperature was fitted to, in words.
    pub fn fitted_in_words(&self) -> String {
        let samples = self.fitted_samples;
        match self.fitted_to {
            "half" => format!(
                "half of the samples ({samples}, chosen by the seed; the figures are of the other half)"
            ),
            _ => format!("the validation part ({samples} samples)"),
        }
    }

    /// Why the temperature is no minimum of the loss, if it is none.
    pub fn warning(&self) -> Option<String> {
        let why = match self.temperature {
            t if t >= MOST_TEMPERATURE => {
                "chance predicts the samples that it was fitted to better than the model does"
            }
            t if t <= 1.0 / MOST_TEMPERATURE => {
                "all samples that it was fitted to are predicted right"
            }
            _ => return None,
        };
        Some(format!(
            "the temperature is {}, the end of its range, because {why}: fit it to more samples",
            self.temperature
        ))
    }

    /// Lines of JSON: the figures, then the bins and the coverages, as the model gives them and scaled.
    pub fn json_lines(&self) -> Vec<Value> {
        let mut line = Map::from_iter([
            ("event".to_string(), "calibration".into()),
            ("part".to_string(), self.part.clone().into()),
            ("samples".to_string(), self.own.scores.samples.into()),
            ("accuracy".to_string(), self.own.scores.accuracy.into()),
            ("temperature".to_string(), self.temperature.into()),
            ("fitted_to".to_string(), self.fitted_to.into()),
            ("fitted_samples".to_string(), self.fitted_samples.into()),
        ]);
        line.extend(self.own.to_json());
        line.insert("scaled".to_string(), self.scaled.to_json().into());
        let mut lines = vec![Value::Object(line)];
        for (is_scaled, of) in [(false, &self.own), (true, &self.scaled)] {
            lines.extend(of.bins.json_lines(is_scaled));
            let points = of.selective.points.iter();
            lines.extend(points.map(|point| point.to_json(is_scaled)));
        }
        lines
    }
}

impl Calibrated {
    /// Of predictions; `None` without samples.
    pub fn of(judged: Judged<'_>) -> Option<Calibrated> {
        let Judged {
            logits,
            classes,
            labels,
        } = judged;
        Some(Calibrated {
            scores: ProbabilityScores::of(logits, classes, labels),
            bins: Calibration::of(logits, classes, labels),
            selective: SelectivePrediction::of(logits, classes, labels)?,
        })
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut figures = self.scores.to_json();
        figures.insert("aurc".to_string(), self.selective.area.into());
        figures
    }
}

impl Calibration {
    /// The range of the confidences of the bin at `place`.
    pub fn range(&self, place: usize) -> [f64; 2] {
        let width = 1.0 / self.bins.len().max(1) as f64;
        [place as f64 * width, (place + 1) as f64 * width]
    }

    fn json_lines(&self, scaled: bool) -> impl Iterator<Item = Value> {
        self.bins.iter().enumerate().map(move |(place, bin)| {
            let [from, to] = self.range(place);
            json!({
                "event": "bin",
                "scaled": scaled,
                "from": from,
                "to": to,
                "samples": bin.samples,
                "confidence": bin.mean_confidence(),
                "accuracy": bin.accuracy(),
            })
        })
    }
}

impl CalibrationBin {
    /// Mean confidence of its samples; `None` without any.
    pub fn mean_confidence(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.confidence / self.samples as f64)
    }

    /// Share of its samples that was predicted right; `None` without any.
    pub fn accuracy(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.right as f64 / self.samples as f64)
    }
}
