//! Training samples of which only some have classes: the setting `data.labelled`.

use super::{DataSettings, Dataset, Samples};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// Chooses the training samples that keep their classes, if the settings ask for some. The others are removed or, where the task
/// learns from them, follow in their order.
///
/// # Errors
/// If samples have no classes, or there are fewer samples or more classes than are to keep theirs.
pub(super) fn keep(
    dataset: &mut Dataset<Samples>,
    settings: &DataSettings,
    seed: u64,
) -> Result<()> {
    let Some(labelled) = settings.labelled else {
        return Ok(());
    };
    let (samples, name) = (&dataset.train, &dataset.name);
    let wrong = |what: String| Err(Error::Config(format!("data.labelled {what}")));
    let Some(labels) = samples.labels() else {
        return wrong(format!(
            "chooses samples that keep their classes, but those of {name} have none; leave it out"
        ));
    };
    let count = number(labelled, samples.len());
    let classes = dataset.classes.len();
    let noun = samples.noun();
    if count > samples.len() {
        return wrong(format!(
            "is {count}, but {name} has {} training {noun}",
            samples.len()
        ));
    }
    if count < classes {
        return wrong(format!(
            "leaves {count} of {} training {noun} with their classes, fewer than the {classes} classes; make it larger",
            samples.len()
        ));
    }
    let chosen = balanced(labels, classes, count, seed);
    let mut order = chosen.clone();
    if settings.unlabelled {
        let mut is_chosen = vec![false; samples.len()];
        chosen.iter().for_each(|&index| is_chosen[index] = true);
        order.extend((0..samples.len()).filter(|&index| !is_chosen[index]));
    }
    let kept = samples.chosen(&order);
    dataset.notes.push(match settings.unlabelled {
        true => format!(
            "{count} of {} training {noun} keep their classes; those of the others are not used",
            samples.len()
        ),
        false => format!(
            "trains on {count} of {} {noun}, equally many of each class",
            samples.len()
        ),
    });
    dataset.train = kept;
    Ok(())
}

/// The number of samples that `labelled` asks for, of `all`.
pub(crate) fn number(labelled: f64, all: usize) -> usize {
    match labelled < 1.0 {
        true => (labelled * all as f64).round() as usize,
        false => labelled as usize,
    }
}

/// The indices of `count` samples, in order: equally many of each class, or nearly so, as far as classes have that many.
pub(crate) fn balanced(labels: &[u32], classes: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (index, &label) in labels.iter().enumerate() {
        if let Some(class) = of_class.get_mut(label as usize) {
            class.push(index);
        }
    }
    for (class, indices) in (0..).zip(&mut of_class) {
        Stream::new(seed, Purpose::Labelled.stream(class)).shuffle(indices);
    }
    // One of each class in turn.
    let longest = of_class.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| {
        let classes = of_class.iter();
        classes.filter_map(move |indices| indices.get(turn).copied())
    });
    let mut chosen: Vec<usize> = turns.take(count).collect();
    chosen.sort_unstable();
    chosen
}

/// Batches in which the first samples of a set are mixed with the others: those with classes with those without, or those that are
/// replayed with new ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mixture {
    /// Samples with classes, the first ones of the set.
    pub labelled: usize,
    /// Samples of a batch that have classes, its first ones.
    pub of_batch: usize,
    /// Whether the rest of a batch has none of the first samples of the set; otherwise it has any.
    pub apart: bool,
}

