//! A network as a folder for web browsers: its plan, its kernels in WGSL, its weights, and a page that runs it through WebGPU on a
//! picture.

mod page;
mod plan;

pub use page::{WebPage, write};
pub use plan::{WebNetwork, web_network};
