//! Predictions of numbers in a report: against the truth, and the largest residuals.

use super::OUTPUT;
use crate::data::field;
use crate::html::plot::{Axis, Curve, Plot, significant};
use crate::tasks::worst::{WorstSample, worst};
use crate::tasks::{Evaluated, Section};

/// Most dots of the chart; of more samples, every n-th is drawn.
const MOST_DOTS: usize = 600;

/// Truth and prediction of each sample whose output was kept, in the units of the target.
pub(super) fn pairs(found: &Evaluated<'_>) -> Vec<(f64, f64)> {
    let scale = found.fitted.scale;
    let (mean, std) = scale.map_or((0.0, 1.0), |scale| (scale.mean, scale.std));
    let own = |x: f32| f64::from(x) * std + mean;
    let Some((outputs, each)) = found.output(OUTPUT) else {
        return Vec::new();
    };
    let pair = |(index, output): (usize, &[f32])| {
        let (truth, _) = found.samples.numbers(field::VALUE, index)?;
        Some((own(*truth.first()?), own(*output.first()?)))
    };
    let outputs = outputs.chunks_exact(each).enumerate();
    outputs.map_while(pair).collect()
}

/// A chart of the predictions over the truth.
pub(super) fn section(found: &Evaluated<'_>) -> Option<Section> {
    let pairs = pairs(found);
    let target = found.fitted.target.as_deref().unwrap_or("value");
    let all = || {
        pairs
            .iter()
            .flat_map(|&(truth, prediction)| [truth, prediction])
    };
    let x = Axis::over(&format!("{target}, truth"), all())?;
    let y = Axis::over(&format!("{target}, prediction"), all())?;
    let every = pairs.len().div_ceil(MOST_DOTS);
    let dots = pairs.iter().step_by(every.max(1)).copied().collect();
    let ends = x.range.map(|end| (end, end)).to_vec();
    let plot = Plot {
        title: "predictions".to_string(),
        x,
        y,
        bars: Vec::new(),
        curves: vec![
            Curve::line("equal", "quiet", ends),
            Curve::dots("samples", "test", dots, 2.0),
        ],
    };
    let drawn = match every {
        0 | 1 => String::new(),
        _ => format!("<p>One of {every} samples is drawn.</p>\n"),
    };
    Some(Section {
        title: "Predictions and truth".to_string(),
        html: drawn + &plot.html(),
    })
}

/// The samples with the largest residuals.
pub(super) fn largest_residuals(found: &Evaluated<'_>, most: usize) -> Vec<WorstSample> {
    let pairs = pairs(found);
    let residuals = pairs
        .iter()
        .map(|(truth, prediction)| (prediction - truth).abs());
    worst(residuals, most, |index, _| {
        let (truth, prediction) = pairs[index];
        vec![
            ("truth", significant(truth, 5)),
            ("prediction", significant(prediction, 5)),
            ("residual", significant(prediction - truth, 5)),
        ]
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
}