impl Mixture {
    /// Rearranges the shuffled `order` of an epoch: a batch of `batch` samples begins with some that have classes, which come in turn and
    /// as often as they are needed, and goes on with the others, or any.
    pub fn arrange(self, order: &mut [u32], batch: usize, seed: u64, epoch: u32) {
        let mut rest = order.to_vec();
        rest.retain(|&sample| !self.apart || sample as usize >= self.labelled);
        let mut rest = rest.into_iter().cycle();
        let mut stream = Stream::new(seed, Purpose::LabelledOrder.stream(epoch));
        let mut turn: Vec<u32> = Vec::new();
        for places in order.chunks_mut(batch.max(1)) {
            for (place, sample) in places.iter_mut().enumerate() {
                let next = match place < self.of_batch {
                    true => {
                        if turn.is_empty() {
                            turn = (0..self.labelled as u32).collect();
                            stream.shuffle(&mut turn);
                        }
                        turn.pop()
                    }
                    false => rest.next(),
                };
                *sample = next.unwrap_or(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageSet;

    fn dataset(labels: Vec<u32>) -> Dataset<Samples> {
        let set = |labels: Vec<u32>| ImageSet {
            images: (0..labels.len() as u8).collect(),
            labels,
            height: 1,
            width: 1,
            channels: 1,
        };
        let classes = ["a", "b", "c"].map(String::from).to_vec();
        let data = Dataset::new("tiny", set(labels), set(vec![0, 1]), classes).unwrap();
        data.into_samples()
    }

    fn settings(labelled: f64) -> DataSettings {
        DataSettings {
            labelled: Some(labelled),
            ..DataSettings::default()
        }
    }

    #[test]
    fn classes_keep_equally_many_samples_as_far_as_they_have_them() {
        let labels = vec![0, 0, 0, 0, 1, 1, 1, 2, 1, 0];
        for seed in 0..20 {
            let mut data = dataset(labels.clone());
            keep(&mut data, &settings(6.0), seed).unwrap();
            let counts = data.train.class_counts(3).unwrap();
            assert!(
                [vec![3, 2, 1], vec![2, 3, 1]].contains(&counts),
                "{counts:?}"
            );
        }
        let chosen = |seed| balanced(&labels, 3, 5, seed);
        assert_eq!(chosen(4), chosen(4));
        assert!((0..20).any(|seed| chosen(seed) != chosen(4)));
    }

    #[test]
    fn the_others_follow_where_the_task_learns_from_them() {
        let mut data = dataset(vec![2, 1, 0, 2, 1, 0, 0]);
        let settings = DataSettings {
            unlabelled: true,
            ..settings(0.43)
        };
        keep(&mut data, &settings, 1).unwrap();
        let mut first = data.train.labels().unwrap()[..3].to_vec();
        first.sort_unstable();
        assert_eq!((data.train.len(), first), (7, vec![0, 1, 2]));
        assert!(data.notes[0].starts_with("3 of 7 training images keep their classes"));
    }

    #[test]
    fn batches_begin_with_samples_that_have_classes() {
        let mixture = Mixture {
            labelled: 3,
            of_batch: 2,
            apart: false,
        };
        let arranged = |epoch| {
            let mut order: Vec<u32> = (0..20).rev().collect();
            mixture.arrange(&mut order, 6, 1, epoch);
            order
        };
        let order = arranged(0);
        for batch in order.chunks(6) {
            assert!(batch[..2].iter().all(|&sample| sample < 3), "{order:?}");
        }
        // All of them before any comes again.
        let first: Vec<u32> = order
            .chunks(6)
            .flat_map(|batch| batch[..2].to_vec())
            .collect();
        let mut turn = first[..3].to_vec();
        turn.sort_unstable();
        assert_eq!(turn, [0, 1, 2]);
        let others: Vec<u32> = order
            .chunks(6)
            .flat_map(|batch| batch[2..].to_vec())
            .collect();
        assert_eq!(others, (8..20).rev().collect::<Vec<u32>>());
        assert_eq!(arranged(0), order);
        assert_ne!(arranged(1), order);
    }

    #[test]
    fn what_is_replayed_stays_at_the_beginning_of_batches() {
        let mixture = Mixture {
            labelled: 6,
            of_batch: 1,
            apart: true,
        };
        let mut order: Vec<u32> = (0..10).collect();
        mixture.arrange(&mut order, 4, 1, 0);
        let is_new: Vec<bool> = order.iter().map(|&sample| sample >= 6).collect();
        let wanted = [
            false, true, true, true, false, true, true, true, false, true,
        ];
        assert_eq!(is_new, wanted);
        // There are four new ones for seven places.
        assert_eq!(order[1..4], [6, 7, 8]);
        assert_eq!((order[5], order[6], order[9]), (9, 6, 8));
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let refused = |labelled| {
            let mut data = dataset(vec![0, 1, 2, 0]);
            keep(&mut data, &settings(labelled), 1)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(5.0).contains("has 4 training images"));
        assert!(refused(2.0).contains("fewer than the 3 classes"));
        assert!(settings(1.5).check().is_err() && settings(-1.0).check().is_err());
        assert!(settings(2.0).check().is_ok() && settings(0.5).check().is_ok());
    }
}
