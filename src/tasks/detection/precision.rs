//! Average precision of boxes as COCO defines it and pycocotools computes it: matched at IoUs from 0.5 to 0.95, with 101 points of
//! recall, at most 100 boxes of an image, all areas.

use super::boxes::{FoundBox, area, intersection};
use std::cmp::Ordering;

/// The IoUs at which boxes are matched: 0.5, 0.55, ... 0.95.
pub(super) const THRESHOLDS: usize = 10;
/// Points of recall at which precision is averaged: 0, 0.01, ... 1.
const RECALLS: usize = 101;

/// A box that is in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TrueBox {
    /// `[x0, y0, x1, y1]`.
    pub corners: [f64; 4],
    /// Index of its class.
    pub class: usize,
    /// Whether it is a crowd or difficult: what matches it counts neither as right nor as wrong.
    pub is_crowd: bool,
}

/// A found box after matching: whether it is right at each threshold; `None` where it doesn't count.
type Judged = (f32, [Option<bool>; THRESHOLDS]);

/// Average precisions of classes.
#[derive(Clone, Debug)]
pub(super) struct Precisions {
    /// The judged boxes of each class, image after image.
    judged: Vec<Vec<Judged>>,
    /// The number of boxes of each class to find.
    wanted: Vec<usize>,
}

impl Precisions {
    /// For this many classes, without images.
    pub fn new(classes: usize) -> Precisions {
        Precisions {
            judged: vec![Vec::new(); classes],
            wanted: vec![0; classes],
        }
    }

    /// Adds an image with its boxes and the `found` ones.
    pub fn add(&mut self, boxes: &[TrueBox], found: &[FoundBox]) {
        for class in 0..self.wanted.len() {
            let mut own: Vec<TrueBox> =
                boxes.iter().copied().filter(|b| b.class == class).collect();
            // Crowds last.
            own.sort_by_key(|b| b.is_crowd);
            let mut mine: Vec<FoundBox> =
                found.iter().copied().filter(|b| b.class == class).collect();
            mine.sort_by(|a, b| b.score.total_cmp(&a.score));
            self.wanted[class] += own.iter().filter(|b| !b.is_crowd).count();
            let mut judged: Vec<Judged> = mine
                .iter()
                .map(|found| (found.score, [None; THRESHOLDS]))
                .collect();
            for at in 0..THRESHOLDS {
                let matched = matches(&own, &mine, 0.5 + 0.05 * at as f64);
                for ((_, right), is_right) in judged.iter_mut().zip(matched) {
                    right[at] = is_right;
                }
            }
            self.judged[class].extend(judged);
        }
    }

    /// The average precision of each class at each threshold; `None` for classes of which no image has a box.
    pub fn averages(&self) -> Vec<Option<[f64; THRESHOLDS]>> {
        let classes = self.judged.iter().zip(&self.wanted);
        let of_class = |(judged, &wanted): (&Vec<Judged>, &usize)| {
            let mut sorted: Vec<&Judged> = judged.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
            let average =
                |at: usize| average(sorted.iter().filter_map(|(_, right)| right[at]), wanted);
            (wanted > 0).then(|| std::array::from_fn(average))
        };
        classes.map(of_class).collect()
    }
}

/// Which of the `found` boxes of an image and class, the most certain first, match a box at this `threshold`. `None`: one that
/// doesn't count.
fn matches(boxes: &[TrueBox], found: &[FoundBox], threshold: f64) -> Vec<Option<bool>> {
    let mut taken = vec![false; boxes.len()];
    let judge = |own: &FoundBox| {
        let mut best = threshold.min(1.0 - 1e-10);
        let mut matched: Option<usize> = None;
        for (at, other) in boxes.iter().enumerate() {
            if taken[at] && !other.is_crowd {
                continue;
            }
            // A match with a box that counts is not given up for a crowd.
            if matched.is_some_and(|m| !boxes[m].is_crowd) && other.is_crowd {
                break;
            }
            let shared = overlap(own, other);
            if shared < best {
                continue;
            }
            best = shared;
            matched = Some(at);
        }
        match matched {
            None => Some(false),
            Some(at) => {
                taken[at] = true;
                (!boxes[at].is_crowd).then_some(true)
            }
        }
    };
    found.iter().map(judge).collect()
}

