//! What the command line answers: to good input results on standard output, to bad input one sentence on standard error
//! that says what, where and what to do, exit code 1 (it failed) or 2 (it was asked wrongly), and nothing left behind.

mod bench;
mod data;
mod models;
mod output;
mod resume;
mod runs;
mod sandbox;
mod segmentation;
mod sequences;
mod settings;
mod text;
mod tuning;
mod weights;
