//! wgrad trains and runs neural networks on any GPU through compute shaders.

pub mod autodiff;
pub mod check;
pub mod cpu;
pub mod data;
mod error;
pub mod gpu;
pub mod graph;
pub mod ops;
pub mod optim;
pub mod passes;
pub mod plan;
pub mod random;
pub mod shader;
pub mod tensor;

pub use error::{Error, Result};
