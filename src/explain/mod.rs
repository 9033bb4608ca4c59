//! Explanations of what trained models see: which pixels, tokens or columns a prediction depends on ([explanations](../../docs/explain.md)).
//!
//! One file for each family of methods. Those of classifiers explain the logit of a class, the predicted one unless another is asked for;
//! those of images work on pixels from 0 to 1.

mod activations;
mod convolutions;
mod filters;
mod grad_cam;
mod gradients;
mod grid;
mod maximise;
mod neighbours;
mod occlusion;
mod page;
mod picture;
mod quadrature;
mod rollout;
mod sanity;
mod table;
#[cfg(test)]
mod tests;
mod text_page;
mod texts;

pub use activations::{ActivationMaps, DrawnActivations};
pub use filters::DrawnFilters;
pub use maximise::{MaximisedChannel, MaximisedLayer};
pub use neighbours::NearestImage;
pub use page::{ExplainedImage, NearestExample};
pub use picture::overlay;
pub use sanity::{MethodSanity, SANITY_LIMIT, SanityCheck, SanityImage};
pub use table::{
    ColumnImportance, ExplainedRow, ExplainedTable, Importances, PartialDependence,
    RowAttributions, TableExplainer, TableMethod, TableSample,
};
pub use text_page::ExplainedText;
pub use texts::{TextExplainer, TextExplanation, TextMethod, real as real_tokens};

use crate::error::Result;
use crate::train::ImageClassifier;
use serde::{Deserialize, Serialize};

/// How a prediction is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplainMethod {
    /// The magnitude of the gradient (Simonyan et al. 2014).
    Saliency,
    /// Its mean over noisy copies of the image (Smilkov et al. 2017).
    SmoothGrad,
    /// Gradients on the way from a black image, which add up to the difference of the logits (Sundararajan et al. 2017).
    IntegratedGradients,
    /// Where the last convolution, or another one, is active for the class (Selvaraju et al. 2017).
    GradCam,
    /// The same, multiplied by guided back-propagation (Springenberg et al. 2015).
    GuidedGradCam,
    /// How much the logit falls where a square is black (Zeiler and Fergus 2014).
    Occlusion,
}

impl ExplainMethod {
    /// All of them.
    pub const ALL: [ExplainMethod; 6] = [
        ExplainMethod::Saliency,
        ExplainMethod::SmoothGrad,
        ExplainMethod::IntegratedGradients,
        ExplainMethod::GradCam,
        ExplainMethod::GuidedGradCam,
        ExplainMethod::Occlusion,
    ];

    /// Its name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            ExplainMethod::Saliency => "saliency",
            ExplainMethod::SmoothGrad => "smooth_grad",
            ExplainMethod::IntegratedGradients => "integrated_gradients",
            ExplainMethod::GradCam => "grad_cam",
            ExplainMethod::GuidedGradCam => "guided_grad_cam",
            ExplainMethod::Occlusion => "occlusion",
        }
    }
}

/// What explanations depend on besides the image.
#[derive(Clone, Debug)]
pub struct ExplainSettings {
    /// The convolution of Grad-CAM, by the name of its layer; the last one if absent.
    pub layer: Option<String>,
    /// Steps of integrated gradients, and noisy copies of SmoothGrad.
    pub steps: usize,
    /// Standard deviation of the noise of SmoothGrad, as a share of the range of a pixel.
    pub noise: f64,
    /// Side of the squares of occlusion in pixels; a seventh of the image if absent.
    pub side: Option<usize>,
    /// Seed of the noise.
    pub seed: u64,
}

impl Default for ExplainSettings {
    fn default() -> Self {
        ExplainSettings {
            layer: None,
            steps: 50,
            noise: 0.15,
            side: None,
            seed: 1,
        }
    }
}

