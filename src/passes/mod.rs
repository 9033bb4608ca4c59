//! Rewrites of a graph. [`combine`] comes before autodiff, as nodes are added, and the reference runs what it makes; the
//! others come between autodiff and the plan, and the reference runs the graph as it was before them.

mod combine;
mod cse;
mod dce;
mod fold;
mod fuse;
mod rewrite;

pub use combine::combine;
pub use fuse::{FusedGroup, InPlace, fuse};

use crate::error::Result;
use crate::graph::Graph;

/// Folds constants, merges equal nodes and drops dead ones.
///
/// # Errors
/// If a pass leaves an invalid graph: a defect.
pub fn simplify(graph: &Graph) -> Result<Graph> {
    let graph = dce::run(&cse::run(&fold::run(graph)));
    graph.verify()?;
    Ok(graph)
}
