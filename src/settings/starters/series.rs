//! Series, forecast from windows.

use super::{Start, Starter, epochs};
use crate::data::{Dataset, Samples, SeriesOutline, Source, WindowNorm, field};
use crate::error::Result;
use crate::settings::DataSettings;

pub(super) const REST: &str = include_str!("../../../assets/starters/series.toml");

/// A window holds this many seasons, if the series is long enough.
const SEASONS: usize = 14;
/// A window without seasons has at most this many rows.
const ROWS: usize = 48;
/// A window holds at most this part of the series.
const SHARE: usize = 4;

/// See the module.
pub(super) struct Series;

impl Starter for Series {
    fn formats(&self) -> &'static [&'static str] {
        &["series"]
    }

    fn read(&self, data: &mut DataSettings, source: &Source) -> Result<()> {
        let outline = SeriesOutline::of(source, data)?;
        let most = (outline.rows / SHARE).max(2);
        let season = outline.season.filter(|&season| season <= most / 2);
        data.season = season;
        data.horizon = season.unwrap_or(1);
        data.context = Some(match season {
            Some(season) => (most / season).min(SEASONS) * season,
            None => most.min(ROWS),
        });
        data.window_norm = WindowNorm::Instance;
        Ok(())
    }

    fn start(&self, task: &str, dataset: &Dataset<Samples>, data: &DataSettings) -> Option<Start> {
        if task != "forecasting" {
            return None;
        }
        // The linear model forecasts every column that it sees.
        let columns = |name: &str| dataset.train.field(name)?.shape().last().copied();
        let model = match columns(field::WINDOW) == columns(field::TARGET) {
            true => "series-linear",
            false => "series-mlp",
        };
        let seasons = match data.season {
            Some(season) => {
                format!("a season of {season} rows, found from the dates (data.season)")
            }
            None => "no season (data.season sets one)".to_string(),
        };
        Some(Start {
            model,
            epochs: epochs(dataset, 32, 1500, [10, 200]),
            batch: 32,
            rest: REST,
            why: format!(
                "{} rows are forecast from the {} before (data.horizon, data.context), with {seasons}",
                data.horizon,
                data.context()
            ),
        })
    }
}
