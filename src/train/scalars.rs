//! The scalar inputs of a step: the source of each value, resolved once, and the rows of a submission, in reused memory.

use crate::data::VALID_ROWS;
use crate::error::{Error, Result};
use crate::plan::Scalar;
use crate::tasks::Task;

/// The values from which a step's scalar inputs are computed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StepInputs {
    /// Position of the first sample in the order of the pass.
    pub cursor: usize,
    /// Number of valid samples.
    pub valid: usize,
    /// Number of valid samples in all batches whose gradients are accumulated.
    pub total: usize,
    /// Number of the step from 0, for random numbers.
    pub step: u64,
}

#[derive(Clone)]
enum Source {
    Cursor,
    Valid,
    ValidRows(usize),
    Step,
    InverseValid,
    InverseTotal,
    Optimizer(usize),
    Task(String),
}

/// Rows of scalar inputs, one after another.
pub(super) struct ScalarRows {
    sources: Vec<Source>,
    values: Vec<Scalar>,
    seed: u64,
}

impl ScalarRows {
    /// Rows of the inputs `names`, some of which may be among those of an optimizer, `own`, or of the task.
    ///
    /// # Errors
    /// If one has no value.
    pub fn new(names: &[String], own: &[String], task: &dyn Task, seed: u64) -> Result<Self> {
        let source = |name: &String| match name.as_str() {
            "cursor" => Ok(Source::Cursor),
            "valid" => Ok(Source::Valid),
            "step" => Ok(Source::Step),
            "inverse_valid" => Ok(Source::InverseValid),
            "inverse_total" => Ok(Source::InverseTotal),
            other => {
                let rows = other.strip_prefix(VALID_ROWS).and_then(|n| n.parse().ok());
                let optimizer = own.iter().position(|known| known == other);
                let found = rows
                    .map(Source::ValidRows)
                    .or(optimizer.map(Source::Optimizer))
                    .or(task
                        .scalar(other, 0, seed)
                        .map(|_| Source::Task(other.to_string())));
                found.ok_or_else(|| Error::Graph(format!("the scalar input {other} has no value")))
            }
        };
        Ok(ScalarRows {
            sources: names.iter().map(source).collect::<Result<_>>()?,
            values: Vec::new(),
            seed,
        })
    }

    /// Removes all rows.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Adds the row of a step, with the scalars of its optimizer.
    pub fn push(&mut self, step: StepInputs, optimizer: &[f32], task: &dyn Task) {
        let seed = self.seed;
        let values = self.sources.iter().map(|source| match source {
            Source::Cursor => Scalar::from(step.cursor),
            Source::Valid => Scalar::from(step.valid),
            Source::ValidRows(each) => Scalar::from(step.valid * each),
            Source::Step => Scalar::U32(step.step as u32),
            Source::InverseValid => Scalar::F32(1.0 / step.valid as f32),
            Source::InverseTotal => Scalar::F32(1.0 / step.total as f32),
            Source::Optimizer(index) => Scalar::F32(optimizer[*index]),
            Source::Task(name) => task
                .scalar(name, step.step, seed)
                .unwrap_or(Scalar::F32(0.0)),
        });
        self.values.extend(values);
    }

    /// The values of all rows.
    pub fn values(&self) -> &[Scalar] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::{TaskSettings, named};

    #[test]
    fn values_come_in_the_order_of_the_names() {
        let task = (named("classification").unwrap().make)(&TaskSettings::default()).unwrap();
        let names = [
            "optimizer.lr",
            "valid",
            "inverse_valid",
            "step",
            "cursor",
            "valid_rows.3",
        ]
        .map(str::to_string);
        let own = ["optimizer.lr".to_string()];
        let mut rows = ScalarRows::new(&names, &own, &*task, 1).unwrap();
        let step = StepInputs {
            cursor: 12,
            valid: 4,
            total: 4,
            step: 3,
        };
        rows.push(step, &[0.5], &*task);
        use Scalar::{F32, U32};
        assert_eq!(
            rows.values(),
            [F32(0.5), U32(4), F32(0.25), U32(3), U32(12), U32(12)]
        );
        let unknown = ScalarRows::new(&["momentum".to_string()], &[], &*task, 1);
        assert!(unknown.is_err_and(|e| e.to_string().contains("momentum")));
    }
}
