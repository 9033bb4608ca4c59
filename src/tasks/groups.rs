//! What tasks that treat groups of samples alike learn from the groups of the training part, and the groups of a batch.

use super::StepGraph;
use crate::data::{FieldValues, Samples, field};
use crate::error::{Error, Result};
use crate::graph::Var;

/// The key of the number of groups among the own settings of a task, which is found when a run starts.
const GROUPS: &str = "groups";

/// The group of each of `samples`, if they have the field [`field::GROUP`].
pub(super) fn of_samples(samples: &Samples) -> Option<&[u32]> {
    match &samples.field(field::GROUP)?.values {
        FieldValues::Labels(groups) => Some(groups),
        _ => None,
    }
}

/// Adds to the own settings of the task called `name`, unless they are there, what it needs to know of the groups of the training part,
/// which has `classes` classes.
pub(crate) fn learn_groups(
    name: Option<&str>,
    own: &mut toml::Table,
    train: &Samples,
    classes: usize,
) {
    let Some(groups) = of_samples(train) else {
        return;
    };
    match name {
        Some("reweighing") => super::reweighing::learn(own, train, groups, classes),
        Some("gap_penalty" | "adversarial_debiasing") if !own.contains_key(GROUPS) => {
            let count = groups.iter().max().map_or(0, |&last| i64::from(last) + 1);
            own.insert(GROUPS.to_string(), count.into());
        }
        _ => {}
    }
}

/// Checks the number of groups that a task knows of, once it trains.
///
/// # Errors
/// If there are fewer than two.
pub(super) fn check_count(task: &str, groups: usize) -> Result<()> {
    match groups {
        0 | 1 => Err(Error::Config(format!(
            "the task {task} knows of no groups of the training part; name the columns that divide it in data.groups"
        ))),
        _ => Ok(()),
    }
}

/// The groups of the samples of a batch as rows: 1 for the group of a sample and 0 for the others, `[batch, groups]`; all 0 for
/// padding.
///
/// # Errors
/// If samples have no group.
pub(super) fn one_hot<'g>(step: &StepGraph<'g, '_>, groups: usize) -> Result<Var<'g>> {
    let group = step.batch.field(field::GROUP)?;
    step.one_hot_of(group, groups)?
        .mask_rows(step.batch.valid())
}
