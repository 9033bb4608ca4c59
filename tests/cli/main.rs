//! Output of the command line. For good input, results go to standard output. For bad input, one sentence on standard error says
//! what is wrong, where, and what to do; the exit code is 1 (failure) or 2 (wrong usage), and nothing is left behind.

mod bench;
mod chosen;
mod continual;
mod data;
mod detection;
mod device_loss;
mod fault_layer;
mod folders;
mod gan;
mod hostile;
mod image_tasks;
mod kills;
mod labels;
mod lora;
mod models;
mod onnx;
mod output;
mod planted_faults;
mod report;
mod resume;
mod runs;
mod sandbox;
mod segmentation;
mod sequences;
mod settings;
mod tables;
mod tensorboard;
mod text;
mod tools;
mod tuning;
mod watch;
mod web;
mod weights;
