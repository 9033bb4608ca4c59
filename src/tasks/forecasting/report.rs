//! Forecasts of a series in a report: beside the truth and the naive forecasts, and their errors by the distance of the row.

use super::OUTPUT;
use crate::data::{Scale, field, rows_before, target_scales};
use crate::html::plot::{Axis, Curve, Plot, short};
use crate::html::{escape, shortened};
use crate::tasks::{Evaluated, Section};
use std::fmt::Write as _;

/// Most target columns whose forecasts are drawn.
const MOST_COLUMNS: usize = 3;
/// Windows that are drawn of each column: the worst, and some at equal distances.
const EVEN_WINDOWS: usize = 3;
/// Most rows of a window that are drawn before its forecast.
const MOST_PAST: usize = 96;
/// With forecasts of fewer rows, those of consecutive windows are drawn as one curve.
const SHORT_HORIZON: usize = 4;
/// Most consecutive windows.
const MOST_CONSECUTIVE: usize = 200;
/// Most characters of a column's name.
const MOST_NAME: usize = 40;

/// The forecasts whose outputs were kept.
pub(super) struct Forecasts<'a> {
    found: &'a Evaluated<'a>,
    /// Name and scale of each target column.
    scales: Vec<(String, Scale)>,
    /// Forecasts in units of the standard deviation, `[windows, horizon, columns]`.
    outputs: &'a [f32],
    horizon: usize,
    /// Rows that the naive forecasts repeat, with their names.
    naive: Vec<(usize, &'static str)>,
}

/// The sections; none unless outputs were kept.
pub(super) fn sections(found: &Evaluated<'_>) -> Vec<Section> {
    let Some(forecasts) = Forecasts::of(found) else {
        return Vec::new();
    };
    let drawn = match forecasts.horizon < SHORT_HORIZON {
        true => forecasts.consecutive(),
        false => forecasts.windows(),
    };
    let distances = (forecasts.horizon > 1).then(|| forecasts.by_distance());
    [Some(drawn), distances].into_iter().flatten().collect()
}

