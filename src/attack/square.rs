//! The square attack: random squares of the largest change, kept if they bring the classifier nearer to an error. It asks for
//! predictions alone, and so also finds what a defence hides from gradients (Andriushchenko et al. 2020, for `linf`).

use super::{Attack, Victims};
use crate::error::Result;
use crate::random::{Purpose, Stream};
use crate::train::ImageClassifier;

/// Share of the pixels that the first squares cover, as in the paper.
const FIRST_SHARE: f64 = 0.8;
/// After these shares of the queries, in ten-thousandths, the share of the pixels is halved.
const HALVED_AFTER: [usize; 9] = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];
/// Times that colours are drawn anew where a square would change nothing.
const MOST_DRAWS: usize = 100;

/// Images changed by at most `epsilon`.
///
/// # Errors
/// If the device failed.
pub(super) fn change(
    classifier: &mut ImageClassifier<'_>,
    attack: &Attack,
    victims: Victims<'_>,
    epsilon: f64,
) -> Result<Vec<f32>> {
    let ([height, width, channels], classes) = (classifier.shape(), classifier.classes());
    let (pixels, epsilon) = (classifier.pixels(), epsilon as f32);
    let streams = victims.indices.iter();
    let mut streams: Vec<Stream> = streams
        .map(|&index| Stream::new(attack.seed, Purpose::Attack.stream(index as u32)))
        .collect();
    let sign = |stream: &mut Stream| {
        if stream.unit() < 0.5 {
            -epsilon
        } else {
            epsilon
        }
    };
    // Vertical stripes.
    let mut best = victims.clean.to_vec();
    for (image, stream) in best.chunks_exact_mut(pixels).zip(&mut streams) {
        let stripes: Vec<f32> = (0..width * channels).map(|_| sign(stream)).collect();
        for (x, d) in image.iter_mut().zip(stripes.iter().cycle()) {
            *x = (*x + d).clamp(0.0, 1.0);
        }
    }
    let mut margins = margins(&classifier.logits(&best)?, victims.labels, classes);
    for query in 1..attack.steps {
        if margins.iter().all(|&margin| margin < 0.0) {
            break;
        }
        let side = side(query, attack.steps, height.min(width), height * width);
        let mut tried = best.clone();
        let each = tried
            .chunks_exact_mut(pixels)
            .zip(victims.clean.chunks_exact(pixels));
        for (((image, clean), stream), margin) in each.zip(&mut streams).zip(&margins) {
            if *margin < 0.0 {
                continue;
            }
            let top = stream.below((height - side + 1) as u32) as usize;
            let left = stream.below((width - side + 1) as u32) as usize;
            for _ in 0..MOST_DRAWS {
                let colour: Vec<f32> = (0..channels).map(|_| sign(stream)).collect();
                let mut differs = false;
                for row in top..top + side {
                    let first = (row * width + left) * channels;
                    let own = first..first + side * channels;
                    let square = image[own.clone()].iter_mut().zip(&clean[own]);
                    for ((x, clean), d) in square.zip(colour.iter().cycle()) {
                        let new = (clean + d).clamp(0.0, 1.0);
                        differs |= (new - *x).abs() > 1e-7;
                        *x = new;
                    }
                }
                if differs {
                    break;
                }
            }
        }
        let found = self::margins(&classifier.logits(&tried)?, victims.labels, classes);
        for (image, (new, old)) in found.into_iter().zip(&mut margins).enumerate() {
            if new < *old {
                *old = new;
                let own = image * pixels..(image + 1) * pixels;
                best[own.clone()].copy_from_slice(&tried[own]);
            }
        }
    }
    Ok(best)
}

/// The side of the squares of a query.
fn side(query: usize, queries: usize, most: usize, area: usize) -> usize {
    let place = query * 10_000 / queries;
    let halved = HALVED_AFTER.iter().filter(|&&after| place > after).count();
    let share = FIRST_SHARE / f64::from(1u32 << halved);
    let side = (share * area as f64).sqrt().round() as usize;
    side.clamp(1, most.saturating_sub(1).max(1))
}

/// How far the logit of its class is above the largest other one, for each image: below 0 if it is taken for another class.
fn margins(logits: &[f32], labels: &[u32], classes: usize) -> Vec<f32> {
    let margin = |(row, &label): (&[f32], &u32)| {
        let label = label as usize;
        let others = row.iter().enumerate().filter(|&(class, _)| class != label);
        let largest = others
            .map(|(_, &logit)| logit)
            .fold(f32::NEG_INFINITY, f32::max);
        row[label] - largest
    };
    logits
        .chunks_exact(classes)
        .zip(labels)
        .map(margin)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_shrink() {
        let sides: Vec<usize> = [1, 20, 100, 999]
            .map(|query| side(query, 1000, 28, 784))
            .to_vec();
        assert_eq!(sides, [25, 13, 6, 1]);
        assert_eq!(side(1, 10, 1, 1), 1);
    }

    #[test]
    fn margins_are_negative_where_another_class_is_ahead() {
        assert_eq!(margins(&[3.0, 1.0, 0.0, 2.0], &[0, 0], 2), [2.0, -2.0]);
    }
}
