//! Models: the declarative layer format, its built-in examples, and building the graph of one.

mod build;
mod input;
mod layer;
mod parameter;

pub use build::{Mode, Network};
pub use layer::{Activation, Layer, LayerKind, ModelSpec, PRESETS, PaddingSpec, Pair};
pub use parameter::{Init, Layout, Parameter};