/// The IoU of a found box with a true one; with a crowd, the share of the found box that lies in it.
fn overlap(found: &FoundBox, other: &TrueBox) -> f64 {
    let shared = intersection(found.corners, other.corners);
    let whole = match other.is_crowd {
        true => area(found.corners),
        false => area(found.corners) + area(other.corners) - shared,
    };
    if whole > 0.0 { shared / whole } else { 0.0 }
}

/// The mean over 101 recalls of the largest precision at that recall or a higher one; `wanted` boxes are to be found.
fn average(right: impl Iterator<Item = bool>, wanted: usize) -> f64 {
    let (mut hits, mut recalls, mut precisions) = (0, Vec::new(), Vec::new());
    for (seen, right) in right.enumerate() {
        hits += usize::from(right);
        recalls.push(hits as f64 / wanted as f64);
        precisions.push(hits as f64 / (seen + 1) as f64);
    }
    for at in (1..precisions.len()).rev() {
        precisions[at - 1] = f64::max(precisions[at - 1], precisions[at]);
    }
    let at = |point: usize| {
        let recall = point as f64 / (RECALLS - 1) as f64;
        let first = recalls.partition_point(|&own| own < recall);
        precisions.get(first).copied().unwrap_or(0.0)
    };
    (0..RECALLS).map(at).sum::<f64>() / RECALLS as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::case::noise;

    /// Random images with boxes and what a poor detector finds; `benches/accuracy/coco_figures.py` makes the same ones and has
    /// pycocotools judge them.
    fn images() -> Vec<(Vec<TrueBox>, Vec<FoundBox>)> {
        let mut numbers = noise(17).map(f64::from);
        let mut next = move || numbers.next().unwrap_or(0.0);
        let image = |_| {
            let mut boxes = Vec::new();
            let mut found = Vec::new();
            for _ in 0..(1.0 + 7.0 * next()) as usize {
                let (x, y, w, h) = (
                    80.0 * next(),
                    80.0 * next(),
                    12.0 + 40.0 * next(),
                    12.0 + 40.0 * next(),
                );
                let class = (3.0 * next()) as usize;
                boxes.push(TrueBox {
                    corners: [x, y, x + w, y + h],
                    class,
                    is_crowd: next() < 0.15,
                });
                // Found twice at most, more or less precisely.
                for _ in 0..(2.5 * next()) as usize {
                    let [a, b, c, d] = [next(), next(), next(), next()].map(|s| 9.0 * s * s - 3.0);
                    let own = if next() < 0.9 { class } else { 2 - class };
                    found.push(FoundBox {
                        corners: [x + a, y + b, x + w + c, y + h + d],
                        class: own,
                        score: (next() as f32 * 100.0).round() / 100.0,
                    });
                }
            }
            (boxes, found)
        };
        (0..40).map(image).collect()
    }

    /// pycocotools 2.0 on the same boxes.
    #[test]
    fn averages_are_those_of_pycocotools() {
        let mut all = Precisions::new(3);
        for (boxes, found) in images() {
            all.add(&boxes, &found);
        }
        let averages = all.averages();
        for (class, (at_50, mean)) in EXPECTED.into_iter().enumerate() {
            let own = averages[class].unwrap();
            assert!((own[0] - at_50).abs() < 1e-6, "{} is not {at_50}", own[0]);
            let own = own.iter().sum::<f64>() / own.len() as f64;
            assert!((own - mean).abs() < 1e-6, "{own} is not {mean}");
        }
    }

    #[test]
    fn a_box_that_is_found_twice_is_right_once_and_classes_without_boxes_have_no_average() {
        let corners = [0.0, 0.0, 10.0, 10.0];
        let found = |score| FoundBox {
            corners,
            class: 0,
            score,
        };
        let one = TrueBox {
            corners,
            class: 0,
            is_crowd: false,
        };
        let mut all = Precisions::new(2);
        all.add(&[one], &[found(0.9), found(0.8)]);
        assert_eq!(all.averages(), [Some([1.0; THRESHOLDS]), None]);
        let mut all = Precisions::new(1);
        all.add(&[], &[found(0.95)]);
        all.add(&[one], &[found(0.9)]);
        let half = all.averages()[0].unwrap()[0];
        assert!((half - 0.5).abs() < 1e-12, "{half}");
    }

    /// Of each class, at an IoU of 0.5 and the mean.
    const EXPECTED: [(f64, f64); 3] = [
        (0.447323823, 0.184883068),
        (0.559188677, 0.257363966),
        (0.605551012, 0.28298349),
    ];
}
