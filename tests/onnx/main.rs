//! Networks from ONNX files.

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod export;
mod keras;
mod training;
