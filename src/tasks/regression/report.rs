//! Predictions of numbers in a report: against the truth, and the largest residuals.

use super::OUTPUT;
use crate::data::field;
use crate::html::plot::{Axis, Curve, Plot, significant};
use crate::tasks::worst::{WorstSample, worst};
use crate::tasks::{Evaluated, Section};

/// Most dots of the chart; of more samples, every n-th is drawn.
const MOST_DOTS: usize = 600;

/// Most targets that have a chart.
const MOST_CHARTS: usize = 12;

/// Truth and prediction of the target `at` of each sample whose output was kept, in the units of the target.
pub(super) fn pairs(found: &Evaluated<'_>, at: usize) -> Vec<(f64, f64)> {
    let targets = found.fitted.numbers();
    let (Some((outputs, each)), Some((_, scale))) = (found.output(OUTPUT), targets.get(at)) else {
        return Vec::new();
    };
    let own = |x: f32| f64::from(x) * scale.std + scale.mean;
    let pair = |(index, output): (usize, &[f32])| {
        let (truth, _) = found.samples.numbers(field::VALUE, index)?;
        Some((own(*truth.get(at)?), own(*output.get(at)?)))
    };
    let outputs = outputs.chunks_exact(each).enumerate();
    outputs.map_while(pair).collect()
}

/// Charts of the predictions over the truth, one for each target.
pub(super) fn section(found: &Evaluated<'_>) -> Option<Section> {
    let targets = found.fitted.numbers();
    let each = targets.iter().enumerate().take(MOST_CHARTS);
    let charts: Vec<Plot> = each
        .filter_map(|(at, (name, _))| chart(&pairs(found, at), name))
        .collect();
    if charts.is_empty() {
        return None;
    }
    let mut html = match every(found.samples.len()) {
        0 | 1 => String::new(),
        every => format!("<p>One of {every} samples is drawn.</p>\n"),
    };
    if targets.len() > MOST_CHARTS {
        html += &format!(
            "<p>The first {MOST_CHARTS} of {} targets.</p>\n",
            targets.len()
        );
    }
    charts.iter().for_each(|chart| html += &chart.html());
    Some(Section {
        title: "Predictions and truth".to_string(),
        html,
    })
}

/// Of how many samples one is drawn.
fn every(samples: usize) -> usize {
    samples.div_ceil(MOST_DOTS)
}

/// A chart of the predictions over the truth of one target.
fn chart(pairs: &[(f64, f64)], target: &str) -> Option<Plot> {
    let all = || {
        pairs
            .iter()
            .flat_map(|&(truth, prediction)| [truth, prediction])
    };
    let x = Axis::over(&format!("{target}, truth"), all())?;
    let y = Axis::over(&format!("{target}, prediction"), all())?;
    let every = every(pairs.len());
    let dots = pairs.iter().step_by(every.max(1)).copied().collect();
    let ends = x.range.map(|end| (end, end)).to_vec();
    Some(Plot {
        title: "predictions".to_string(),
        x,
        y,
        bars: Vec::new(),
        curves: vec![
            Curve::line("equal", "quiet", ends),
            Curve::dots("samples", "test", dots, 2.0),
        ],
    })
}

