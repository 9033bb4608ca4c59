//! All combinations of values.

use super::file::MOST_TRIALS;
use super::values::{Candidates, TrialValue, named};
use crate::error::{Error, Result};

/// The settings of each trial; the last key varies fastest.
///
/// # Errors
/// If a range has no steps, or there are too many combinations.
pub(super) fn trials(candidates: &[(String, Candidates)]) -> Result<Vec<Vec<TrialValue>>> {
    let mut trials: Vec<Vec<TrialValue>> = vec![Vec::new()];
    for (key, values) in candidates {
        let values = values.all().ok_or_else(|| {
            named(
                key,
                "a grid has all combinations, and this range has no steps; give it a step, list its values, or use \
                 method = \"random\"",
            )
        })?;
        if trials.len().saturating_mul(values.len()) > MOST_TRIALS {
            return Err(Error::Config(format!(
                "the grid has more than {MOST_TRIALS} trials; leave out values, or use method = \"random\""
            )));
        }
        let with = |trial: &Vec<TrialValue>| -> Vec<Vec<TrialValue>> {
            let each = values.iter().map(|value| {
                let mut trial = trial.clone();
                trial.push((key.clone(), value.clone()));
                trial
            });
            each.collect()
        };
        trials = trials.iter().flat_map(with).collect();
    }
    Ok(trials)
}

#[cfg(test)]
mod tests {
    use super::super::values::{candidates, values_text};
    use super::*;

    #[test]
    fn a_grid_has_every_combination_once() {
        let text = "a = [1, 2]\nb = { from = 0.5, to = 1.5, step = 0.5 }";
        let found = trials(&candidates(&toml::from_str(text).unwrap()).unwrap()).unwrap();
        let found: Vec<String> = found.iter().map(|trial| values_text(trial)).collect();
        assert_eq!(found.len(), 6);
        assert_eq!(found[0], "a = 1, b = 0.5");
        assert_eq!(found[1], "a = 1, b = 1.0");
        assert_eq!(found[5], "a = 2, b = 1.5");
    }

    #[test]
    fn what_can_not_be_enumerated_is_refused() {
        let refused = |text: &str| {
            let found = trials(&candidates(&toml::from_str(text).unwrap()).unwrap());
            found.unwrap_err().to_string()
        };
        assert!(refused("a = { from = 1, to = 4 }").contains("values.a"));
        let wide = "a = { from = 1, to = 1000, step = 1 }\nb = { from = 1, to = 1000, step = 1 }";
        assert!(refused(wide).contains("more than"));
    }
}
