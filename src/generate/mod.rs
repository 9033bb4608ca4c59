//! Generation with a trained run: text with a language model, images from noise.

mod drawing;
mod frechet;
mod sampling;
mod text;

pub use drawing::{DrawSettings, Drawing};
pub use frechet::{FeatureMoments, ImageFeatures};
pub use sampling::Sampling;
pub use text::Generator;