/// The samples with the largest residuals; of several targets the one with the largest in units of its standard deviation.
pub(super) fn largest_residuals(found: &Evaluated<'_>, most: usize) -> Vec<WorstSample> {
    let targets = found.fitted.numbers();
    let pairs: Vec<Vec<(f64, f64)>> = (0..targets.len()).map(|at| pairs(found, at)).collect();
    let count = pairs.first().map_or(0, Vec::len);
    let residual = |at: usize, index: usize| {
        let (truth, prediction) = pairs[at][index];
        ((prediction - truth) / targets[at].1.std).abs()
    };
    let largest = |index: usize| {
        let each = (0..targets.len()).map(|at| (at, residual(at, index)));
        each.fold((0, f64::NEG_INFINITY), |best, this| {
            if this.1 > best.1 { this } else { best }
        })
    };
    let residuals = (0..count).map(|index| largest(index).1);
    worst(residuals, most, |index, _| {
        let (at, _) = largest(index);
        let (truth, prediction) = pairs[at][index];
        let target = (targets.len() > 1).then(|| ("target", targets[at].0.to_string()));
        let numbers = [
            ("truth", significant(truth, 5)),
            ("prediction", significant(prediction, 5)),
            ("residual", significant(prediction - truth, 5)),
        ];
        target.into_iter().chain(numbers).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSettings, Fitted, RowSet, Samples, Scale, Targets, WindowRows};
    use crate::tasks::Counters;

    #[test]
    fn residuals_are_in_the_units_of_the_target() {
        let samples = Samples::from(RowSet {
            rows: WindowRows::Floats {
                values: vec![0.0; 3],
                columns: 1,
            },
            starts: vec![0, 1, 2],
            random_starts: false,
            length: 1,
            targets: Targets::Values {
                values: vec![0.0, 1.0, -1.0],
                columns: 1,
                offset: 0,
                length: 1,
            },
        });
        let fitted = Fitted {
            scale: Some(Scale {
                mean: 10.0,
                std: 2.0,
            }),
            target: Some("<price>".to_string()),
            ..Fitted::default()
        };
        let outputs = vec![(OUTPUT.to_string(), vec![1], vec![0.25, -1.0, -1.0])];
        let found = Evaluated {
            counters: &Counters::default(),
            samples: &samples,
            fitted: &fitted,
            data: &DataSettings::default(),
            outputs: &outputs,
            complete: false,
        };
        let worst = largest_residuals(&found, 2);
        let text = |value: &str| value.to_string();
        assert_eq!(worst[0].index, 1);
        assert_eq!(
            worst[0].figures,
            [
                ("truth", text("12")),
                ("prediction", text("8")),
                ("residual", text("-4"))
            ]
        );
        assert_eq!(worst[1].figures[2], ("residual", text("0.5")));
        let html = section(&found).unwrap().html;
        assert!(html.contains("&lt;price&gt;, truth</text>") && !html.contains("<price>"));
        assert_eq!(html.matches("<circle").count(), 3);
    }

    #[test]
    fn of_several_targets_the_residuals_are_compared_by_their_deviations() {
        let samples = Samples::from(RowSet {
            rows: WindowRows::Floats {
                values: vec![0.0; 2],
                columns: 1,
            },
            starts: vec![0, 1],
            random_starts: false,
            length: 1,
            targets: Targets::Values {
                values: vec![0.0, 1.0, -1.0, 0.0],
                columns: 2,
                offset: 0,
                length: 1,
            },
        });
        let scale = |mean, std| Scale { mean, std };
        let fitted = Fitted {
            scales: vec![scale(10.0, 2.0), scale(0.0, 100.0)],
            targets: vec!["x".to_string(), "y".to_string()],
            ..Fitted::default()
        };
        let outputs = vec![(OUTPUT.to_string(), vec![2], vec![1.0, 1.5, -1.0, 0.75])];
        let found = Evaluated {
            counters: &Counters::default(),
            samples: &samples,
            fitted: &fitted,
            data: &DataSettings::default(),
            outputs: &outputs,
            complete: true,
        };
        assert_eq!(pairs(&found, 0), [(10.0, 12.0), (8.0, 8.0)]);
        assert_eq!(pairs(&found, 1), [(100.0, 150.0), (0.0, 75.0)]);
        let worst = largest_residuals(&found, 2);
        assert_eq!((worst[0].index, &*worst[0].figures[0].1), (0, "x"));
        assert_eq!((worst[1].index, &*worst[1].figures[0].1), (1, "y"));
        assert_eq!(section(&found).unwrap().html.matches("<svg").count(), 2);
    }
}
