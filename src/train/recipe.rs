//! How a run takes its steps.

use super::anchor::Anchor;
use crate::error::{Error, Result};
use crate::graph::Precision;
use crate::optim::{
    Average, GroupSettings, OptimizerConfig, OptimizerInstance, Patterns, PlateauState, Schedule,
};
use crate::privacy::PrivateSteps;
use crate::tasks::{Models, Phase, Task};
use crate::tensor::TensorType;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How steps are taken.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Random seed.
    pub seed: u64,
    /// Samples per batch.
    pub batch: usize,
    /// Number of batches whose gradients are accumulated into one step.
    pub accumulate: usize,
    /// Precision of products in training steps.
    pub precision: Precision,
    /// Largest global norm of the gradients.
    pub clip_norm: Option<f64>,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Optimizers of individual phases, by name.
    pub optimizers: BTreeMap<String, OptimizerConfig>,
    /// Parameters that are not trained, whatever the groups say.
    pub freeze: Patterns,
    /// Parameter groups with their own learning rates, or frozen.
    pub groups: Vec<GroupSettings>,
    /// Learning rate schedule.
    pub schedule: Schedule,
    /// Moving averages of the parameters, which are evaluated and saved in their place.
    pub average: Option<Average>,
    /// Earlier values at which parameters are held.
    pub anchor: Option<Arc<Anchor>>,
    /// Training samples that are replayed.
    pub replay: Option<Replay>,
    /// How steps are made private.
    pub privacy: Option<PrivateSteps>,
    /// Total number of steps of the run, for schedules.
    pub steps: u64,
    /// Steps per epoch, for groups with an `unfreeze_epoch`.
    pub steps_per_epoch: u64,
}

/// Training samples of earlier data, which come first in the training set and are replayed in every batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replay {
    /// Their number.
    pub samples: usize,
    /// Their share of a batch.
    pub share: f64,
}

impl Default for Recipe {
    /// One batch of 32 per step, with Adam at a constant rate.
    fn default() -> Self {
        Recipe {
            seed: 1,
            batch: 32,
            accumulate: 1,
            precision: Precision::default(),
            clip_norm: None,
            optimizer: OptimizerConfig::default(),
            optimizers: BTreeMap::new(),
            freeze: Patterns::default(),
            groups: Vec::new(),
            schedule: Schedule::default(),
            average: None,
            anchor: None,
            replay: None,
            privacy: None,
            steps: 1,
            steps_per_epoch: 1,
        }
    }
}

impl Recipe {
    /// Samples of a step: all of its batches or, in private training, their mean number.
    pub fn samples_of_step(&self) -> usize {
        match &self.privacy {
            Some(private) => private.expected,
            None => self.batch * self.accumulate,
        }
    }

    /// Whether gradients are added up over batches before a program of its own updates the parameters.
    pub(super) fn has_own_update(&self) -> bool {
        self.accumulate > 1 || self.privacy.is_some()
    }

    pub(super) fn config(&self, phase: &str) -> &OptimizerConfig {
        self.optimizers.get(phase).unwrap_or(&self.optimizer)
    }

    /// The learning rate of step number `step`, from 0, for an optimizer whose own is `base`.
    pub(super) fn lr(&self, plateau: &PlateauState, base: f64, step: u64) -> f64 {
        match self.schedule.plateau() {
            Some(settings) => settings.lr_after(base, plateau),
            None => self.schedule.lr(base, step + 1, self.steps),
        }
    }

    /// The groups in the order in which parameters look for theirs, `freeze` before all others.
    fn all_groups(&self) -> Vec<GroupSettings> {
        let frozen = GroupSettings {
            patterns: self.freeze.clone(),
            freeze: true,
            ..GroupSettings::default()
        };
        let frozen = (!self.freeze.is_empty()).then_some(frozen);
        frozen.into_iter().chain(self.groups.clone()).collect()
    }

    /// Names of the parameters of `models` that `freeze` or a group freezes.
    pub fn frozen(&self, models: &Models) -> Vec<String> {
        let groups = self.all_groups();
        let frozen = |name: &str| {
            let own = groups.iter().find(|group| group.patterns.match_name(name));
            own.is_some_and(|group| group.freeze)
        };
        models
            .iter()
            .flat_map(|(_, model)| model.parameters())
            .filter(|parameter| frozen(&parameter.name))
            .map(|parameter| parameter.name.clone())
            .collect()
    }

