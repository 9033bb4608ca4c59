//! Agents that learn by acting in an environment: what they collect, how they learn from it, runs, and how they play.
//!
//! The losses are tasks as all others ([`tasks::ppo`](crate::tasks::ppo), `reinforce`, `dqn`). A [`Learner`] for each of them steps
//! the environments on the host, with the policy on the device, and takes training steps over fed batches.

mod actions;
mod dqn;
mod epoch;
mod interaction;
mod play;
mod ppo;
mod reinforce;
mod replay;
mod report;
mod returns;
mod run;

pub use epoch::{AgentEpoch, AgentObserver, RECENT_EPISODES};
pub use play::{Choice, Play, PlayedStep, Player};
pub use run::{AgentParts, AgentRun};

use crate::cpu::Tensor;
use crate::environments::RegisteredEnvironment;
use crate::error::{Error, Result};
use crate::tasks::TaskSettings;
use crate::tensor::TensorType;
use interaction::Interaction;

/// The fields of a batch, by name, without their batch axis.
type BatchFields = Vec<(&'static str, TensorType)>;

/// What a learner is made of.
#[derive(Clone, Copy)]
struct Setting<'a> {
    /// The settings of the task.
    task: &'a TaskSettings,
    environment: &'static RegisteredEnvironment,
    /// Number of environments.
    count: usize,
    /// Samples of a batch.
    batch: usize,
}

impl Setting<'_> {
    /// Numbers of an observation.
    fn columns(&self) -> usize {
        self.environment.observation.len()
    }
}

/// How an agent of a task learns.
trait Learner {
    /// The fields of a training batch, with the batch as the first axis.
    fn fields(&self) -> Vec<(String, TensorType)>;

    /// The largest number of batches of a training step.
    fn accumulate(&self) -> usize {
        1
    }

    /// Steps of all environments together in an iteration; at most, if episodes end earlier.
    fn iteration_steps(&self) -> u64;

    /// Training steps after this many steps of the environments, if that is known.
    fn updates_after(&self, steps: u64) -> Option<u64>;

    /// Prepares what it needs on the device.
    ///
    /// # Errors
    /// If the device is out of memory.
    fn prepare(&mut self, interaction: &mut Interaction<'_>) -> Result<()>;

    /// Steps the environments and learns from that, and returns the number of samples that it trained on.
    ///
    /// # Errors
    /// If an environment or the device failed.
    fn iterate(&mut self, interaction: &mut Interaction<'_>) -> Result<u64>;

    /// What it keeps between iterations, by name, for checkpoints.
    fn kept(&self) -> Vec<(&'static str, Tensor<f32>)> {
        Vec::new()
    }

    /// Continues with what [`Learner::kept`] gave.
    ///
    /// # Errors
    /// If it is of another learner.
    fn take(&mut self, _kept: &dyn Fn(&str) -> Result<Tensor<f32>>) -> Result<()> {
        Ok(())
    }
}

type Make = fn(&Setting<'_>) -> Result<Box<dyn Learner>>;

/// The learner of each task.
const LEARNERS: [(&str, Make); 3] = [
    ("ppo", |setting| {
        Ok(Box::new(ppo::PpoLearner::new(setting)?))
    }),
    ("reinforce", |setting| {
        Ok(Box::new(reinforce::ReinforceLearner::new(setting)?))
    }),
    ("dqn", |setting| {
        Ok(Box::new(dqn::DqnLearner::new(setting)?))
    }),
];

/// Names of the tasks that learn in an environment.
pub fn tasks() -> impl Iterator<Item = &'static str> {
    LEARNERS.iter().map(|(name, _)| *name)
}

/// The learner for the task of these settings.
fn learner(setting: &Setting<'_>) -> Result<Box<dyn Learner>> {
    let name = setting.task.name.as_deref().unwrap_or_default();
    match LEARNERS.iter().find(|(known, _)| *known == name) {
        Some((_, make)) => make(setting),
        None => Err(Error::Config(format!(
            "the task {name:?} does not learn in an environment; name one of {}",
            tasks().collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// The types of `fields` in a batch of `size` samples.
fn batch_types(fields: BatchFields, size: usize) -> Vec<(String, TensorType)> {
    let types = fields.into_iter().map(|(name, ty)| {
        let dims = [&[size], ty.shape.dims()].concat();
        let shape = dims.into();
        (name.to_string(), TensorType { shape, ..ty })
    });
    types.collect()
}
