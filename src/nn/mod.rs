//! Models: the declarative format, its built-in examples, and building the graph of one.

mod attributes;
mod block;
mod build;
mod expand;
mod init;
mod input;
mod layer;
pub mod layers;
mod model;
mod parameter;
mod preprocess;
mod presets;
mod site;
mod time;
pub mod weights;

pub use attributes::{Activation, NamedPadding, NamedUnits, PaddingSpec, Pair, Units};
pub use block::{Block, BlockSpec};
pub use build::{Mode, Network, Training};
pub use init::{NamedInit, ScaledInit, WeightInit};
pub use input::{InputSpec, TokenInput};
pub use layer::{Layer, LayerKind, LayerType, Takes};
pub use model::ModelSpec;
pub use parameter::{Init, Layout, Parameter, Table};
pub use preprocess::Preprocess;
pub use presets::{PRESETS, Preset};
pub use site::Site;
pub use time::Padding;
