//! wgrad trains and runs neural networks on any GPU through compute shaders.

mod archive;
pub mod autodiff;
pub mod bench;
pub mod check;
mod checksum;
pub mod cpu;
pub mod data;
pub mod device;
mod error;
pub mod files;
pub mod generate;
pub mod gpu;
pub mod graph;
mod guard;
pub mod host_memory;
pub mod html;
mod nearest;
pub mod nn;
pub mod onnx;
pub mod ops;
pub mod optim;
pub mod passes;
pub mod plan;
pub mod random;
pub mod run;
mod schema;
pub mod settings;
pub mod shader;
pub mod tasks;
pub mod tensor;
mod tensor_file;
pub mod toml_text;
pub mod train;
pub mod tune;
pub mod web;

pub use error::{Error, Result};