    /// The optimizers of the phases of `task`, in their order.
    ///
    /// # Errors
    /// If a setting of an optimizer is invalid, a pattern matches no parameter, or a group has none.
    pub fn phase_optimizers(
        &self,
        task: &dyn Task,
        models: &Models,
    ) -> Result<Vec<OptimizerInstance>> {
        let phases = task.phases();
        let parameters = |phase: &Phase| -> Vec<(String, TensorType)> {
            let own = models.parameters(phase.roles);
            own.map(|p| (p.name.clone(), p.ty.clone())).collect()
        };
        let trained: Vec<Vec<(String, TensorType)>> = phases.iter().map(parameters).collect();
        let groups = self.groups_of(&trained)?;
        let each = phases.iter().zip(&trained).zip(&groups);
        each.map(|((phase, parameters), groups)| self.instance(phase.name, parameters, groups))
            .collect()
    }

    /// The optimizer of a phase that trains `parameters`, with those of the `groups` that concern them.
    ///
    /// # Errors
    /// If a setting of the optimizer is invalid.
    fn instance(
        &self,
        phase: &str,
        parameters: &[(String, TensorType)],
        groups: &[GroupSettings],
    ) -> Result<OptimizerInstance> {
        let prefix = match phase {
            "" => "optimizer".to_string(),
            _ => format!("{phase}.optimizer"),
        };
        let instance = OptimizerInstance::new(&prefix, self.config(phase), groups, parameters)?;
        Ok(instance.with_steps_per_epoch(self.steps_per_epoch))
    }

    /// The groups of each phase, where `phases` are the parameters of each: of a group the patterns that match some of them.
    ///
    /// # Errors
    /// If a pattern matches no parameter of any phase, or a group only parameters that belong to `freeze` or earlier groups.
    fn groups_of(&self, phases: &[Vec<(String, TensorType)>]) -> Result<Vec<Vec<GroupSettings>>> {
        let parameters = phases.concat();
        self.freeze.check("freeze", &parameters)?;
        let mut free: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        free.retain(|name| !self.freeze.match_name(name));
        for (number, group) in (1..).zip(&self.groups) {
            group.check(number, &parameters)?;
            let before = free.len();
            free.retain(|name| !group.patterns.match_name(name));
            if free.len() == before {
                return Err(Error::Config(format!(
                    "[[group]] {number} has no parameters: all that it matches belong to freeze or to earlier groups, which come first; \
                     change its match, or leave out freeze or the group"
                )));
            }
        }
        let all = self.all_groups();
        let of = |parameters: &Vec<(String, TensorType)>| {
            let groups = all.iter().map(|group| group.of(parameters));
            groups.filter(|group| !group.patterns.is_empty()).collect()
        };
        Ok(phases.iter().map(of).collect())
    }
}

/// Adds to a memory error, or that of a kernel that takes no such batch, the batch that would fit: the largest half, quarter and so on
/// of the recipe's that `fits`.
pub(crate) fn suggest_batch(
    error: Error,
    recipe: &Recipe,
    fits: impl Fn(&Recipe) -> bool,
) -> Error {
    if recipe.privacy.is_some() {
        return error;
    }
    let message = match &error {
        Error::Memory(message) => message.clone(),
        Error::Shape { .. } => format!("a batch of {} is too large ({error})", recipe.batch),
        _ => return error,
    };
    let smaller = |batch: usize| Recipe {
        batch,
        accumulate: (recipe.batch * recipe.accumulate).div_ceil(batch),
        ..recipe.clone()
    };
    let advised = |message: String| match error {
        Error::Memory(_) => Error::Memory(message),
        _ => Error::Config(message),
    };
    let halves = std::iter::successors(Some(recipe.batch / 2), |batch| Some(batch / 2));
    let mut recipes = halves.take_while(|&batch| batch > 0).map(smaller);
    match recipes.find(fits) {
        Some(Recipe {
            batch, accumulate, ..
        }) => advised(format!(
            "{message}; --batch {batch} fits, and with accumulate = {accumulate} it makes the same steps"
        )),
        None => error,
    }
}
