//! Splitting samples by the seed into a test part or folds, and a validation part.

use super::{DataError, DataSettings, Part, Parts, Samples};
use crate::random::{Purpose, Stream};

/// The parts to split off from the training samples of a source.
#[derive(Clone, Copy)]
pub(super) struct Drawn {
    /// A test part, if there is none or folds replace the parts.
    pub test: bool,
    /// A validation part, if one is requested and there is none.
    pub validation: bool,
}

impl Drawn {
    /// For a source that has a validation and a test part, or not.
    pub fn of(settings: &DataSettings, has_validation: bool, has_test: bool) -> Drawn {
        let folds = settings.folds.is_some();
        let test = folds || !has_validation && !has_test;
        let requested = settings.validation_share.is_some() && !(test && settings.unsplit);
        Drawn {
            test,
            validation: requested && (folds || !has_validation),
        }
    }

    /// The samples of every part: those of `own` whose part in `of_each` it is, or all `others`, of the validation and the test part.
    /// `set` makes a part of those samples whose index it is told to keep.
    pub fn divide<T, S>(
        self,
        own: &T,
        of_each: &[Part],
        [validation, test]: [Option<&T>; 2],
        mut set: impl FnMut(&T, &dyn Fn(usize) -> bool) -> S,
    ) -> Parts<S> {
        let mut drawn = |part: Part| set(own, &|index| of_each.get(index) == Some(&part));
        let mut found = Parts {
            train: drawn(Part::Train),
            validation: self.validation.then(|| drawn(Part::Validation)),
            test: self.test.then(|| drawn(Part::Test)),
        };
        if !self.test {
            let mut whole = |part: &T| set(part, &|_| true);
            found.test = test.map(&mut whole);
            found.validation = found.validation.or_else(|| validation.map(whole));
        }
        found
    }

    /// The part of each sample, class by class: first the test part, then the validation part from the rest.
    ///
    /// # Errors
    /// If a part would be empty.
    pub fn parts(
        self,
        labels: &[u32],
        settings: &DataSettings,
        seed: u64,
    ) -> Result<Vec<Part>, DataError> {
        if self.test && settings.unsplit {
            return Ok(vec![Part::Test; labels.len()]);
        }
        if let (true, Some(folds)) = (self.test, settings.folds) {
            self.check_folds(labels, folds, settings)?;
        }
        let mut parts = vec![Part::Train; labels.len()];
        if self.test {
            hold_out(&mut parts, labels, settings, seed);
        }
        if let (true, Some(share)) = (self.validation, settings.validation_share) {
            for (class, members) in members(&parts, labels).iter_mut().enumerate() {
                let purpose = Purpose::ValidationSplit.stream(class as u32);
                Stream::new(seed, purpose).shuffle(members);
                take(&mut parts, members, share, Part::Validation);
            }
        }
        let needed = [
            (true, Part::Train),
            (self.validation, Part::Validation),
            (self.test, Part::Test),
        ];
        let mut needed = needed.iter().filter(|(needed, _)| *needed);
        match needed.all(|(_, part)| parts.contains(part)) {
            true => Ok(parts),
            false => Err(DataError::TooFew {
                samples: labels.len(),
            }),
        }
    }

    /// Checks that no fold's parts are empty, by the sizes of the classes.
    fn check_folds(
        self,
        labels: &[u32],
        folds: usize,
        settings: &DataSettings,
    ) -> Result<(), DataError> {
        let samples = labels.len();
        if folds > samples {
            return Err(DataError::TooManyFolds { samples, folds });
        }
        let Some(share) = settings.validation_share.filter(|_| self.validation) else {
            return Ok(());
        };
        let sizes: Vec<usize> = members(&vec![Part::Train; samples], labels)
            .iter()
            .map(Vec::len)
            .collect();
        for fold in 0..folds {
            let mut dealt = 0;
            let validation = sizes.iter().map(|&size| {
                let held_out = (dealt..dealt + size).filter(|place| place % folds == fold);
                let left = size - held_out.count();
                dealt += size;
                taken(left, share)
            });
            if validation.sum::<usize>() == 0 {
                return Err(DataError::EmptyValidation {
                    fold: fold + 1,
                    samples,
                });
            }
        }
        Ok(())
    }
}

/// The training samples of each class.
fn members(parts: &[Part], labels: &[u32]) -> Vec<Vec<usize>> {
    let classes = labels.iter().max().map_or(0, |&last| last as usize + 1);
    let mut members = vec![Vec::new(); classes];
    for (index, &label) in labels.iter().enumerate() {
        if parts[index] == Part::Train {
            members[label as usize].push(index);
        }
    }
    members
}

/// Assigns the first [`taken`] of `members` to `part`.
fn take(parts: &mut [Part], members: &[usize], share: f64, part: Part) {
    for &index in &members[..taken(members.len(), share)] {
        parts[index] = part;
    }
}

