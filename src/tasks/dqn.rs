//! Deep Q-networks (Mnih et al. 2015): the value of every action is learned from single steps of the past.
//!
//! The online network's value of the action that was taken approaches `reward + gamma * value` of the best action afterwards, which
//! the target network estimates; with `double` the online network says which action that is (van Hasselt, Guez and Silver 2016). No
//! phase trains the target network: [`agents`](crate::agents) makes it follow the online one.

use super::loss::Loss;
use super::metric::{Counters, Metric};
use super::policy::{self, LOGITS};
use super::{
    Decoded, Fit, Models, Need, Objective, Phase, Prediction, Registered, StepGraph, Task,
    TaskCase, TaskSettings,
};
use crate::data::{Normalization, SetLayout, field};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::ModelSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The model that acts and is trained.
pub(crate) const ONLINE: &str = "online";
/// The model that estimates what comes after a step.
pub(crate) const TARGET: &str = "target";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "dqn",
    about: "values of the actions in an environment, from single steps of the past (deep Q-networks)",
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
            field: field::REWARD,
            about: "the reward",
            input: false,
        },
        Need {
            field: field::NEXT_ROW,
            about: "what it saw afterwards",
            input: false,
        },
        Need {
            field: field::TERMINATED,
            about: "whether that was a final state",
            input: false,
        },
    ],
    metrics,
    suits: |_| false,
    suits_model: |_| false,
    settings: Dqn::json_schema,
    make: |settings| Ok(Box::new(Dqn::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let samples = policy::recorded(
        3,
        &[
            (field::REWARD, |x| 2.0 * x - 1.0),
            (field::NEXT_ROW, |x| 4.0 * x - 2.0),
            (field::TERMINATED, |x| if x < 0.3 { 1.0 } else { 0.0 }),
        ],
    );
    let model = "name = \"m\"\ninput = [3]\nlayer = [{ type = \"dense\", units = 24, activation = \"tanh\" }, \
                 { type = \"dense\", units = 3 }]";
    let mut case = TaskCase::new("dqn", samples)?
        .model(ONLINE, model)?
        .model(TARGET, model)?;
    // Which action is best afterwards changes while the online network learns.
    case.task.own.insert("double".to_string(), false.into());
    case.epochs = 150;
    case.reaches = ("td_error", 0.1);
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::error("td_error", |c: &Counters| c.mean("score")).in_epoch_line(),
        Metric::error("value", |c| c.mean("value")).in_epoch_line(),
    ]
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dqn {
    /// Discount of a reward for each step that it is later.
    pub gamma: f64,
    /// Whether the online network chooses the action that the target network values.
    pub double: bool,
    /// Steps that the replay buffer holds.
    pub capacity: usize,
    /// Environment steps, with random actions, before the first update.
    pub learning_starts: u64,
    /// Environment steps between two updates.
    pub train_every: u64,
    /// Environment steps between two moves of the target network.
    pub target_every: u64,
    /// How far the target network moves towards the online one: 1 copies it.
    pub tau: f64,
    /// Share of random actions at the start.
    pub epsilon_start: f64,
    /// Share of random actions after `exploration`.
    pub epsilon_end: f64,
    /// Share of the run in which the share of random actions falls.
    pub exploration: f64,
    #[serde(skip)]
    loss: Loss,
}

impl Default for Dqn {
    fn default() -> Self {
        Dqn {
            gamma: 0.99,
            double: true,
            capacity: 10_000,
            learning_starts: 10_000,
            train_every: 10,
            target_every: 500,
            tau: 1.0,
            epsilon_start: 1.0,
            epsilon_end: 0.05,
            exploration: 0.5,
            loss: Loss::default(),
        }
    }
}

impl Dqn {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<Dqn> {
        let own = Dqn {
            loss: settings.loss.clone(),
            ..settings.own()?
        };
        policy::refuse_shared(settings, "dqn", false)?;
        own.loss.check_numbers(settings.label_smoothing)?;
        let shares = [
            ("gamma", own.gamma),
            ("epsilon_start", own.epsilon_start),
            ("epsilon_end", own.epsilon_end),
            ("exploration", own.exploration),
        ];
        for (key, value) in shares {
            policy::require((0.0..=1.0).contains(&value), key, "from 0 to 1", value)?;
        }
        policy::require(
            own.tau > 0.0 && own.tau <= 1.0,
            "tau",
            "above 0 and at most 1",
            own.tau,
        )?;
        let counts = [
            ("capacity", own.capacity as u64),
            ("train_every", own.train_every),
            ("target_every", own.target_every),
        ];
        for (key, value) in counts {
            policy::require(value > 0, key, "at least 1", value as f64)?;
        }
        Ok(own)
    }

    /// What the value of the action that was taken should be, `[batch]`.
    fn target<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
        let next = step.batch.field(field::NEXT_ROW)?;
        let values = policy::first_output(step, TARGET, next)?;
        let best = match self.double {
            true => {
                let online = policy::first_output(step, ONLINE, next)?;
                chosen(step, values, online.argmax()?)?
            }
            false => values.max(&[1])?,
        };
        let one = step.builder().constant(1.0);
        let goes_on = one.sub(policy::number(step, field::TERMINATED)?)?;
        let later = best.mul(goes_on)?.scale(self.gamma)?;
        policy::number(step, field::REWARD)?.add(later)
    }

    fn objective<'g>(
        &self,
        step: &mut StepGraph<'g, '_>,
        values: Var<'g>,
    ) -> Result<Objective<'g>> {
        let wanted = self.target(step)?;
        let _scope = step.builder().scope("loss");
        let (batch, valid) = (step.batch.size(), step.batch.valid());
        let action = step.batch.field(field::ACTION)?;
        let value = chosen(step, values, action)?;
        let errors = value.sub(wanted)?.abs()?.mask_rows(valid)?;
        step.count("score", errors.sum_all()?)?;
        step.count("value", value.mask_rows(valid)?.sum_all()?)?;
        let column = |x: Var<'g>| x.reshape([batch, 1]);
        self.loss
            .of_numbers(column(value)?, column(wanted)?, valid)?
            .objective()
    }
}

