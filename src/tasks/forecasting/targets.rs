//! Errors of forecasts by target in its own unit, beside those of the naive forecasts.

use super::report::Forecasts;
use crate::html::plot::significant;
use crate::tasks::Reported;
use crate::tasks::scores::NumberErrors;
use serde_json::{Map, json};

/// Most targets with a line each; there is a key in the JSON line for all of them.
const MOST_LINES: usize = 10;

/// Errors of one target.
struct TargetErrors {
    name: String,
    own: NumberErrors,
    /// Of each naive forecast, with the rows that it repeats.
    naive: Vec<(usize, NumberErrors)>,
}

impl TargetErrors {
    /// The naive forecast with the least mean absolute error.
    fn best_naive(&self) -> Option<&(usize, NumberErrors)> {
        self.naive.iter().min_by(|a, b| a.1.mae.total_cmp(&b.1.mae))
    }

    fn is_better(&self) -> bool {
        self.best_naive()
            .is_some_and(|(_, naive)| self.own.mae < naive.mae)
    }
}

/// Lines and keys about every target; none unless the forecasts of all windows were kept.
pub(super) fn reported(forecasts: &Forecasts<'_>) -> Reported {
    let mut reported = Reported::default();
    if !forecasts.are_complete() {
        return reported;
    }
    let targets: Vec<TargetErrors> = (0..forecasts.columns())
        .filter_map(|column| errors(forecasts, column))
        .collect();
    for target in targets.iter().take(MOST_LINES) {
        let naive = target.naive.iter().map(|(repeats, errors)| {
            format!("{} mae {}", repeating(*repeats), significant(errors.mae, 4))
        });
        reported.lines.push(format!(
            "{}: {}; {}",
            target.name,
            target.own.show(),
            naive.collect::<Vec<_>>().join(", ")
        ));
    }
    if targets.len() > MOST_LINES {
        let more = targets.len() - MOST_LINES;
        reported.lines.push(format!(
            "and {more} more columns, in the JSON line of --json"
        ));
    }
    reported.lines.extend(verdict(&targets));
    let values = targets.iter().map(|target| {
        let naive = target.naive.iter().map(|(repeats, errors)| {
            json!({"repeats": repeats, "mae": errors.mae, "rmse": errors.rmse, "mape": errors.mape, "r2": errors.r2})
        });
        json!({
            "name": target.name,
            "mae": target.own.mae,
            "rmse": target.own.rmse,
            "mape": target.own.mape,
            "r2": target.own.r2,
            "naive": naive.collect::<Vec<_>>(),
        })
    });
    reported.json = Map::from_iter([("targets".to_string(), values.collect())]);
    reported
}

fn errors(forecasts: &Forecasts<'_>, column: usize) -> Option<TargetErrors> {
    let own = NumberErrors::of(forecasts.pairs(column, None))?;
    let naive = forecasts.naive_rows().filter_map(|repeats| {
        Some((
            repeats,
            NumberErrors::of(forecasts.pairs(column, Some(repeats)))?,
        ))
    });
    Some(TargetErrors {
        name: forecasts.target(column).to_string(),
        own,
        naive: naive.collect(),
    })
}

fn repeating(rows: usize) -> String {
    match rows {
        1 => "repeating the last row".to_string(),
        rows => format!("repeating the last {rows} rows"),
    }
}

/// Whether the forecasts are worth anything.
fn verdict(targets: &[TargetErrors]) -> Option<String> {
    match targets {
        [] => None,
        [target] => {
            let (repeats, naive) = target.best_naive()?;
            let change = 100.0 * (target.own.mae / naive.mae - 1.0);
            Some(match target.is_better() {
                true => format!(
                    "the forecast is better than {}: its mae is {:.0}% smaller",
                    repeating(*repeats),
                    -change
                ),
                false => format!(
                    "{} is better than this forecast, whose mae is {change:.0}% larger: do not use it yet",
                    repeating(*repeats)
                ),
            })
        }
        targets => {
            let better = targets.iter().filter(|target| target.is_better()).count();
            let worse: Vec<&str> = targets
                .iter()
                .filter(|target| !target.is_better())
                .map(|target| &*target.name)
                .collect();
            let exceptions = match worse.len() {
                0 => String::new(),
                _ => format!("; not for {}", worse.join(", ")),
            };
            Some(format!(
                "the forecast is better than every naive one for {better} of {} columns, by mae{exceptions}",
                targets.len()
            ))
        }
    }
}
