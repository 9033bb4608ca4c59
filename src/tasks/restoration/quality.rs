//! Measures of how near an image is to another one, with pixels from 0 to 1, as nodes of a graph.

use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::ops::conv2d::Conv2d;
use crate::tensor::TensorType;

/// Pixels down and across the window of [`ssim`].
pub(super) const WINDOW: usize = 11;
/// Standard deviation of its Gaussian weights, in pixels.
const SIGMA: f64 = 1.5;
/// Its constants for pixels from 0 to 1: `(0.01)²` and `(0.03)²`.
const CONSTANTS: [f64; 2] = [1e-4, 9e-4];
/// Mean squared errors below this count as this, so that the ratio of equal images is finite: 100 dB.
const LEAST_ERROR: f64 = 1e-10;

/// The variable with the weights of one row of the window, `[WINDOW]`.
pub(super) const WEIGHTS: &str = "restoration:window";

/// The weights of one row of the window, whose sum is 1.
pub(super) fn weights() -> Tensor<f32> {
    let middle = (WINDOW / 2) as f64;
    let raw: Vec<f64> = (0..WINDOW)
        .map(|at| (-0.5 * ((at as f64 - middle) / SIGMA).powi(2)).exp())
        .collect();
    let sum: f64 = raw.iter().sum();
    let values = raw.iter().map(|weight| (weight / sum) as f32);
    Tensor::real([WINDOW], values.collect())
}

/// The peak signal-to-noise ratio of each image, in decibels: `[batch]`, from mean squared errors `[batch]`.
pub(super) fn psnr(errors: Var<'_>) -> Result<Var<'_>> {
    let least = errors.builder().constant(LEAST_ERROR);
    errors
        .maximum(least)?
        .log()?
        .scale(-10.0 / std::f64::consts::LN_10)
}

/// The structural similarity of each image `a` to `b`, both `[batch, height, width, channels]` with pixels from 0 to 1: `[batch]`
/// (Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004). The mean over all places of a
/// Gaussian window of 11 x 11 pixels inside the image, and over the channels; as `structural_similarity` of scikit-image with
/// `gaussian_weights=True, use_sample_covariance=False, sigma=1.5`.
///
/// # Errors
/// If the images are smaller than the window, or a node can't be built.
pub(super) fn ssim<'g>(builder: &'g Builder, a: Var<'g>, b: Var<'g>) -> Result<Var<'g>> {
    let shape = a.shape();
    let &[batch, height, width, channels] = shape.dims() else {
        return Err(Error::Graph(format!("images have four axes, not {shape}")));
    };
    let weights = builder.variable(WEIGHTS, TensorType::f32([WINDOW]))?;
    let (down, across) = (
        weights.reshape([1, WINDOW, 1, 1])?,
        weights.reshape([1, 1, WINDOW, 1])?,
    );
    // Each channel is an image by itself.
    let planes = |x: Var<'g>| {
        x.permute(&[0, 3, 1, 2])?
            .reshape([batch * channels, height, width, 1])
    };
    let mean = |x: Var<'g>| {
        x.conv2d(down, Conv2d::default())?
            .conv2d(across, Conv2d::default())
    };
    let (a, b) = (planes(a)?, planes(b)?);
    let (mean_a, mean_b) = (mean(a)?, mean(b)?);
    let [luminance, contrast] = CONSTANTS.map(|constant| builder.constant(constant));
    let product = mean_a.mul(mean_b)?;
    let squares = mean_a.mul(mean_a)?.add(mean_b.mul(mean_b)?)?;
    let covariance = mean(a.mul(b)?)?.sub(product)?;
    let variances = mean(a.mul(a)?.add(b.mul(b)?)?)?.sub(squares)?;
    let above = product
        .scale(2.0)?
        .add(luminance)?
        .mul(covariance.scale(2.0)?.add(contrast)?)?;
    let below = squares.add(luminance)?.mul(variances.add(contrast)?)?;
    let each = above.div(below)?.mean(&[1, 2, 3])?;
    each.reshape([batch, channels])?.mean(&[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::interpret;
    use std::collections::HashMap;
    use std::sync::Arc;

    /// An image of multiples of `factor` modulo 97.
    fn image(elements: usize, factor: usize) -> Vec<f32> {
        (0..elements)
            .map(|i| (i * factor % 97) as f32 / 96.0)
            .collect()
    }

    /// Similarity and ratio of two images of 13 by 14 pixels in a batch of two, of which the second is compared with itself.
    fn measured(channels: usize) -> [Vec<f32>; 2] {
        let builder = Builder::new();
        let shape = [2, 13, 14, channels];
        let [a, b] = ["a", "b"].map(|name| builder.input(name, TensorType::f32(shape)));
        builder.output("ssim", ssim(&builder, a, b).unwrap());
        let apart = a.sub(b).unwrap();
        let errors = apart.mul(apart).unwrap().mean(&[1, 2, 3]).unwrap();
        builder.output("psnr", psnr(errors).unwrap());
        let graph = builder.finish().unwrap();
        let elements = 13 * 14 * channels;
        let first = image(elements, 31);
        let pairs = first.iter().zip(image(elements, 17));
        let second: Vec<f32> = pairs.map(|(a, b)| 0.7 * a + 0.3 * b).collect();
        let batch = |x: &[f32]| Arc::new(Tensor::real(shape, [x, &first].concat()));
        let inputs = HashMap::from([
            ("a".to_string(), batch(&first)),
            ("b".to_string(), batch(&second)),
        ]);
        let mut variables = HashMap::from([(WEIGHTS.to_string(), Arc::new(weights()))]);
        let outputs = interpret(&graph, &mut variables, &inputs).unwrap();
        [0, 1].map(|at: usize| outputs[at].reals().to_vec())
    }

    #[test]
    fn the_measures_are_those_of_scikit_image() {
        // structural_similarity and peak_signal_noise_ratio of scikit-image 0.26 in double precision.
        for (channels, similarity, ratio) in [
            (1, 0.881_191_2f32, 18.229_125f32),
            (2, 0.867_131_2, 18.216_534),
        ] {
            let [ssim, psnr] = measured(channels);
            assert!((ssim[0] - similarity).abs() < 2e-5, "{}", ssim[0]);
            assert!((psnr[0] - ratio).abs() < 1e-3, "{}", psnr[0]);
            assert!((ssim[1] - 1.0).abs() < 1e-5 && (psnr[1] - 100.0).abs() < 1e-3);
        }
    }
}
