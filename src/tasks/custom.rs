//! Tasks of a program's own: a loss as a closure, for loops that feed their batches ([`Trainer::step`](crate::train::Trainer::step)).

use super::{
    Decoded, Evaluated, Findings, Fit, Metric, Objective, Prediction, Registered, StepGraph, Task,
};
use crate::error::{Error, Result};
use std::fmt;

/// In no list of tasks: a program makes it.
static REGISTERED: Registered = Registered {
    name: "custom",
    about: "a loss of a program's own",
    needs: &[],
    metrics: Vec::new,
    suits: |_| false,
    suits_model: |_| false,
    make: |_| Err(in_a_program()),
    sample: || Err(in_a_program()),
};

fn in_a_program() -> Error {
    Error::Config("the task custom is made in a program, by tasks::Custom::new".to_string())
}

type LossFn = dyn for<'g, 'a> Fn(&mut StepGraph<'g, 'a>) -> Result<Objective<'g>> + Send + Sync;

/// A task that is nothing but a loss. Its step has one phase, which trains the only model; an evaluation counts the same loss,
/// and a prediction gives nothing: [`Predictor`](crate::train::Predictor) runs the model alone. What needs metrics, decoding or
/// several models implements [`Task`].
pub struct Custom {
    loss: Box<LossFn>,
}

impl Custom {
    /// The task whose loss `loss` builds from the fields of the batch (`step.batch`) and what the model makes of them
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
            "a custom task predicts nothing; run its model by train::Predictor".to_string(),
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
