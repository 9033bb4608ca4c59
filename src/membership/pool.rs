//! The samples that an attack judges: some of the training part, as many of the test part, and halves of both for shadow runs.

use crate::data::Samples;
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// Fewest members, and fewest others.
pub const FEWEST_SAMPLES: usize = 10;

/// Members of the training data of a run, and as many samples that it was not trained on.
#[derive(Clone, Debug)]
pub struct MembershipPool {
    /// Samples of the training part.
    pub members: Samples,
    /// Samples of the test part.
    pub others: Samples,
    seed: u64,
}

/// Two sets of samples that a shadow run is made of.
pub struct ShadowHalves {
    /// The samples that it is trained on.
    pub train: Samples,
    /// The rest of the pool.
    pub rest: Samples,
    /// Whether each member and each other is in `train`.
    pub trained_on: [Vec<bool>; 2],
}

impl MembershipPool {
    /// At most `most` samples of `train`, the training part of a run, and as many of `test`, chosen by `seed`, in order.
    ///
    /// # Errors
    /// If there are too few.
    pub fn draw(train: &Samples, test: &Samples, most: usize, seed: u64) -> Result<MembershipPool> {
        if most < FEWEST_SAMPLES {
            return Err(Error::Config(format!(
                "--samples must be at least {FEWEST_SAMPLES}, not {most}: figures of fewer say nothing"
            )));
        }
        let count = most.min(train.len()).min(test.len());
        if count < FEWEST_SAMPLES {
            return Err(Error::Data(format!(
                "the run has {} training and {} test {}, and members are looked for among at least {FEWEST_SAMPLES} of each; name a run \
                 on more data",
                train.len(),
                test.len(),
                train.noun()
            )));
        }
        let chosen = |part: u32, samples: &Samples| {
            let mut indices: Vec<usize> = (0..samples.len()).collect();
            Stream::new(seed, Purpose::Membership.stream(part)).shuffle(&mut indices);
            indices.truncate(count);
            indices.sort_unstable();
            samples.chosen(&indices)
        };
        Ok(MembershipPool {
            members: chosen(0, train),
            others: chosen(1, test),
            seed,
        })
    }

    /// Number of members, of others, and of samples that a shadow run is trained on.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Whether the shadow run `number`, counted from 0, is trained on each member and on each other: on half of all of them, drawn at
    /// random. Of each pair of shadow runs, the second is trained on the other half.
    pub fn trained_on(&self, number: usize) -> [Vec<bool>; 2] {
        let count = self.count();
        let mut order: Vec<usize> = (0..2 * count).collect();
        let pair = Purpose::ShadowHalves.stream((number / 2) as u32);
        Stream::new(self.seed, pair).shuffle(&mut order);
        let mut is_in = [vec![false; count], vec![false; count]];
        for (place, index) in order.into_iter().enumerate() {
            is_in[index / count][index % count] = (place < count) == number.is_multiple_of(2);
        }
        is_in
    }

    /// The samples of the shadow run `number`, counted from 0.
    ///
    /// # Errors
    /// If members and others can't be put together.
    pub fn halves(&self, number: usize) -> Result<ShadowHalves> {
        let trained_on = self.trained_on(number);
        let set = |wanted: bool| {
            let [members, others] = [(&self.members, 0), (&self.others, 1)]
                .map(|(samples, group)| samples.filtered(|at| trained_on[group][at] == wanted));
            members.followed_by(&others).map_err(|why| {
                let noun = self.members.noun();
                Error::Data(format!(
                    "shadow runs are trained on a mixture of training and test {noun}, but these {why}; or leave --shadows out"
                ))
            })
        };
        Ok(ShadowHalves {
            train: set(true)?,
            rest: set(false)?,
            trained_on,
        })
    }
}
