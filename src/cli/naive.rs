//! Errors of numbers that are predicted, beside those of forecasts that only repeat what was seen.

use super::print_line;
use serde_json::{Value, json};
use wgrad::data::{NaiveForecast, Samples, naive_forecasts};
use wgrad::settings::DataSettings;
use wgrad::train::Details;

/// The naive forecasts of a test set; none of what is no series.
pub(super) struct Floors(Vec<NaiveForecast>);

impl Floors {
    /// Of the windows in `test`.
    pub fn of(test: &Samples, settings: &DataSettings) -> Floors {
        Floors(naive_forecasts(test, settings.season))
    }

    /// Adds the mean squared error and the floors to a line of JSON.
    pub fn add_to(&self, line: &mut Value, details: &Details) {
        if details.mse.is_some() {
            line["mse"] = details.mse.into();
        }
        if !self.0.is_empty() {
            line["naive"] = json!(self.0);
        }
    }

    /// Prints both, if numbers are predicted.
    pub fn print(&self, details: &Details) -> anyhow::Result<()> {
        let Some(mse) = details.mse else {
            return Ok(());
        };
        print_line(format_args!(
            "mse {mse:.4}, rmse {:.4}, in units of the deviation",
            mse.sqrt()
        ))?;
        for floor in &self.0 {
            let what = match floor.repeats {
                1 => "the last row".to_string(),
                rows => format!("the last {rows} rows"),
            };
            print_line(format_args!(
                "repeating {what}: mse {:.4}, mae {:.4}",
                floor.mse, floor.mae
            ))?;
        }
        Ok(())
    }
}
