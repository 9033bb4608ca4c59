//! Generation with a trained run: text with a language model, images with a GAN.

mod drawing;
mod sampling;
mod text;

pub use drawing::Drawing;
pub use sampling::Sampling;
pub use text::Generator;
