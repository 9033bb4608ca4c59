//! Decisions by thresholds of groups: the logits of a classifier, moved so that the class with the largest is the one that the
//! threshold of a sample's group decides for.

use super::StepGraph;
use crate::data::{GroupThresholds, field};
use crate::error::{Error, Result};
use crate::graph::Var;

/// Which class is decided for by thresholds, and how far its log-odds must be above 0 in each group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupDecision {
    positive: usize,
    offsets: Vec<f64>,
}

impl GroupDecision {
    /// By `thresholds`, among the `classes` of a run.
    ///
    /// # Errors
    /// If these are not two, or the positive class is none of them.
    pub fn of(thresholds: &GroupThresholds, classes: &[String]) -> Result<GroupDecision> {
        let positive = classes
            .iter()
            .position(|class| *class == thresholds.positive);
        let (Some(positive), 2) = (positive, classes.len()) else {
            return Err(Error::Config(format!(
                "the thresholds of the run decide for the class {} against one other, and its classes are {}; fit them again with \
                 `wgrad thresholds`, or remove thresholds.toml",
                thresholds.positive,
                classes.join(", ")
            )));
        };
        let log_odds = |threshold: f64| (threshold / (1.0 - threshold)).ln();
        let groups = thresholds.group.iter();
        Ok(GroupDecision {
            positive,
            offsets: groups.map(|group| log_odds(group.threshold)).collect(),
        })
    }

    /// The `logits` of a batch, `[batch, 2]`, where that of the positive class is lowered by the log-odds of the threshold of the
    /// sample's group, by the field [`field::GROUP`]: unchanged for a sample of none of the groups, whose threshold is one half.
    ///
    /// # Errors
    /// If samples have no groups, or a node can't be built.
    pub(super) fn apply<'g>(&self, step: &StepGraph<'g, '_>, logits: Var<'g>) -> Result<Var<'g>> {
        let rows = step.batch.size();
        let group = step.batch.field(field::GROUP)?.to_float()?;
        let group = group.reshape([rows, 1])?;
        let builder = step.builder();
        let zeros = builder.constant(0.0).broadcast_to(&group.shape())?;
        let mut lowered = zeros;
        for (place, offset) in self.offsets.iter().enumerate() {
            let is_own = group.eq(builder.constant(place as f64))?;
            lowered = lowered.sub(is_own.scale(*offset)?)?;
        }
        let columns = match self.positive {
            0 => [lowered, zeros],
            _ => [zeros, lowered],
        };
        logits.add(Var::concat(&columns, 1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, interpret};
    use crate::data::{Batch, GroupThreshold};
    use crate::graph::Builder;
    use crate::nn::Forward;
    use crate::tasks::Models;
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    #[test]
    fn a_sample_is_decided_by_the_threshold_of_its_group() {
        let group = |value: &str, threshold| GroupThreshold {
            values: vec![value.to_string()],
            threshold,
        };
        let thresholds = GroupThresholds {
            criterion: "equalized_odds".to_string(),
            part: "validation".to_string(),
            positive: "yes".to_string(),
            columns: vec!["sex".to_string()],
            group: vec![group("f", 0.25), group("m", 0.75)],
        };
        let classes = ["no", "yes"].map(String::from);
        let decision = GroupDecision::of(&thresholds, &classes).unwrap();
        let builder = Builder::new();
        let fields = [(field::GROUP.to_string(), TensorType::u32([6]))];
        let batch = Batch::fed(&builder, 6, fields);
        let models = Models::named(Vec::new());
        let step = StepGraph::new(batch, Forward::evaluation(&builder), &models);
        // Probabilities of 0.3, 0.2, 0.7, 0.8, and two of no group.
        let odds = [0.3_f64, 0.2, 0.7, 0.8, 0.45, 0.55].map(|p| (p / (1.0 - p)).ln() as f32);
        let logits = builder.input("logits", TensorType::f32([6, 2]));
        let moved = decision.apply(&step, logits).unwrap();
        step.output("decided", moved.argmax().unwrap());
        let graph = builder.finish().unwrap();
        let odds: Vec<f32> = odds.iter().flat_map(|&x| [1.0, 1.0 + x]).collect();
        let inputs = HashMap::from([
            ("logits".to_string(), Arc::new(Tensor::real([6, 2], odds))),
            (
                field::GROUP.to_string(),
                Arc::new(Tensor::index([6], vec![0, 0, 1, 1, 2, 2])),
            ),
        ]);
        let found = interpret(&graph, &mut HashMap::new(), &inputs).unwrap();
        assert_eq!(found[0].indices(), [1, 0, 0, 1, 0, 1]);
        let other = ["no", "maybe", "yes"].map(String::from);
        let message = GroupDecision::of(&thresholds, &other)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("its classes are no, maybe, yes"),
            "{message}"
        );
    }
}
