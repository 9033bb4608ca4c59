//! Grad-CAM: the channels of a convolution, weighted by the mean of the gradient of the logit with respect to each (Selvaraju et al.,
//! "Grad-CAM", 2017), and guided back-propagation, by which only what raises the logit goes back through rectifiers (Springenberg et
//! al., "Striving for Simplicity", 2015).

use super::convolutions::{convolutions, named};
use super::gradients::one_hot;
use crate::autodiff::{vjp, vjp_with};
use crate::device::ProgramId;
use crate::error::{Error, Result};
use crate::train::ImageClassifier;

const PIXELS: &str = "pixels";
const UPSTREAM: &str = "upstream";
const ACTIVE: &str = "active";
const GRADIENT: &str = "gradient";
const RECTIFIER: &str = "relu";

/// Grad-CAM of one layer.
pub(super) struct GradCam {
    program: ProgramId,
    /// Height, width and channels of the layer.
    shape: [usize; 3],
}

impl GradCam {
    /// Prepares that of the convolution `layer`, or of the last one.
    ///
    /// # Errors
    /// If there is no such convolution, or device memory is too small.
    pub fn new(classifier: &mut ImageClassifier<'_>, layer: Option<&str>) -> Result<GradCam> {
        let mut shape = [0; 3];
        let program = classifier.prepare(&[ACTIVE, GRADIENT], |graph| {
            let builder = graph.builder();
            let pixels = builder.input(PIXELS, graph.ty());
            let logits = graph.logits(pixels)?;
            let layers = builder.with_graph(convolutions);
            let found = match (layer, layers.last()) {
                (Some(name), _) => named(&layers, "--layer", name)?,
                (None, Some(last)) => last,
                (None, None) => {
                    let message = "the model has no convolution, which Grad-CAM looks into; choose other methods with --method";
                    return Err(Error::Config(message.to_string()));
                }
            };
            let active = builder.var(found.active);
            let upstream = builder.input(UPSTREAM, logits.ty());
            builder.output(ACTIVE, active);
            builder.output(GRADIENT, vjp(logits, upstream, &[active])?[0]);
            if let [_, height, width, channels] = *active.shape().dims() {
                shape = [height, width, channels];
            }
            Ok(())
        })?;
        Ok(GradCam { program, shape })
    }

    /// The map of an image, `[height, width, 1]` of the layer. Below zero, the layer speaks against the class.
    ///
    /// # Errors
    /// If the device failed.
    pub fn map(
        &self,
        classifier: &mut ImageClassifier<'_>,
        image: &[f32],
        class: u32,
    ) -> Result<([usize; 3], Vec<f32>)> {
        feed(classifier, self.program, image, class)?;
        let [height, width, channels] = self.shape;
        let count = height * width * channels;
        let active = classifier.output(self.program, ACTIVE, count)?;
        let slopes = classifier.output(self.program, GRADIENT, count)?;
        let mut weights = vec![0.0f64; channels];
        for place in slopes.chunks_exact(channels) {
            for (weight, slope) in weights.iter_mut().zip(place) {
                *weight += f64::from(*slope) / (height * width) as f64;
            }
        }
        let value = |place: &[f32]| -> f32 {
            let each = place.iter().zip(&weights);
            each.map(|(x, weight)| f64::from(*x) * weight).sum::<f64>() as f32
        };
        let map = active.chunks_exact(channels).map(value).collect();
        Ok(([height, width, 1], map))
    }
}

/// Guided back-propagation to the pixels.
pub(super) struct Guided {
    program: ProgramId,
}

impl Guided {
    /// Prepares it.
    ///
    /// # Errors
    /// If device memory is too small.
    pub fn new(classifier: &mut ImageClassifier<'_>) -> Result<Guided> {
        let program = classifier.prepare(&[GRADIENT], |graph| {
            let builder = graph.builder();
            let pixels = builder.input(PIXELS, graph.ty());
            let logits = graph.logits(pixels)?;
            let upstream = builder.input(UPSTREAM, logits.ty());
            let guided = vjp_with(logits, upstream, &[pixels], |op, grad| match op {
                RECTIFIER => grad.relu(),
                _ => Ok(grad),
            })?;
            builder.output(GRADIENT, guided[0]);
            Ok(())
        })?;
        Ok(Guided { program })
    }

    /// What comes back to the pixels of an image.
    ///
    /// # Errors
    /// If the device failed.
    pub fn gradient(
        &self,
        classifier: &mut ImageClassifier<'_>,
        image: &[f32],
        class: u32,
    ) -> Result<Vec<f32>> {
        feed(classifier, self.program, image, class)?;
        classifier.output(self.program, GRADIENT, classifier.pixels())
    }
}

fn feed(
    classifier: &mut ImageClassifier<'_>,
    program: ProgramId,
    image: &[f32],
    class: u32,
) -> Result<()> {
    let (shape, classes) = (classifier.shape(), classifier.classes());
    classifier.feed(program, PIXELS, image, &shape)?;
    classifier.feed(program, UPSTREAM, &one_hot(1, classes, class), &[classes])?;
    classifier.run(program, 1, &[])
}
