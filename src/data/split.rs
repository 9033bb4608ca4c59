//! Splitting samples by the seed: a test part, or folds.

use super::{DataError, DataSettings, Parts, Samples};
use crate::random::{Purpose, Stream};

/// For each sample whether it goes to the test part, class by class. Without folds that is the share asked for, rounded, and
/// at least one sample where a class has two; with folds, the share of the fold: each sample is held out by one of them.
pub(super) fn held_out(labels: &[u32], settings: &DataSettings, seed: u64) -> Vec<bool> {
    if settings.unsplit {
        return vec![true; labels.len()];
    }
    let classes = labels
        .iter()
        .max()
        .map_or(0, |&largest| largest as usize + 1);
    let mut members = vec![Vec::new(); classes];
    for (index, &label) in labels.iter().enumerate() {
        members[label as usize].push(index);
    }
    let mut test = vec![false; labels.len()];
    // Goes on from class to class, so that folds have about as many samples each.
    let mut dealt = 0;
    for (class, members) in members.iter_mut().enumerate() {
        Stream::new(seed, Purpose::Split.stream(class as u32)).shuffle(members);
        match settings.folds {
            Some(folds) => {
                for (place, &index) in members.iter().enumerate() {
                    test[index] = (dealt + place) % folds == settings.fold - 1;
                }
                dealt += members.len();
            }
            None => {
                let most = members.len().saturating_sub(1);
                let wanted = (members.len() as f64 * settings.test_share()).round() as usize;
                for &index in &members[..wanted.clamp(most.min(1), most)] {
                    test[index] = true;
                }
            }
        }
    }
    test
}

/// Splits `set` in a training and a test part.
///
/// # Errors
/// If one of them would be empty.
pub(super) fn split_off(
    set: &Samples,
    settings: &DataSettings,
    seed: u64,
) -> Result<Parts<Samples>, DataError> {
    let labels = set
        .labels()
        .map_or_else(|| vec![0; set.len()], <[u32]>::to_vec);
    let test = held_out(&labels, settings, seed);
    if !test.contains(&true) || !test.contains(&false) && !settings.unsplit {
        return Err(DataError::TooFew { samples: set.len() });
    }
    let [train, test] = [false, true].map(|wanted| set.filtered(|index| test[index] == wanted));
    Ok(Parts {
        train,
        validation: None,
        test: Some(test),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(labels: &[u32], test_share: f64) -> Vec<bool> {
        let settings = DataSettings {
            test_share: Some(test_share),
            ..DataSettings::default()
        };
        held_out(labels, &settings, 3)
    }

    #[test]
    fn every_class_of_two_or_more_is_in_both_parts() {
        let labels = [0, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2];
        let test = shared(&labels, 0.2);
        let count = |class| {
            (0..labels.len())
                .filter(|&i| labels[i] == class && test[i])
                .count()
        };
        assert_eq!([count(0), count(1), count(2)], [1, 0, 2]);
        assert!(!shared(&[0], 0.5)[0]);
        assert!(shared(&[], 0.5).is_empty());
    }

    #[test]
    fn every_sample_is_held_out_by_one_fold() {
        let labels: Vec<u32> = (0..23).map(|i| u32::from(i % 3 == 0)).collect();
        let folds = (1..=4).map(|fold| {
            let settings = DataSettings {
                folds: Some(4),
                fold,
                ..DataSettings::default()
            };
            held_out(&labels, &settings, 9)
        });
        let folds: Vec<Vec<bool>> = folds.collect();
        for index in 0..labels.len() {
            assert_eq!(folds.iter().filter(|fold| fold[index]).count(), 1);
        }
        assert!(
            folds
                .iter()
                .all(|fold| (5..=6).contains(&fold.iter().filter(|&&t| t).count()))
        );
    }
}