impl<'a> Forecasts<'a> {
    pub fn of(found: &'a Evaluated<'a>) -> Option<Forecasts<'a>> {
        let (outputs, each) = found.output(OUTPUT)?;
        let scales = target_scales(found.data, found.fitted);
        let (past, columns) = found.samples.numbers(field::PAST, 0)?;
        if columns != scales.len() || !each.is_multiple_of(columns) || outputs.len() < each {
            return None;
        }
        let context = past.len() / columns;
        let season = found
            .data
            .season
            .filter(|rows| (2..=context).contains(rows));
        Some(Forecasts {
            found,
            scales,
            outputs,
            horizon: each / columns,
            naive: [(1, "naive")]
                .into_iter()
                .chain(season.map(|rows| (rows, "seasonal naive")))
                .collect(),
        })
    }

    /// Whether the forecasts of all windows were kept.
    pub fn are_complete(&self) -> bool {
        self.count() == self.found.samples.len()
    }

    /// Name of a target column.
    pub fn target(&self, column: usize) -> &str {
        &self.scales[column].0
    }

    /// Rows that each naive forecast repeats.
    pub fn naive_rows(&self) -> impl Iterator<Item = usize> {
        self.naive.iter().map(|(repeats, _)| *repeats)
    }

    /// The true and the predicted numbers of a target column in its unit, in all windows and rows: those of the forecast, or of the
    /// naive one that `repeats` this many rows.
    pub fn pairs(
        &self,
        column: usize,
        repeats: Option<usize>,
    ) -> impl Iterator<Item = (f64, f64)> + Clone {
        let Scale { mean, std } = self.scales[column].1;
        let own = move |x: f32| f64::from(x) * std + mean;
        let columns = self.columns();
        let cells = (0..self.count())
            .flat_map(move |window| (0..self.horizon).map(move |row| (window, row)));
        cells.filter_map(move |(window, row)| {
            let truth = *self
                .rows(field::TARGET, window)
                .get(row * columns + column)?;
            let predicted = match repeats {
                None => self.forecast(window)[row * columns + column],
                Some(repeats) => {
                    let past = self.rows(field::PAST, window);
                    let at = past.len() / columns - rows_before(row, repeats);
                    past[at * columns + column]
                }
            };
            Some((own(truth), own(predicted)))
        })
    }

    /// Number of target columns.
    pub fn columns(&self) -> usize {
        self.scales.len()
    }

    /// Number of windows.
    fn count(&self) -> usize {
        let kept = self.outputs.len() / (self.horizon * self.columns());
        kept.min(self.found.samples.len())
    }

    /// The rows of a window, or of its target, in units of the standard deviation.
    fn rows(&self, field: &str, window: usize) -> &'a [f32] {
        let found = self.found.samples.numbers(field, window);
        found.map_or(&[], |(values, _)| values)
    }

    /// The forecast of a window.
    fn forecast(&self, window: usize) -> &'a [f32] {
        let each = self.horizon * self.columns();
        &self.outputs[window * each..][..each]
    }

    /// The naive forecast of a window that repeats its last `repeats` rows.
    fn naive(&self, window: usize, repeats: usize) -> Vec<f32> {
        let (past, columns) = (self.rows(field::PAST, window), self.columns());
        let context = past.len() / columns;
        let row = |row: usize| {
            let at = (context - rows_before(row, repeats)) * columns;
            &past[at..at + columns]
        };
        (0..self.horizon).flat_map(row).copied().collect()
    }

    /// The values of a column among `rows`, in its units, at the positions from `first`.
    fn points(&self, rows: &[f32], column: usize, first: f64) -> Vec<(f64, f64)> {
        let Scale { mean, std } = self.scales[column].1;
        let values = rows.iter().skip(column).step_by(self.columns());
        let numbered = (0..).zip(values);
        numbered
            .map(|(row, &x)| (first + f64::from(row), f64::from(x) * std + mean))
            .collect()
    }

    /// Mean absolute difference of two forecasts.
    fn error(a: &[f32], b: &[f32]) -> f64 {
        let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum();
        sum / a.len().max(1) as f64
    }

    /// The window with the largest mean absolute error.
    fn worst(&self) -> usize {
        let error = |window| Self::error(self.forecast(window), self.rows(field::TARGET, window));
        let errors = (0..self.count()).map(|window| (window, error(window)));
        let worst = errors.max_by(|(_, a), (_, b)| a.total_cmp(b));
        worst.map_or(0, |(window, _)| window)
    }

    /// The name of a column, for text.
    fn name(&self, column: usize) -> String {
        shortened(&self.scales[column].0, MOST_NAME)
    }

    /// Charts of some windows.
    fn windows(&self) -> Section {
        let (count, worst) = (self.count(), self.worst());
        let mut windows: Vec<(usize, String)> = (0..EVEN_WINDOWS)
            .map(|i| (2 * i + 1) * count / (2 * EVEN_WINDOWS))
            .map(|window| (window, format!("window {window}")))
            .collect();
        windows.dedup();
        windows.retain(|(window, _)| *window != worst);
        windows.push((worst, format!("window {worst}, the largest error")));
        let mut html = self.about();
        for column in 0..self.columns().min(MOST_COLUMNS) {
            let _ = writeln!(html, "<h3>{}</h3>", escape(&self.name(column)));
            for (window, title) in &windows {
                html.push_str(&self.window(*window, title, column).unwrap_or_default());
            }
        }
        Section {
            title: "Forecasts".to_string(),
            html,
        }
    }

    /// What is drawn.
    fn about(&self) -> String {
        let more = match self.columns() > MOST_COLUMNS {
            true => format!(" The first {MOST_COLUMNS} of {} columns.", self.columns()),
            false => String::new(),
        };
        let season = match self.naive.get(1) {
            Some((rows, _)) => format!(", the seasonal one the last {rows} rows"),
            None => String::new(),
        };
        format!(
            "<p>In the units of the columns. The naive forecast repeats the last row{season}.{more}</p>\n"
        )
    }

    /// The chart of a column of a window: past, truth and forecasts, over rows from the last of the past.
    fn window(&self, window: usize, title: &str, column: usize) -> Option<String> {
        let past = self.rows(field::PAST, window);
        let most = MOST_PAST.min(2 * self.horizon) * self.columns();
        let past = &past[past.len().saturating_sub(most)..];
        let before = past.len() / self.columns();
        let joined = |rows: &[f32]| {
            // Curves begin at the last row that is known.
            let last = &past[past.len().saturating_sub(self.columns())..];
            self.points(&[last, rows].concat(), column, 0.0)
        };
        let mut curves = vec![Curve::line(
            "past",
            "plain",
            self.points(past, column, 1.0 - before as f64),
        )];
        for (index, (repeats, name)) in self.naive.iter().enumerate() {
            let class = ["quiet", "c2"][index.min(1)];
            curves.push(Curve::line(
                name,
                class,
                joined(&self.naive(window, *repeats)),
            ));
        }
        let truth = joined(self.rows(field::TARGET, window));
        curves.push(Curve::line("truth", "train", truth));
        curves.push(Curve::line(
            "forecast",
            "test",
            joined(self.forecast(window)),
        ));
        self.drawn(title, "rows after the window", column, curves)
    }

    /// The forecasts of the next row of consecutive windows.
    fn consecutive(&self) -> Section {
        let windows = self.count().min(MOST_CONSECUTIVE);
        let all = |of: &dyn Fn(usize) -> Vec<f32>| -> Vec<f32> {
            let first = |window| of(window).into_iter().take(self.columns());
            (0..windows).flat_map(first).collect()
        };
        let truth = all(&|window| self.rows(field::TARGET, window).to_vec());
        let forecast = all(&|window| self.forecast(window).to_vec());
        let mut html = self.about();
        for column in 0..self.columns().min(MOST_COLUMNS) {
            let mut curves: Vec<Curve> = self
                .naive
                .iter()
                .enumerate()
                .map(|(index, (repeats, name))| {
                    let class = ["quiet", "c2"][index.min(1)];
                    let rows = all(&|window| self.naive(window, *repeats));
                    Curve::line(name, class, self.points(&rows, column, 0.0))
                })
                .collect();
            curves.push(Curve::line(
                "truth",
                "train",
                self.points(&truth, column, 0.0),
            ));
            let points = self.points(&forecast, column, 0.0);
            curves.push(Curve::line("forecast", "test", points));
            let chart = self.drawn("forecasts of the next row", "window", column, curves);
            html.push_str(&chart.unwrap_or_default());
        }
        Section {
            title: "Forecasts".to_string(),
            html,
        }
    }

    /// A chart in the units of a column.
    fn drawn(&self, title: &str, x: &str, column: usize, curves: Vec<Curve>) -> Option<String> {
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let plot = Plot {
            title: title.to_string(),
            x: Axis::over(x, points().map(|&(x, _)| x))?,
            y: Axis::over(&self.name(column), points().map(|&(_, y)| y))?,
            bars: Vec::new(),
            curves,
        };
        Some(plot.html())
    }

    /// Mean absolute errors by the number of rows ahead, over all windows and columns, in standard deviations.
    fn by_distance(&self) -> Section {
        let mean = |of: &dyn Fn(usize) -> Vec<f32>| -> Vec<f64> {
            let (columns, mut sums) = (self.columns(), vec![0.0; self.horizon]);
            for window in 0..self.count() {
                let (rows, truth) = (of(window), self.rows(field::TARGET, window));
                let pairs = rows.chunks(columns).zip(truth.chunks(columns));
                for (sum, (row, truth)) in sums.iter_mut().zip(pairs) {
                    *sum += Self::error(row, truth);
                }
            }
            let count = self.count().max(1) as f64;
            sums.into_iter().map(|sum| sum / count).collect()
        };
        let own = mean(&|window| self.forecast(window).to_vec());
        let named = self
            .naive
            .iter()
            .enumerate()
            .map(|(index, (repeats, name))| {
                let errors = mean(&|window| self.naive(window, *repeats));
                (*name, ["quiet", "c2"][index.min(1)], errors)
            });
        let named: Vec<(&str, &str, Vec<f64>)> = named.chain([("forecast", "test", own)]).collect();
        let overall: Vec<String> = named
            .iter()
            .rev()
            .map(|(name, _, errors)| {
                let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
                format!("{name} <b>{}</b>", short(mean))
            })
            .collect();
        let curves: Vec<Curve> = named
            .into_iter()
            .map(|(name, class, errors)| {
                let points = (1..)
                    .zip(errors)
                    .map(|(row, error)| (f64::from(row), error));
                Curve::line(name, class, points.collect())
            })
            .collect();
        let errors = curves
            .iter()
            .flat_map(|curve| &curve.points)
            .map(|&(_, y)| y);
        let y = Axis::over("mean absolute error", errors.chain([0.0]));
        let x = Axis::over("rows ahead", [1.0, self.horizon as f64].into_iter());
        let chart = x.zip(y).map(|(x, y)| {
            Plot {
                title: "error by distance".to_string(),
                x,
                y,
                bars: Vec::new(),
                curves,
            }
            .html()
        });
        Section {
            title: "Errors of the forecasts".to_string(),
            html: format!(
                "<p>Mean absolute error over {} windows, in standard deviations of the columns: {}.</p>\n{}",
                self.count(),
                overall.join(", "),
                chart.unwrap_or_default()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{
        Column, ColumnKind, DataSettings, Fitted, RowSet, Samples, Targets, WindowRows,
        naive_forecasts,
    };
    use crate::tasks::Counters;

    fn fitted(columns: usize) -> Fitted {
        let column = |index| Column {
            name: format!("<load {index}>"),
            kind: ColumnKind::Number {
                mean: 100.0,
                std: 10.0,
                missing: false,
                pieces: Vec::new(),
                form: Default::default(),
            },
        };
        Fitted {
            columns: (0..columns).map(column).collect(),
            ..Fitted::default()
        }
    }

    /// Windows of a series whose rows repeat every `season`.
    fn windows(columns: usize, context: usize, horizon: usize, season: usize) -> Samples {
        let rows = 60;
        let value = |i: usize| ((i / columns) % season) as f32;
        let values: Vec<f32> = (0..rows * columns).map(value).collect();
        Samples::from(RowSet {
            rows: WindowRows::Floats {
                values: values.clone(),
                columns,
            },
            starts: (0..=(rows - context - horizon) as u32).collect(),
            random_starts: false,
            length: context,
            targets: Targets::Values {
                values,
                columns,
                offset: context,
                length: horizon,
            },
        })
    }

    fn sections_of(columns: usize, horizon: usize, season: Option<usize>) -> Vec<Section> {
        let samples = windows(columns, 12, horizon, 5);
        let data = DataSettings {
            season,
            ..DataSettings::default()
        };
        let zeros = vec![0.0; samples.len() * horizon * columns];
        let outputs = vec![(OUTPUT.to_string(), vec![horizon * columns], zeros)];
        let counters = Counters::default();
        let fitted = fitted(columns);
        let found = Evaluated {
            counters: &counters,
            samples: &samples,
            fitted: &fitted,
            data: &data,
            outputs: &outputs,
            complete: false,
        };
        let forecasts = Forecasts::of(&found).unwrap();
        for (repeats, naive) in [1, 5].into_iter().zip(naive_forecasts(&samples, Some(5))) {
            let each = (0..samples.len()).map(|window| {
                let own = forecasts.naive(window, repeats);
                Forecasts::error(&own, forecasts.rows(field::TARGET, window))
            });
            let mean = each.sum::<f64>() / samples.len() as f64;
            assert!((mean - naive.mae).abs() < 1e-6, "{mean} {naive:?}");
        }
        sections(&found)
    }

    #[test]
    fn forecasts_are_drawn_with_the_naive_ones_in_units_of_the_columns() {
        let found = sections_of(2, 6, Some(5));
        assert_eq!(found.len(), 2);
        let html = &found[0].html;
        // Three windows and the worst, if that is another, for each of two columns, with five curves each.
        let charts = html.matches("<svg").count();
        assert!(charts == 6 || charts == 8, "{charts}");
        assert_eq!(html.matches("<polyline").count(), 5 * charts);
        assert!(html.contains(">&lt;load 0&gt;</text>") && !html.contains("<load"));
        // A forecast of 0 is at the mean, and values from 0 to 4 are up to 140.
        assert!(html.contains(">100</text>") && html.contains(">140</text>"));
        assert!(
            found[1].html.contains("seasonal naive <b>0</b>"),
            "{}",
            found[1].html
        );
        assert!(
            found[1].html.contains("forecast <b>2.01</b>"),
            "{}",
            found[1].html
        );
    }

    #[test]
    fn short_forecasts_of_many_columns_are_one_bounded_chart_each() {
        let found = sections_of(7, 1, None);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].html.matches("<svg").count(), MOST_COLUMNS);
        assert_eq!(found[0].html.matches("<polyline").count(), 3 * MOST_COLUMNS);
        assert!(found[0].html.contains("The first 3 of 7 columns"));
    }
}
