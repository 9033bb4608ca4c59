//! Models: the trait of all models, the declarative format of models made of layers, and the built-in models.

mod attributes;
mod block;
mod expand;
mod features;
mod forward;
mod init;
mod input;
mod layer;
pub mod layers;
mod model;
mod network;
mod parameter;
mod preprocess;
mod presets;
mod site;
mod sizes;
mod spec;
mod time;
pub mod weights;

pub use attributes::{Activation, NamedPadding, NamedUnits, PaddingSpec, Pair, Units};
pub use block::{Block, BlockSpec};
pub use features::{FeatureOrder, Taken};
pub use forward::{Forward, Mode, Training};
pub use init::{NamedInit, ScaledInit, WeightInit};
pub use input::{InputSpec, TokenInput};
pub use layer::{Layer, LayerKind, LayerType, Takes};
pub use model::{Model, ModelInput, ModelOutput};
pub use network::Network;
pub use parameter::{Init, Layout, Parameter, PositionTable};
pub use preprocess::Preprocess;
pub use presets::{PRESETS, Preset};
pub use site::Site;
pub use sizes::DataSizes;
pub use spec::ModelSpec;
pub use time::Padding;
