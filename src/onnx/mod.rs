//! ONNX files as models: networks from other frameworks, which run and train on any device.

mod array;
mod call;
mod element;
mod export;
mod file;
mod keras;
mod messages;
mod network;
mod operators;
mod roles;
mod session;
mod summary;
mod value;
mod walk;

pub use array::{Array, Numbers};
pub use element::Element;
pub use export::{ExportOptions, WRITTEN_OPSETS, WeightStorage, export};
pub use file::{Declared, DeclaredExtent, OnnxFile};
pub use keras::export_keras;
pub use network::{BuiltNetwork, OnnxNetwork, channels_last};
pub use session::{Computed, run};
pub use summary::{DeclaredValue, NamedShape, OnnxSummary};

/// Names of all operators that can be read.
pub fn operator_names() -> impl Iterator<Item = &'static str> {
    operators::all().map(|operator| operator.name).chain(["If"])
}