/// Of each row of `values`, `[batch, actions]`, the one of its `action`, u32 `[batch]`.
fn chosen<'g>(step: &StepGraph<'g, '_>, values: Var<'g>, action: Var<'g>) -> Result<Var<'g>> {
    let mask = step.one_hot_of(action, values.shape().last())?;
    values.mul(mask)?.sum(&[1])
}

fn values<'g>(step: &mut StepGraph<'g, '_>) -> Result<Var<'g>> {
    let seen = step.batch.field(field::ROW)?;
    policy::first_output(step, ONLINE, seen)
}

impl Task for Dqn {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn roles(&self) -> &'static [&'static str] {
        &[ONLINE, TARGET]
    }

    fn phases(&self) -> Vec<Phase> {
        vec![Phase {
            name: "",
            roles: &[ONLINE],
            every: 1,
        }]
    }

    /// Layers of 120 and 84 units with relu.
    fn default_model(&self, role: &str, _model: &ModelSpec) -> Result<ModelSpec> {
        policy::network(role, "relu", [120, 84], "\"classes\"")
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let actions = Some(fit.classes.len()).filter(|&actions| actions > 0);
        let (online, target) = (fit.models.get(ONLINE)?, fit.models.get(TARGET)?);
        policy::check_model(fit, online, actions)?;
        let types =
            [online, target].map(|model| model.state().map(|part| &part.ty).collect::<Vec<_>>());
        if types[0] != types[1] {
            return Err(Error::Config(format!(
                "the models {} and {} must have the same layers, since one follows the other; leave models.target out",
                online.name(),
                target.name()
            )));
        }
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let values = values(step)?;
        self.objective(step, values)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let values = values(step)?;
        step.output(LOGITS, values);
        Ok(())
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let values = values(step)?;
        step.output(LOGITS, values);
        self.objective(step, values)
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
        let layout = policy::example_rows(models, ONLINE, field::ROW, layout)?;
        let layout = policy::example_rows(models, ONLINE, field::NEXT_ROW, layout)?;
        let layout = layout.labels(field::ACTION);
        let layout = layout.numbers(field::REWARD, &[1, 1]);
        Ok(layout.numbers(field::TERMINATED, &[1, 1]))
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        policy::decode(sample, false)
    }
}