/// Which pixels a logit depends on.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// How it was made.
    pub method: ExplainMethod,
    /// Number of the class whose logit it explains.
    pub class: u32,
    /// Height, width and channels of the attributions; Grad-CAM has one channel, and the extents of its layer.
    pub shape: [usize; 3],
    /// The attributions, `[height, width, channels]`.
    pub values: Vec<f32>,
    /// How far the sum of the attributions is from the difference that it should be, as a share of that difference: for integrated
    /// gradients, whose attributions add up to the logit less that of a black image.
    pub completeness: Option<f64>,
}

/// Explains predictions of a classifier.
pub struct Explainer<'e> {
    classifier: ImageClassifier<'e>,
    settings: ExplainSettings,
    cam: Option<grad_cam::GradCam>,
    guided: Option<grad_cam::Guided>,
}

impl<'e> Explainer<'e> {
    /// Of the predictions of `classifier`.
    pub fn new(classifier: ImageClassifier<'e>, settings: ExplainSettings) -> Explainer<'e> {
        Explainer {
            classifier,
            settings,
            cam: None,
            guided: None,
        }
    }

    /// Extents of an image: `[height, width, channels]`.
    pub fn shape(&self) -> [usize; 3] {
        self.classifier.shape()
    }

    /// The logits of an image of pixels from 0 to 1, one for each class.
    ///
    /// # Errors
    /// If the device failed.
    pub fn logits(&mut self, image: &[f32]) -> Result<Vec<f32>> {
        self.classifier.logits(image)
    }

    /// Explains the logit of `class` for an image of pixels from 0 to 1. `index` is the number of the image, from which the noise of
    /// SmoothGrad follows.
    ///
    /// # Errors
    /// If there is no such layer, or the device failed.
    pub fn explain(
        &mut self,
        method: ExplainMethod,
        image: &[f32],
        class: u32,
        index: usize,
    ) -> Result<Explanation> {
        let (own, settings) = (&mut self.classifier, &self.settings);
        let whole = |own: &ImageClassifier<'_>, values| Explanation {
            method,
            class,
            shape: own.shape(),
            values,
            completeness: None,
        };
        Ok(match method {
            ExplainMethod::Saliency => {
                let values = gradients::saliency(own, image, class)?;
                whole(own, values)
            }
            ExplainMethod::SmoothGrad => {
                let values = gradients::smooth_grad(own, settings, image, class, index)?;
                whole(own, values)
            }
            ExplainMethod::IntegratedGradients => {
                let found = gradients::integrated(own, settings, image, class)?;
                Explanation {
                    completeness: Some(found.1),
                    ..whole(own, found.0)
                }
            }
            ExplainMethod::Occlusion => {
                let values = occlusion::occlusion(own, settings, image, class)?;
                whole(own, values)
            }
            ExplainMethod::GradCam => {
                let (shape, values) = self.cam(image, class)?;
                Explanation {
                    method,
                    class,
                    shape,
                    values,
                    completeness: None,
                }
            }
            ExplainMethod::GuidedGradCam => {
                let (shape, map) = self.cam(image, class)?;
                let guided = match &self.guided {
                    Some(known) => known,
                    None => self
                        .guided
                        .insert(grad_cam::Guided::new(&mut self.classifier)?),
                };
                let slopes = guided.gradient(&mut self.classifier, image, class)?;
                let own = self.classifier.shape();
                let map = picture::nearest([shape[0], shape[1]], &map, [own[0], own[1]]);
                let each = slopes.chunks_exact(own[2]).zip(map);
                let values =
                    each.flat_map(|(pixel, cam)| pixel.iter().map(move |x| x * cam.max(0.0)));
                whole(&self.classifier, values.collect())
            }
        })
    }

    fn cam(&mut self, image: &[f32], class: u32) -> Result<([usize; 3], Vec<f32>)> {
        let cam = match &self.cam {
            Some(known) => known,
            None => {
                let layer = self.settings.layer.as_deref();
                self.cam
                    .insert(grad_cam::GradCam::new(&mut self.classifier, layer)?)
            }
        };
        cam.map(&mut self.classifier, image, class)
    }
}
