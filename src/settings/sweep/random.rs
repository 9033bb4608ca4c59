//! Random values.

use super::values::{Candidates, TrialValue, values_text};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use std::collections::BTreeSet;

/// After this many draws of what an earlier trial has, it is taken again.
const MOST_DRAWS: u32 = 10_000;

/// The settings of `count` different trials. Those of a trial depend on the seed, on its number and on the trials before it, so
/// a sweep of more trials begins with the same ones.
///
/// # Errors
/// If there are fewer combinations.
pub(super) fn trials(
    candidates: &[(String, Candidates)],
    count: usize,
    seed: u64,
) -> Result<Vec<Vec<TrialValue>>> {
    let combinations = candidates
        .iter()
        .map(|(_, candidates)| candidates.count())
        .try_fold(1_u64, |all, count| Some(all.saturating_mul(count?)));
    if let Some(all) = combinations.filter(|&all| all < count as u64) {
        return Err(Error::Config(format!(
            "trials is {count}, but the values have only {all} combinations; make it smaller, or use method = \"grid\""
        )));
    }
    let mut seen = BTreeSet::new();
    let mut trials = Vec::new();
    for number in (0_u32..).take(count) {
        let mut stream = Stream::new(seed, Purpose::Sweep.stream(number));
        let mut draw = || -> Vec<TrialValue> {
            let each = candidates
                .iter()
                .map(|(key, candidates)| (key.clone(), candidates.draw(&mut stream)));
            each.collect()
        };
        let mut trial = draw();
        for _ in 0..MOST_DRAWS {
            if !seen.contains(&values_text(&trial)) {
                break;
            }
            trial = draw();
        }
        seen.insert(values_text(&trial));
        trials.push(trial);
    }
    Ok(trials)
}

#[cfg(test)]
mod tests {
    use super::super::values::candidates;
    use super::*;

    #[test]
    fn trials_differ_and_a_longer_sweep_begins_alike() {
        let text = "a = { from = 1, to = 4 }\nb = [\"x\", \"y\"]";
        let candidates = candidates(&toml::from_str(text).unwrap()).unwrap();
        let all = trials(&candidates, 8, 3).unwrap();
        let texts: BTreeSet<String> = all.iter().map(|trial| values_text(trial)).collect();
        assert_eq!(texts.len(), 8, "every combination once");
        assert_eq!(trials(&candidates, 5, 3).unwrap(), all[..5]);
        assert_ne!(trials(&candidates, 8, 4).unwrap(), all);
        let message = trials(&candidates, 9, 3).unwrap_err().to_string();
        assert!(message.contains("only 8 combinations"), "{message}");
    }
}
