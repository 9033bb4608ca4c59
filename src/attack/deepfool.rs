//! DeepFool: the classifier is taken to be linear around an image, and the image moved across the nearest boundary, until it is taken
//! for another class (Moosavi-Dezfooli et al. 2016).

use super::{Victims, predictions};
use crate::error::Result;
use crate::train::ImageClassifier;

/// How much further than the boundary the change goes, as in the paper.
const OVERSHOOT: f32 = 0.02;
/// Added to the distance, so that a point on a boundary crosses it, as in the authors' program.
const BEYOND: f32 = 1e-4;

/// The smallest changes that were found in at most `steps` steps; images whose change is larger than `epsilon` (l2) stay as they are.
///
/// # Errors
/// If the device failed.
pub(super) fn change(
    classifier: &mut ImageClassifier<'_>,
    victims: Victims<'_>,
    steps: usize,
    epsilon: f64,
) -> Result<Vec<f32>> {
    let (classes, pixels) = (classifier.classes(), classifier.pixels());
    let images = victims.labels.len();
    let mut total = vec![0.0f32; images * pixels];
    let mut current = victims.clean.to_vec();
    for _ in 0..steps {
        let mut slopes = Vec::with_capacity(classes);
        let mut logits = Vec::new();
        for class in 0..classes {
            let mut one = vec![0.0; images * classes];
            one.iter_mut()
                .skip(class)
                .step_by(classes)
                .for_each(|x| *x = 1.0);
            let (values, slope) = classifier.gradients(&current, &one)?;
            logits = values;
            slopes.push(slope);
        }
        let predicted = predictions(&logits, classes);
        let mut left = false;
        for (image, &label) in victims.labels.iter().enumerate() {
            if predicted[image] != label {
                continue;
            }
            left = true;
            let own = image * pixels..(image + 1) * pixels;
            let scores = &logits[image * classes..][..classes];
            let base = &slopes[label as usize][own.clone()];
            let across = |class: usize| -> (f32, f32) {
                let gap = (scores[class] - scores[label as usize]).abs() + BEYOND;
                let slope = &slopes[class][own.clone()];
                let square: f32 = slope.iter().zip(base).map(|(a, b)| (a - b) * (a - b)).sum();
                (gap, square.max(f32::MIN_POSITIVE))
            };
            let others = (0..classes).filter(|&class| class != label as usize);
            let nearest = others.min_by(|&a, &b| {
                let distance = |class| {
                    let (gap, square) = across(class);
                    gap / square.sqrt()
                };
                distance(a).total_cmp(&distance(b))
            });
            let Some(class) = nearest else { continue };
            let (gap, square) = across(class);
            let slope = &slopes[class][own.clone()];
            let change = total[own.clone()].iter_mut().zip(slope.iter().zip(base));
            for (sum, (a, b)) in change {
                *sum += gap / square * (a - b);
            }
            let moved = victims.clean[own.clone()].iter().zip(&total[own.clone()]);
            for (now, (x, d)) in current[own].iter_mut().zip(moved) {
                *now = (x + (1.0 + OVERSHOOT) * d).clamp(0.0, 1.0);
            }
        }
        if !left {
            break;
        }
    }
    for (now, clean) in current
        .chunks_exact_mut(pixels)
        .zip(victims.clean.chunks_exact(pixels))
    {
        let square: f64 = now
            .iter()
            .zip(clean)
            .map(|(a, b)| f64::from(a - b).powi(2))
            .sum();
        if square.sqrt() > epsilon {
            now.copy_from_slice(clean);
        }
    }
    Ok(current)
}
