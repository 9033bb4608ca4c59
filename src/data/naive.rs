//! Errors of naive forecasts, the baseline that every model of a series should beat.

use super::{Field, FieldValues, Samples, WindowRows, field};
use serde::Serialize;

/// Errors of a forecast that repeats past rows, in units of the columns' standard deviations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NaiveForecast {
    /// Number of last rows that it repeats.
    pub repeats: usize,
    /// Mean squared error.
    pub mse: f64,
    /// Mean absolute error.
    pub mae: f64,
}

/// The naive forecasts for the windows of a series: one repeats the last row, the seasonal one the last `season` rows. There are
/// none for sets that are not windows of a series, and no seasonal one if a season is longer than a window.
pub fn naive_forecasts(set: &Samples, season: Option<usize>) -> Vec<NaiveForecast> {
    let window = set.field(field::WINDOW).map(Field::shape);
    let target = set.field(field::TARGET).map(|field| &field.values);
    let (Some(starts), Some(window)) = (set.starts(), window) else {
        return Vec::new();
    };
    let Some(FieldValues::Windows {
        rows,
        offset,
        length,
    }) = target
    else {
        return Vec::new();
    };
    let WindowRows::Floats { values, columns } = &**rows else {
        return Vec::new();
    };
    let (starts, context) = (&starts.first, window[0]);
    if starts.is_empty() {
        return Vec::new();
    }
    let forecast = |repeats: usize| {
        let (mut squares, mut absolutes) = (0.0, 0.0);
        for &start in starts {
            let first = start as usize + offset;
            for row in 0..*length {
                let seen = first - rows_before(row, repeats);
                for column in 0..*columns {
                    let value = |row: usize| f64::from(values[row * columns + column]);
                    let error = value(first + row) - value(seen);
                    squares += error * error;
                    absolutes += error.abs();
                }
            }
        }
        let count = (starts.len() * length * columns) as f64;
        NaiveForecast {
            repeats,
            mse: squares / count,
            mae: absolutes / count,
        }
    };
    let season = season.filter(|season| (2..=context).contains(season));
    [1].into_iter().chain(season).map(forecast).collect()
}

/// How many rows before the first one to predict the naive forecast of row `row`, from 0, lies that repeats the last `repeats`.
pub fn rows_before(row: usize, repeats: usize) -> usize {
    repeats - row % repeats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{RowSet, Targets};

    fn series(values: Vec<f32>, context: usize, horizon: usize) -> Samples {
        let starts = (0..=(values.len() - context - horizon) as u32).collect();
        let targets = Targets::Values {
            values: values.clone(),
            columns: 1,
            offset: context,
            length: horizon,
        };
        Samples::from(RowSet {
            random_starts: false,
            rows: WindowRows::Floats { values, columns: 1 },
            starts,
            length: context,
            targets,
        })
    }

    #[test]
    fn a_season_is_repeated_row_by_row_and_the_last_value_alone_is_not_enough() {
        let set = series((0..12).map(|i| (i % 3) as f32).collect(), 3, 4);
        let found = naive_forecasts(&set, Some(3));
        assert_eq!((found[1].repeats, found[1].mse), (3, 0.0));
        assert!(found[0].mse > 0.5);
        // The windows are 0 1 | 2 3 and so on, so the errors are 1 and 2.
        let found = naive_forecasts(&series((0..6).map(|i| i as f32).collect(), 2, 2), Some(3));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].mse, found[0].mae), (2.5, 1.5));
    }

    /// The known figures for these data.
    #[test]
    fn the_real_transformer_has_the_floors_that_are_known() {
        let Some(dir) = crate::data::real_set("timeseries") else {
            return;
        };
        let settings = crate::data::DataSettings {
            source: dir.join("ETTh1.csv").display().to_string(),
            format: crate::data::FormatName::named("series"),
            context: Some(96),
            horizon: 96,
            parts: Some([8640, 2880, 2880]),
            ..Default::default()
        };
        let set = crate::data::load(&settings, &mut crate::data::Fitted::default(), 1).unwrap();
        let found = naive_forecasts(&set.test, Some(24));
        let rounded: Vec<f64> = found.iter().map(|f| (f.mse * 1e3).round() / 1e3).collect();
        assert_eq!(rounded, [1.294, 0.512]);
    }
}
