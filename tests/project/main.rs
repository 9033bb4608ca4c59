//! The project itself: its documents, names, layers, schemas and examples.

mod documents;
mod examples;
mod layers;
mod names;
mod schema;
