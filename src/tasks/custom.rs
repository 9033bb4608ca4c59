//! Custom tasks: a closure as the loss, for training loops that feed their own batches ([`Trainer::step`](crate::train::Trainer::step)).

use super::{
    Decoded, Evaluated, Findings, Fit, Metric, Objective, Prediction, Registered, StepGraph, Task,
};
use crate::error::{Error, Result};
use crate::schema::empty_table;
use std::fmt;

/// Not in the registry: a program creates it.
static REGISTERED: Registered = Registered {
    name: "custom",
    about: "a custom loss",
    needs: &[],
    metrics: Vec::new,
    suits: |_| false,
    suits_model: |_| false,
    settings: empty_table,
    make: |_| Err(in_a_program()),
    sample: || Err(in_a_program()),
};

fn in_a_program() -> Error {
    Error::Config(
        "the task custom can only be created in a program, with tasks::Custom::new".to_string(),
    )
}

type LossFn = dyn for<'g, 'a> Fn(&mut StepGraph<'g, 'a>) -> Result<Objective<'g>> + Send + Sync;

/// A task that consists of a loss. Its step has one phase, which trains the only model, and an evaluation reports the same loss.
/// It does not predict: [`Predictor`](crate::train::Predictor) runs the model alone. A task with metrics, decoding or several
/// models implements [`Task`].
pub struct Custom {
    loss: Box<LossFn>,
}

impl Custom {
    /// The task whose loss is built by `loss`, from the fields of the batch (`step.batch`) and the output of the model
    /// ([`StepGraph::run_first`]).
    pub fn new(
        loss: impl for<'g, 'a> Fn(&mut StepGraph<'g, 'a>) -> Result<Objective<'g>>
        + Send
        + Sync
        + 'static,
    ) -> Custom {
        Custom {
            loss: Box::new(loss),
        }
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Custom")
    }
}

impl Task for Custom {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        (self.loss)(step)
    }

    fn predict(&self, _step: &mut StepGraph<'_, '_>) -> Result<()> {
        Err(Error::Config(
            "a custom task can't predict; run its model with train::Predictor".to_string(),
        ))
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        (self.loss)(step)
    }

    fn metrics(&self) -> Vec<Metric> {
        Vec::new()
    }

    fn decode(&self, _sample: &Decoded<'_>) -> Result<Prediction> {
        Ok(Prediction::default())
    }

    fn findings(&self, _found: &Evaluated<'_>) -> Findings {
        Findings::default()
    }
}
