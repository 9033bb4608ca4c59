//! Rewrites of a graph. [`combine`] applies before autodiff, when nodes are added, and the reference runs its result.
//! The other passes apply between autodiff and the plan; the reference runs the graph without them.

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

/// Folds constants, merges equal nodes and removes dead ones.
///
/// # Errors
/// If a pass leaves an invalid graph: a defect.
pub fn simplify(graph: &Graph) -> Result<Graph> {
    let graph = dce::run(&cse::run(&fold::run(graph)));
    graph.verify()?;
    Ok(graph)
}
