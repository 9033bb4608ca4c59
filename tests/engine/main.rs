//! The engine below the trainer: graphs, plans, shaders and kernels, without an adapter where they can be, on one where they must.

mod attention;
mod dropout;
mod epilogues;
#[path = "../support/golden.rs"]
mod golden;
mod gradients;
mod kernels;
mod losses;
mod networks;
mod plans;
#[path = "../support/random_graph.rs"]
mod random_graph;
mod sequence_layers;
mod shaders;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/targets.rs"]
mod targets;
mod tuning;
