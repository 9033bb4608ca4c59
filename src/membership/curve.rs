//! How well scores separate members of the training data from others: the ROC curve of an attack and its figures.

use super::MembershipScores;
use crate::random::{Purpose, Stream};
use crate::tasks::scores::fairness::{DRAWS, bootstrap_interval};
use rayon::prelude::*;

/// The samples in the order of their scores.
#[derive(Clone, Debug)]
pub struct MembershipCurve {
    /// Members and others with each score, the highest score first.
    counts: Vec<[u64; 2]>,
    /// The place of the score of each member, and of each other, among these.
    places: [Vec<u32>; 2],
}

impl MembershipCurve {
    /// The curve of `scores`, of which the higher are for members. Equal scores share a threshold.
    pub fn of(scores: &MembershipScores) -> MembershipCurve {
        let groups = [&scores.members, &scores.others];
        let mut order: Vec<(f64, usize, usize)> = Vec::new();
        for (group, values) in groups.iter().enumerate() {
            order.extend((0..).zip(*values).map(|(at, &score)| (score, group, at)));
        }
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut counts = Vec::new();
        let mut places = groups.map(|values| vec![0; values.len()]);
        for (place, tied) in (0..).zip(order.chunk_by(|a, b| a.0 == b.0)) {
            let mut own = [0, 0];
            for &(_, group, at) in tied {
                own[group] += 1;
                places[group][at] = place;
            }
            counts.push(own);
        }
        MembershipCurve { counts, places }
    }

    /// The area under the curve: the probability that a member has a higher score than another sample, with ties counting half.
    pub fn area(&self) -> f64 {
        area(&self.counts)
    }

    /// The interval that holds the middle 95% of the area in 1,000 draws of as many members and as many others, with replacement.
    pub fn interval(&self, seed: u64) -> Option<[f64; 2]> {
        let draw = |number: u32| {
            let mut stream = Stream::new(seed, Purpose::Bootstrap.stream(number));
            let mut counts = vec![[0; 2]; self.counts.len()];
            for (group, places) in self.places.iter().enumerate() {
                let count = places.len() as u32;
                for _ in 0..count {
                    let place = places[stream.below(count) as usize];
                    counts[place as usize][group] += 1;
                }
            }
            Some(area(&counts))
        };
        let areas: Vec<Option<f64>> = (0..DRAWS).into_par_iter().map(draw).collect();
        bootstrap_interval(areas.into_iter())
    }

    /// The share of samples that are judged correctly, members and others weighing the same, by the threshold that does best on them.
    pub fn accuracy(&self) -> f64 {
        let gains = self.points().into_iter();
        let gains = gains.map(|(false_positives, true_positives)| true_positives - false_positives);
        (1.0 + gains.fold(0.0, f64::max)) / 2.0
    }

    /// The largest share of members that a threshold finds which takes at most the share `most` of the others for members.
    pub fn true_positive_rate(&self, most: f64) -> f64 {
        // Shares such as 0.01 are not exact in binary.
        let within = self.points().into_iter();
        let within = within.take_while(|(false_positives, _)| *false_positives <= most + 1e-12);
        within.map(|(_, found)| found).fold(0.0, f64::max)
    }

    /// False and true positive rate of each threshold, from (0, 0) to (1, 1).
    pub fn points(&self) -> Vec<(f64, f64)> {
        let [members, others] = [0, 1].map(|group| self.places[group].len() as f64);
        let mut found = [0, 0];
        let after = self.counts.iter().map(|own| {
            found = [found[0] + own[0], found[1] + own[1]];
            (found[1] as f64 / others, found[0] as f64 / members)
        });
        [(0.0, 0.0)].into_iter().chain(after).collect()
    }
}

/// The area under the curve of these numbers of members and others by score, the highest score first.
fn area(counts: &[[u64; 2]]) -> f64 {
    let (mut above, mut all, mut sum) = (0.0, 0.0, 0.0);
    for &[members, others] in counts {
        let [members, others] = [members as f64, others as f64];
        sum += others * (above + members / 2.0);
        above += members;
        all += others;
    }
    sum / (above * all)
}
