//! ONNX files as models: networks from other frameworks, which run and train on any device.

mod array;
mod call;
mod element;
mod file;
mod messages;
mod model;
mod operators;
mod session;
mod value;
mod walk;

pub use array::{Array, Numbers};
pub use element::Element;
pub use file::{Declared, Extent, OnnxFile};
pub use session::{Computed, run};

/// Names of all operators that can be read.
pub fn operator_names() -> impl Iterator<Item = &'static str> {
    operators::all()
        .map(|operator| operator.name)
        .chain(["If"])
}
