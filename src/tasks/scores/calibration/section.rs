//! Calibration in pages: reliability diagrams, and accuracy over coverage.

use super::{Calibration, CalibrationReport};
use crate::html::escape;
use crate::html::plot::{Axis, Bar, Curve, Plot};
use crate::tasks::Section;
use std::fmt::Write as _;

/// The section of a report about predictions by `logits`, `[samples, classes]`: a reliability diagram and the calibration error; `None`
/// without samples.
pub fn calibration_section(logits: &[f32], classes: usize, labels: &[u32]) -> Option<Section> {
    let found = Calibration::of(logits, classes, labels);
    if found.samples() == 0 {
        return None;
    }
    let about = format!(
        "<p>Expected calibration error <b>{:.2}%</b> ({} bins of equal width). The mean confidence is {:.2}%, the accuracy {:.2}%\
         {}.</p>\n",
        100.0 * found.expected_error(),
        found.bins.len(),
        100.0 * found.confidence(),
        100.0 * found.accuracy(),
        found.verdict()
    );
    Some(Section {
        title: "Calibration".to_string(),
        html: about + &found.diagram("reliability").html(),
    })
}

impl Calibration {
    /// Whether confidence is too high or too low, as the end of a sentence.
    fn verdict(&self) -> &'static str {
        match self.confidence() - self.accuracy() {
            d if d > 0.005 => ", so that the model is overconfident",
            d if d < -0.005 => ", so that the model is underconfident",
            _ => "",
        }
    }

    /// The reliability diagram: accuracy over confidence, and the share of the samples in each bin.
    fn diagram(&self, title: &str) -> Plot {
        let count = self.samples().max(1) as f64;
        let filled = || self.bins.iter().enumerate();
        let bars = filled().filter_map(|(place, bin)| {
            Some(Bar {
                x: self.range(place),
                y: bin.accuracy()?,
                class: "c0",
            })
        });
        let shares = filled().filter(|(_, bin)| bin.samples > 0);
        let shares = shares.map(|(place, bin)| {
            let [from, to] = self.range(place);
            ((from + to) / 2.0, bin.samples as f64 / count)
        });
        let accuracies =
            filled().filter_map(|(_, bin)| Some((bin.mean_confidence()?, bin.accuracy()?)));
        Plot {
            title: title.to_string(),
            x: Axis::share("confidence"),
            y: Axis::share("accuracy, share of samples"),
            bars: bars.collect(),
            curves: vec![
                Curve::line("perfect", "quiet", vec![(0.0, 0.0), (1.0, 1.0)]),
                Curve {
                    dots: Some(3.0),
                    ..Curve::line("accuracy", "c0", accuracies.collect())
                },
                Curve::dots("share of samples", "c1", shares.collect(), 3.0),
            ],
        }
    }
}

impl CalibrationReport {
    /// The report as sections of a page.
    pub fn html(&self) -> String {
        let mut html = format!(
            "<h2>Calibration</h2>\n<p>{} samples of the {} part, with a temperature of <b>{:.4}</b>, fitted to {}.",
            self.own.scores.samples,
            escape(&self.part),
            self.temperature,
            self.fitted_in_words()
        );
        if let Some(warning) = self.warning() {
            let _ = write!(html, " Warning: {}.", escape(&warning));
        }
        html.push_str("</p>\n");
        for (title, of) in [
            ("reliability", &self.own.bins),
            ("reliability after scaling", &self.scaled.bins),
        ] {
            html.push_str(&of.diagram(title).html());
        }
        html.push_str(&self.figures());
        html.push_str(
            "<h2>Selective prediction</h2>\n<p>If only the samples with the highest confidence are predicted.</p>\n",
        );
        html.push_str(&self.coverage());
        html.push_str(&self.coverage_table());
        html
    }

    /// Names of the figures with their values, as the model gives them and scaled.
    pub fn rows(&self) -> Vec<(&'static str, [f64; 2])> {
        let (own, scaled) = (&self.own.scores, &self.scaled.scores);
        vec![
            (
                "expected calibration error",
                [own.expected_error, scaled.expected_error],
            ),
            (
                "maximum calibration error",
                [own.maximum_error, scaled.maximum_error],
            ),
            ("Brier score", [own.brier, scaled.brier]),
            ("negative log-likelihood", [own.nll, scaled.nll]),
            ("mean confidence", [own.confidence, scaled.confidence]),
            ("accuracy", [own.accuracy, scaled.accuracy]),
            (
                "area under the risk-coverage curve",
                [self.own.selective.area, self.scaled.selective.area],
            ),
        ]
    }

    fn figures(&self) -> String {
        let mut table = "<table>\n<tr><th class=\"name\">figure<th>model<th>scaled\n".to_string();
        for (name, [own, scaled]) in self.rows() {
            let _ = writeln!(
                table,
                "<tr><td class=\"name\">{name}<td>{own:.4}<td>{scaled:.4}"
            );
        }
        table.push_str("</table>\n");
        table
    }

    fn coverage(&self) -> String {
        let [own, scaled] = [&self.own, &self.scaled].map(|of| of.selective.curve.clone());
        let accuracies = own.iter().chain(&scaled).map(|(_, accuracy)| *accuracy);
        let axis = Axis::over("accuracy", accuracies);
        axis.map_or(String::new(), |y| {
            let plot = Plot {
                title: "accuracy over coverage".to_string(),
                x: Axis::share("share of the samples that is predicted"),
                y,
                bars: Vec::new(),
                curves: vec![
                    Curve::line("model", "c0", own),
                    Curve::line("scaled", "c1", scaled),
                ],
            };
            plot.html()
        })
    }

    fn coverage_table(&self) -> String {
        let mut table = "<table>\n<tr><th>coverage<th>accuracy<th>confidence from<th>accuracy, scaled<th>confidence from, scaled\n".to_string();
        let scaled = &self.scaled.selective.points;
        for (own, scaled) in self.own.selective.points.iter().zip(scaled) {
            let _ = writeln!(
                table,
                "<tr><td>{:.0}%<td>{:.2}%<td>{:.2}%<td>{:.2}%<td>{:.2}%",
                100.0 * own.coverage,
                100.0 * own.accuracy,
                100.0 * own.threshold,
                100.0 * scaled.accuracy,
                100.0 * scaled.threshold
            );
        }
        table.push_str("</table>\n");
        table
    }
}
