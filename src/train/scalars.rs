//! The scalar inputs of a step: where each gets its value, found once; the rows of a submission, in memory that is reused.

use super::augment::Mix;
use crate::error::{Error, Result};
use crate::optim::OptimizerInstance;
use crate::plan::Scalar;

/// What a step's scalar inputs are computed from.
pub(super) struct StepInputs {
    /// Place of the first sample in the order of the pass.
    pub cursor: usize,
    /// Samples that count.
    pub valid: usize,
    /// Tokens of a sample; rows of what is no text.
    pub tokens: usize,
    /// Steps before this one.
    pub step: u64,
    /// How pictures are mixed.
    pub mix: Mix,
    /// Learning rate.
    pub lr: f64,
}

#[derive(Clone, Copy)]
enum Source {
    Cursor,
    Valid,
    ValidTokens,
    Step,
    InverseValid,
    MixShare,
    MixHeight,
    MixWidth,
    Optimizer(usize),
}

/// Rows of scalar inputs, one after another.
pub(super) struct Rows {
    sources: Vec<Source>,
    values: Vec<Scalar>,
    optimizer: OptimizerInstance,
    /// Scalars of the optimizer in the step that was added last.
    own: Vec<f32>,
}

impl Rows {
    /// Rows of the inputs `names`, some of which may be of `optimizer`.
    ///
    /// # Errors
    /// If nobody gives a value to one.
    pub fn new(names: &[String], optimizer: OptimizerInstance) -> Result<Self> {
        let own = optimizer.scalar_names();
        let source = |name: &String| match name.as_str() {
            "cursor" => Ok(Source::Cursor),
            "valid" => Ok(Source::Valid),
            "valid_tokens" => Ok(Source::ValidTokens),
            "step" => Ok(Source::Step),
            "inverse_valid" => Ok(Source::InverseValid),
            "mix_share" => Ok(Source::MixShare),
            "mix_height" => Ok(Source::MixHeight),
            "mix_width" => Ok(Source::MixWidth),
            other => own
                .iter()
                .position(|known| known == other)
                .map(Source::Optimizer)
                .ok_or_else(|| Error::Graph(format!("nobody gives a value to the input {other}"))),
        };
        Ok(Rows {
            sources: names.iter().map(source).collect::<Result<_>>()?,
            values: Vec::new(),
            own: Vec::with_capacity(own.len()),
            optimizer,
        })
    }

    /// Removes all rows.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Adds the row of a step.
    pub fn push(&mut self, step: &StepInputs) {
        self.optimizer
            .scalars(step.step + 1, step.lr, &mut self.own);
        let values = self.sources.iter().map(|source| match *source {
            Source::Cursor => Scalar::from(step.cursor),
            Source::Valid => Scalar::from(step.valid),
            Source::ValidTokens => Scalar::from(step.valid * step.tokens),
            Source::Step => Scalar::U32(step.step as u32),
            Source::InverseValid => Scalar::F32(1.0 / step.valid as f32),
            Source::MixShare => Scalar::F32(step.mix.share),
            Source::MixHeight => Scalar::U32(step.mix.pasted[0]),
            Source::MixWidth => Scalar::U32(step.mix.pasted[1]),
            Source::Optimizer(index) => Scalar::F32(self.own[index]),
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
    use crate::optim::{DEFAULT_PREFIX, OptimizerConfig};

    fn instance(name: &str) -> OptimizerInstance {
        let config = OptimizerConfig::named(name).unwrap();
        OptimizerInstance::new(DEFAULT_PREFIX, &config, &[], &[]).unwrap()
    }

    #[test]
    fn values_come_in_the_order_of_the_names() {
        let names = [
            "optimizer.lr",
            "valid",
            "inverse_valid",
            "step",
            "cursor",
            "valid_tokens",
        ]
        .map(str::to_string);
        let mut rows = Rows::new(&names, instance("sgd")).unwrap();
        rows.push(&StepInputs {
            cursor: 12,
            valid: 4,
            tokens: 3,
            step: 3,
            mix: Mix::default(),
            lr: 0.5,
        });
        use Scalar::{F32, U32};
        assert_eq!(
            rows.values(),
            [F32(0.5), U32(4), F32(0.25), U32(3), U32(12), U32(12)]
        );
    }

    #[test]
    fn an_input_that_nobody_knows_is_an_error() {
        let error = Rows::new(&["momentum".to_string()], instance("adamw"));
        assert!(error.is_err_and(|e| e.to_string().contains("momentum")));
    }
}
