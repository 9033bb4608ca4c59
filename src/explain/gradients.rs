//! Explanations by gradients with respect to pixels: saliency, SmoothGrad, integrated gradients.

use super::ExplainSettings;
use super::quadrature::gauss_legendre;
use crate::error::Result;
use crate::random::{Purpose, Stream};
use crate::train::ImageClassifier;

/// Magnitudes of the gradient.
pub(super) fn saliency(
    classifier: &mut ImageClassifier<'_>,
    image: &[f32],
    class: u32,
) -> Result<Vec<f32>> {
    let (_, slopes) = of_class(classifier, image, class)?;
    Ok(slopes.into_iter().map(f32::abs).collect())
}

/// The mean of the gradient over noisy copies.
pub(super) fn smooth_grad(
    classifier: &mut ImageClassifier<'_>,
    settings: &ExplainSettings,
    image: &[f32],
    class: u32,
    index: usize,
) -> Result<Vec<f32>> {
    let mut stream = Stream::new(settings.seed, Purpose::Explanation.stream(index as u32));
    let mut sum = vec![0.0f64; image.len()];
    let copies: Vec<usize> = (0..settings.steps).collect();
    for some in copies.chunks(classifier.batch()) {
        let deviation = settings.noise as f32;
        let noisy: Vec<f32> = some
            .iter()
            .flat_map(|_| image)
            .map(|x| x + deviation * stream.normal())
            .collect();
        let (_, slopes) = of_class(classifier, &noisy, class)?;
        add(&mut sum, &slopes, |_| 1.0 / settings.steps as f64);
    }
    Ok(sum.into_iter().map(|x| x as f32).collect())
}

/// Integrated gradients from a black image, by Gauss-Legendre quadrature, and how far their sum is from the difference of the logits, as
/// a share of it.
pub(super) fn integrated(
    classifier: &mut ImageClassifier<'_>,
    settings: &ExplainSettings,
    image: &[f32],
    class: u32,
) -> Result<(Vec<f32>, f64)> {
    let nodes = gauss_legendre(settings.steps);
    let mut sum = vec![0.0f64; image.len()];
    for some in nodes.chunks(classifier.batch()) {
        let points = some
            .iter()
            .flat_map(|(at, _)| image.iter().map(move |x| *at as f32 * x));
        let points: Vec<f32> = points.collect();
        let (_, slopes) = of_class(classifier, &points, class)?;
        add(&mut sum, &slopes, |place| some[place].1);
    }
    let values: Vec<f64> = sum
        .iter()
        .zip(image)
        .map(|(slope, x)| slope * f64::from(*x))
        .collect();
    let logit = |logits: Vec<f32>| f64::from(logits[class as usize]);
    let difference =
        logit(classifier.logits(image)?) - logit(classifier.logits(&vec![0.0; image.len()])?);
    let missed = (values.iter().sum::<f64>() - difference).abs();
    let share = missed / difference.abs().max(f64::MIN_POSITIVE);
    Ok((values.into_iter().map(|x| x as f32).collect(), share))
}

/// The logits of copies of an image, and the gradients of that of `class`.
pub(super) fn of_class(
    classifier: &mut ImageClassifier<'_>,
    images: &[f32],
    class: u32,
) -> Result<(Vec<f32>, Vec<f32>)> {
    let upstream = one_hot(
        images.len() / classifier.pixels(),
        classifier.classes(),
        class,
    );
    classifier.gradients(images, &upstream)
}

/// Rows with 1 in the place of `class`.
pub(super) fn one_hot(rows: usize, classes: usize, class: u32) -> Vec<f32> {
    let mut values = vec![0.0; rows * classes];
    let own = values.iter_mut().skip(class as usize).step_by(classes);
    own.for_each(|x| *x = 1.0);
    values
}

/// Adds the images in `values`, each multiplied by a weight, to `sum`.
fn add(sum: &mut [f64], values: &[f32], weight: impl Fn(usize) -> f64) {
    for (place, image) in values.chunks_exact(sum.len()).enumerate() {
        let weight = weight(place);
        for (sum, x) in sum.iter_mut().zip(image) {
            *sum += weight * f64::from(*x);
        }
    }
}
