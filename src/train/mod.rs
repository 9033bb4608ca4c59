//! Training and evaluation: graphs over data on the device, the loop, and the folder that a run leaves.

mod augment;
mod checkpoint;
mod engine;
mod fit;
mod graphs;
mod host_memory;
mod loaded;
mod loss;
mod metrics;
mod pace;
mod report;
mod reports;
mod run_folder;
mod scalars;
mod session;
mod source;
mod window_norm;

pub use augment::AugmentSettings;
pub use checkpoint::Checkpoint;
pub use engine::{Engine, open_engine};
pub(crate) use engine::{Memory, Runner};
pub use fit::{check_fit, remarks, samples_of_epoch};
pub use graphs::{DataShape, Layout, Target, evaluation_graph, training_graph};
pub use loss::{Bce, ClassWeights, CrossEntropy, Huber, L1, Loss, Mse, NamedWeights};
pub use metrics::{ClassScores, Details, area_under_curve, mean_area_under_curve};
pub use reports::{EpochReport, Evaluation, Measure, Observer, StepReport, epoch_line};
pub use run_folder::RunFolder;
pub use session::Session;
pub(crate) use source::pack;
