//! Rewrites of a graph between autodiff and the plan. The reference runs the graph as it was before them.

mod cse;
mod dce;
mod fold;
mod fuse;
mod rewrite;

pub use fuse::{Group, InPlace, fuse};

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
