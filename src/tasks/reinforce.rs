//! REINFORCE (Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning", 1992): actions
//! of whole episodes become more likely the more reward followed them. [`agents`](crate::agents) collects the episodes, and gives
//! the returns minus their mean, divided by their standard deviation, as advantages.

use super::metric::{Counters, Metric};
use super::policy::{self, ACTOR, LOGITS};
use super::{
    Decoded, Fit, Models, Need, Objective, Prediction, Registered, StepGraph, Task, TaskCase,
    TaskSettings,
};
use crate::data::{Normalization, SetLayout, field};
use crate::error::Result;
use crate::graph::Var;
use crate::nn::ModelSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "reinforce",
    about: "actions in an environment, from the returns of whole episodes",
    needs: &[
        Need {
            field: field::ROW,
            about: "what the agent saw",
            input: true,
        },
        Need {
            field: field::ACTION,
            about: "what it did",
            input: false,
        },
        Need {
            field: field::ADVANTAGE,
            about: "how much better that was than usual",
            input: false,
        },
    ],
    metrics,
    suits: |_| false,
    suits_model: |_| false,
    settings: Reinforce::json_schema,
    make: |settings| Ok(Box::new(Reinforce::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    // With equal advantages, the actions are to be imitated.
    let samples = policy::recorded(3, &[(field::ADVANTAGE, |_| 1.0)]);
    let mut case = TaskCase::new("reinforce", samples)?.model(
        ACTOR,
        "name = \"m\"\ninput = [3]\nlayer = [{ type = \"dense\", units = 24, activation = \"tanh\" }, { type = \"dense\", units = 3 }]",
    )?;
    case.epochs = 120;
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    vec![Metric::error("entropy", |c: &Counters| c.mean("score")).in_epoch_line()]
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reinforce {
    /// Discount of a reward for each step that it is later.
    pub gamma: f64,
    /// Weight of the entropy.
    pub entropy: f64,
    /// Episodes of an update, of all environments together.
    pub episodes: usize,
}

impl Default for Reinforce {
    fn default() -> Self {
        Reinforce {
            gamma: 0.99,
            entropy: 0.0,
            episodes: 16,
        }
    }
}

impl Reinforce {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<Reinforce> {
        let own: Reinforce = settings.own()?;
        policy::refuse_shared(settings, "reinforce", true)?;
        policy::require(
            (0.0..=1.0).contains(&own.gamma),
            "gamma",
            "from 0 to 1",
            own.gamma,
        )?;
        policy::require(own.entropy >= 0.0, "entropy", "at least 0", own.entropy)?;
        policy::require(
            own.episodes > 0,
            "episodes",
            "at least 1",
            own.episodes as f64,
        )?;
        Ok(own)
    }

    fn objective<'g>(&self, step: &StepGraph<'g, '_>, logits: Var<'g>) -> Result<Objective<'g>> {
        let _scope = step.builder().scope("loss");
        let [taken, entropy] = policy::log_probabilities(step, logits)?;
        step.count("score", entropy.sum_all()?)?;
        let gain = taken.mul(policy::number(step, field::ADVANTAGE)?)?;
        let losses = gain.add(entropy.scale(self.entropy)?)?.neg()?;
        Objective::mean_of(losses.mask_rows(step.batch.valid())?)
    }
}

fn logits<'g>(step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
    let seen = step.batch.field(field::ROW)?;
    policy::first_output(step, ACTOR, seen)
}

impl Task for Reinforce {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn roles(&self) -> &'static [&'static str] {
        &[ACTOR]
    }

    /// Two layers of 64 units with tanh.
    fn default_model(&self, role: &str, _model: &ModelSpec) -> Result<ModelSpec> {
        policy::network(role, "tanh", [64, 64], "\"classes\"")
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let actions = Some(fit.classes.len()).filter(|&actions| actions > 0);
        policy::check_model(fit, fit.models.get(ACTOR)?, actions)?;
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let logits = logits(step)?;
        self.objective(step, logits)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let logits = logits(step)?;
        step.output(LOGITS, logits);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let logits = logits(step)?;
        step.output(LOGITS, logits);
        self.objective(step, logits)
    }

    fn metrics(&self) -> Vec<Metric> {
        metrics()
    }

    /// Returns say how good the agent is, not losses.
    fn monitored(&self) -> Option<&'static str> {
        None
    }

    fn example_layout(
        &self,
        models: &Models,
        layout: SetLayout,
        _normal: Normalization<'_>,
    ) -> Result<SetLayout> {
        let layout = policy::example_rows(models, ACTOR, field::ROW, layout)?.labels(field::ACTION);
        Ok(layout.numbers(field::ADVANTAGE, &[1, 1]))
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        policy::decode(sample, true)
    }
}