/// The number of samples in a `share` of `count`: rounded, and at least one if there are two.
fn taken(count: usize, share: f64) -> usize {
    let most = count.saturating_sub(1);
    let wanted = (count as f64 * share).round() as usize;
    wanted.clamp(most.min(1), most)
}

/// Draws the test part: the requested share or, with folds, the samples of the fold. Every sample is held out by exactly one fold.
fn hold_out(parts: &mut [Part], labels: &[u32], settings: &DataSettings, seed: u64) {
    // The assignment continues from class to class, so that folds have about as many samples each.
    let mut dealt = 0;
    for (class, members) in members(parts, labels).iter_mut().enumerate() {
        Stream::new(seed, Purpose::Split.stream(class as u32)).shuffle(members);
        match settings.folds {
            Some(folds) => {
                for (place, &index) in members.iter().enumerate() {
                    if (dealt + place) % folds == settings.fold - 1 {
                        parts[index] = Part::Test;
                    }
                }
                dealt += members.len();
            }
            None => take(parts, members, settings.test_share(), Part::Test),
        }
    }
}

/// Splits off the missing parts, and those that folds replace.
///
/// # Errors
/// If one of them would be empty.
pub(super) fn split_off(
    parts: Parts<Samples>,
    settings: &DataSettings,
    seed: u64,
) -> Result<Parts<Samples>, DataError> {
    let drawn = Drawn::of(settings, parts.validation.is_some(), parts.test.is_some());
    if !drawn.test && !drawn.validation {
        return Ok(parts);
    }
    let set = parts.train;
    let labels = set
        .labels()
        .map_or_else(|| vec![0; set.len()], <[u32]>::to_vec);
    let of_each = drawn.parts(&labels, settings, seed)?;
    let part = |wanted: Part| set.filtered(|index| of_each[index] == wanted);
    Ok(Parts {
        train: part(Part::Train),
        validation: match drawn.validation {
            true => Some(part(Part::Validation)),
            false if drawn.test => None,
            false => parts.validation,
        },
        test: match drawn.test {
            true => Some(part(Part::Test)),
            false => parts.test,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each sample is in the test part.
    fn held_out(labels: &[u32], settings: &DataSettings, seed: u64) -> Vec<bool> {
        let mut parts = vec![Part::Train; labels.len()];
        hold_out(&mut parts, labels, settings, seed);
        parts.iter().map(|&part| part == Part::Test).collect()
    }

    fn shared(labels: &[u32], test_share: f64) -> Vec<bool> {
        let settings = DataSettings {
            test_share: Some(test_share),
            ..DataSettings::default()
        };
        held_out(labels, &settings, 3)
    }

    #[test]
    fn a_validation_part_is_drawn_of_what_is_left_and_leaves_the_test_part_as_it_was() {
        let labels: Vec<u32> = (0..60).map(|i| u32::from(i % 3 == 0)).collect();
        let mut settings = DataSettings::default();
        let parts = |settings: &DataSettings, has_test| {
            let drawn = Drawn::of(settings, false, has_test);
            drawn.parts(&labels, settings, 5).unwrap()
        };
        let count = |parts: &[Part], wanted, class| {
            let of_class = parts.iter().zip(&labels).filter(|&(_, &l)| l == class);
            of_class.filter(|&(&part, _)| part == wanted).count()
        };
        let before = parts(&settings, false);
        settings.validation_share = Some(0.25);
        let after = parts(&settings, false);
        assert_eq!(count(&after, Part::Validation, 0), 8);
        assert_eq!(count(&after, Part::Validation, 1), 4);
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(b, a)| (*b == Part::Test) == (*a == Part::Test))
        );
        // A source with a test part keeps it: only training samples become validation samples.
        let kept = parts(&settings, true);
        assert_eq!(count(&kept, Part::Validation, 0), 10);
        assert!(!kept.contains(&Part::Test));
        // Two samples can't be split into three parts.
        let drawn = Drawn::of(&settings, false, false);
        assert!(drawn.parts(&[0, 0], &settings, 5).is_err());
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
    fn folds_of_which_one_has_an_empty_part_are_refused_in_every_fold() {
        let drawn = |labels: &[u32], folds, fold| {
            let settings = DataSettings {
                folds: Some(folds),
                fold,
                validation_share: Some(0.5),
                ..DataSettings::default()
            };
            Drawn::of(&settings, false, false).parts(labels, &settings, 5)
        };
        let too_many = DataError::TooManyFolds {
            samples: 3,
            folds: 4,
        };
        let message = drawn(&[0, 0, 1], 4, 1).unwrap_err().to_string();
        assert_eq!(message, too_many.to_string());
        // The first fold holds out one of the pair and the single sample, which leaves one sample for training.
        for fold in [1, 2] {
            let message = drawn(&[0, 0, 1], 2, fold).unwrap_err().to_string();
            assert!(message.starts_with("fold 1 of 3 samples"), "{message}");
        }
        for fold in [1, 2, 3] {
            assert!(drawn(&[0, 0, 0, 1], 3, fold).is_ok());
        }
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
