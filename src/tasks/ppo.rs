//! Proximal policy optimization (Schulman et al. 2017): an actor and a critic learn from what the agent did in the last steps.
//!
//! The actor maximises `min(ratio * advantage, clip(ratio, 1 - clip, 1 + clip) * advantage)`, where `ratio` is the probability of
//! an action over that at the time it was taken, and its entropy. The critic minimises half of the squared error of the return, of
//! two estimates the worse: its own, and its own within `clip` of the one at that time. [`agents`](crate::agents) collects the
//! samples and estimates the advantages.

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

/// The model that estimates returns.
const CRITIC: &str = "critic";
/// The output of the critic.
pub(crate) const VALUE: &str = "value";
const POLICY_LOSS: &str = "policy_loss";
const ENTROPY: &str = "entropy";
const APPROXIMATE_KL: &str = "approx_kl";
const CLIPPED: &str = "clipped";

/// See the module.
pub(super) static REGISTERED: Registered = Registered {
    name: "ppo",
    about: "actions in an environment, with an actor and a critic (proximal policy optimization)",
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
            field: field::LOG_PROBABILITY,
            about: "the logarithm of the probability of that",
            input: false,
        },
        Need {
            field: field::ADVANTAGE,
            about: "how much better it was than expected",
            input: false,
        },
        Need {
            field: field::RETURN,
            about: "the discounted sum of rewards that followed",
            input: false,
        },
        Need {
            field: field::OLD_VALUE,
            about: "what the critic expected of that sum",
            input: false,
        },
    ],
    metrics,
    suits: |_| false,
    suits_model: |_| false,
    settings: Ppo::json_schema,
    make: |settings| Ok(Box::new(Ppo::new(settings)?)),
    sample,
};

fn sample() -> Result<TaskCase> {
    let samples = policy::recorded(
        3,
        &[
            (field::LOG_PROBABILITY, |x| -1.3 + 0.4 * x),
            (field::ADVANTAGE, |x| 2.0 * x - 1.0),
            (field::RETURN, |x| 2.0 * x - 1.0),
            (field::OLD_VALUE, |x| 2.0 * x - 1.0),
        ],
    );
    let hidden = "{ type = \"dense\", units = 24, activation = \"tanh\" }";
    let model = |units| {
        format!(
            "name = \"m\"\ninput = [3]\nlayer = [{hidden}, {{ type = \"dense\", units = {units} }}]"
        )
    };
    let mut case = TaskCase::new("ppo", samples)?
        .model(ACTOR, &model(3))?
        .model(CRITIC, &model(1))?;
    case.task.own.insert("clip_value".to_string(), false.into());
    case.epochs = 150;
    case.reaches = ("value_loss", 0.02);
    Ok(case)
}

fn metrics() -> Vec<Metric> {
    vec![
        Metric::error("value_loss", |c: &Counters| c.mean("score")).in_epoch_line(),
        Metric::error(POLICY_LOSS, |c| c.mean(POLICY_LOSS)).in_epoch_line(),
        Metric::error(ENTROPY, |c| c.mean(ENTROPY)).in_epoch_line(),
        Metric::error(APPROXIMATE_KL, |c| c.mean(APPROXIMATE_KL)),
        Metric::error(CLIPPED, |c| c.mean(CLIPPED)),
    ]
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ppo {
    /// Discount of a reward for each step that it is later.
    pub gamma: f64,
    /// Decay of the generalised advantage estimation.
    pub gae_lambda: f64,
    /// How far the probability of an action may move away from 1 time the earlier one, and pay.
    pub clip: f64,
    /// Whether the critic's estimate is clipped, too.
    pub clip_value: bool,
    /// Weight of the critic's loss.
    pub value_weight: f64,
    /// Weight of the entropy.
    pub entropy: f64,
    /// Steps of each environment between two updates.
    pub rollout: usize,
    /// Passes over them, in batches of `batch`.
    pub passes: usize,
    /// Whether the advantages of a batch are scaled to mean 0 and standard deviation 1.
    pub normalise: bool,
}

impl Default for Ppo {
    fn default() -> Self {
        Ppo {
            gamma: 0.99,
            gae_lambda: 0.95,
            clip: 0.2,
            clip_value: true,
            value_weight: 0.5,
            entropy: 0.01,
            rollout: 128,
            passes: 4,
            normalise: true,
        }
    }
}

impl Ppo {
    /// From the settings of a run.
    ///
    /// # Errors
    /// Names the setting that is unknown, out of range or not used by this task.
    pub fn new(settings: &TaskSettings) -> Result<Ppo> {
        let ppo: Ppo = settings.own()?;
        policy::refuse_shared(settings, "ppo", true)?;
        let share = |key: &str, value: f64| {
            policy::require((0.0..=1.0).contains(&value), key, "from 0 to 1", value)
        };
        share("gamma", ppo.gamma)?;
        share("gae_lambda", ppo.gae_lambda)?;
        policy::require(ppo.clip > 0.0, "clip", "above 0", ppo.clip)?;
        policy::require(
            ppo.value_weight >= 0.0,
            "value_weight",
            "at least 0",
            ppo.value_weight,
        )?;
        policy::require(ppo.entropy >= 0.0, "entropy", "at least 0", ppo.entropy)?;
        policy::require(ppo.rollout > 0, "rollout", "at least 1", ppo.rollout as f64)?;
        policy::require(ppo.passes > 0, "passes", "at least 1", ppo.passes as f64)?;
        Ok(ppo)
    }

    /// Half of the squared error of the critic's `values`, `[batch]`.
    fn value_losses<'g>(&self, step: &StepGraph<'g, '_>, values: Var<'g>) -> Result<Var<'g>> {
        let wanted = policy::number(step, field::RETURN)?;
        let square = |values: Var<'g>| {
            let apart = values.sub(wanted)?;
            apart.mul(apart)
        };
        let own = square(values)?;
        let worse = match self.clip_value {
            true => {
                let old = policy::number(step, field::OLD_VALUE)?;
                let near = values.sub(old)?.clamp(-self.clip, self.clip)?.add(old)?;
                own.maximum(square(near)?)?
            }
            false => own,
        };
        worse.scale(0.5)?.mask_rows(step.batch.valid())
    }

    fn objective<'g>(
        &self,
        step: &StepGraph<'g, '_>,
        logits: Var<'g>,
        values: Var<'g>,
    ) -> Result<Objective<'g>> {
        let _scope = step.builder().scope("loss");
        let valid = step.batch.valid();
        let [taken, entropy] = policy::log_probabilities(step, logits)?;
        let change = taken.sub(policy::number(step, field::LOG_PROBABILITY)?)?;
        let ratio = change.exp()?;
        let advantage = policy::number(step, field::ADVANTAGE)?;
        let near = ratio.clamp(1.0 - self.clip, 1.0 + self.clip)?;
        let gain = ratio.mul(advantage)?.minimum(near.mul(advantage)?)?;
        let policy_losses = gain.neg()?.mask_rows(valid)?;
        let value_losses = self.value_losses(step, values)?;
        let one = step.builder().constant(1.0);
        // Schulman's estimate of the divergence, which is never negative.
        let divergence = ratio.sub(one)?.sub(change)?.mask_rows(valid)?;
        let far = ratio
            .sub(one)?
            .abs()?
            .gt(step.builder().constant(self.clip))?;
        for (name, value) in [
            ("score", value_losses),
            (POLICY_LOSS, policy_losses),
            (ENTROPY, entropy),
            (APPROXIMATE_KL, divergence),
            (CLIPPED, far.mask_rows(valid)?),
        ] {
            step.count(name, value.sum_all()?)?;
        }
        let losses = policy_losses
            .sub(entropy.scale(self.entropy)?)?
            .add(value_losses.scale(self.value_weight)?)?;
        Objective::mean_of(losses)
    }
}

/// What the actor and the critic give for what the agent sees.
fn outputs<'g>(step: &mut StepGraph<'g, '_>) -> Result<[Var<'g>; 2]> {
    let seen = step.batch.field(field::ROW)?;
    let logits = policy::first_output(step, ACTOR, seen)?;
    let values = policy::first_output(step, CRITIC, seen)?;
    Ok([logits, values.reshape([step.batch.size()])?])
}

/// Makes them outputs of the graph.
fn give<'g>(step: &StepGraph<'g, '_>, logits: Var<'g>, values: Var<'g>) -> Result<()> {
    step.output(LOGITS, logits);
    step.output(VALUE, values.reshape([step.batch.size(), 1])?);
    Ok(())
}

impl Task for Ppo {
    fn registered(&self) -> &'static Registered {
        &REGISTERED
    }

    fn roles(&self) -> &'static [&'static str] {
        &[ACTOR, CRITIC]
    }

    /// Two layers of 64 units with tanh each.
    fn default_model(&self, role: &str, _model: &ModelSpec) -> Result<ModelSpec> {
        let outputs = if role == ACTOR { "\"classes\"" } else { "1" };
        policy::network(role, "tanh", [64, 64], outputs)
    }

    fn check(&self, fit: &Fit<'_>) -> Result<()> {
        let actions = Some(fit.classes.len()).filter(|&actions| actions > 0);
        policy::check_model(fit, fit.models.get(ACTOR)?, actions)?;
        policy::check_model(fit, fit.models.get(CRITIC)?, Some(1))?;
        fit.not_empty()
    }

    fn loss<'g>(&self, step: &mut StepGraph<'g, '_>, _phase: usize) -> Result<Objective<'g>> {
        let [logits, values] = outputs(step)?;
        self.objective(step, logits, values)
    }

    fn predict(&self, step: &mut StepGraph<'_, '_>) -> Result<()> {
        let [logits, values] = outputs(step)?;
        give(step, logits, values)
    }

    fn evaluate<'g>(&self, step: &mut StepGraph<'g, '_>) -> Result<Objective<'g>> {
        let [logits, values] = outputs(step)?;
        give(step, logits, values)?;
        self.objective(step, logits, values)
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
        let numbers = [
            field::LOG_PROBABILITY,
            field::ADVANTAGE,
            field::RETURN,
            field::OLD_VALUE,
        ];
        let with = |layout: SetLayout, name| layout.numbers(name, &[1, 1]);
        Ok(numbers.into_iter().fold(layout, with))
    }

    fn decode(&self, sample: &Decoded<'_>) -> Result<Prediction> {
        policy::decode(sample, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Tensor, Variables, interpret};
    use crate::data::Batch;
    use crate::graph::Builder;
    use crate::nn::{Forward, Network};
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    fn settings(text: &str) -> TaskSettings {
        TaskSettings {
            name: Some("ppo".to_string()),
            own: toml::from_str(text).unwrap(),
            ..TaskSettings::default()
        }
    }

    /// The figures for two samples whose logits are 0: the probability of each of two actions is one half.
    #[test]
    fn losses_are_those_worked_out_by_hand() {
        let ppo = Ppo::new(&settings("clip = 0.2\nentropy = 0.1\nvalue_weight = 0.5")).unwrap();
        let model = |units: usize| {
            let text = format!(
                "name = \"m\"\ninput = [1]\nlayer = [{{ type = \"dense\", units = {units} }}]"
            );
            Network::new(crate::toml_text::parse(&text, "m").unwrap()).unwrap()
        };
        let named = |role: &str, units| -> (String, Arc<dyn crate::nn::Model>) {
            (role.to_string(), Arc::new(model(units).with_prefix(role)))
        };
        let models = Models::named(vec![named(ACTOR, 2), named(CRITIC, 1)]);
        let builder = Builder::new();
        let float = |name: &str| (name.to_string(), TensorType::f32([2]));
        let batch = Batch::fed(
            &builder,
            2,
            [
                (field::ROW.to_string(), TensorType::f32([2, 1])),
                (field::ACTION.to_string(), TensorType::u32([2])),
                float(field::LOG_PROBABILITY),
                float(field::ADVANTAGE),
                float(field::RETURN),
                float(field::OLD_VALUE),
            ],
        );
        let mut step = StepGraph::new(batch, Forward::evaluation(&builder), &models);
        let objective = ppo.evaluate(&mut step).unwrap();
        builder.output("sum", objective.sum);
        let graph = builder.finish().unwrap();
        let mut variables: Variables<f64> = HashMap::new();
        let state = models
            .state()
            .map(|part| (part.name.clone(), part.ty.clone()));
        for (name, ty) in state.chain(graph.updated(|_| true)) {
            variables.insert(name, Arc::new(Tensor::zeros(&ty)));
        }
        let two = |x: [f64; 2]| Tensor::real([2], x.to_vec());
        let inputs = [
            (field::ROW, Tensor::real([2, 1], vec![1.0, 2.0])),
            (field::ACTION, Tensor::index([2], vec![0, 1])),
            // Ratios 0.5 / 0.25 = 2, which is clipped to 1.2, and 0.5 / 0.5 = 1.
            (field::LOG_PROBABILITY, two([0.25f64.ln(), 0.5f64.ln()])),
            (field::ADVANTAGE, two([1.0, -2.0])),
            (field::RETURN, two([1.0, 0.3])),
            // The first estimate is clipped from 0 to 0.3: (1 - 0)^2 is worse than (1 - 0.3)^2. The second from 0 to -0.2.
            (field::OLD_VALUE, two([0.5, -0.4])),
            ("valid", Tensor::index([], vec![2])),
        ];
        let inputs = inputs.map(|(name, value)| (name.to_string(), Arc::new(value)));
        let outputs = interpret(&graph, &mut variables, &HashMap::from(inputs)).unwrap();
        let sum = outputs.last().unwrap().reals()[0];
        let policy = -1.2 + 2.0;
        let value = 0.5 * (1.0 + (0.3f64 + 0.2).powi(2));
        let wanted = policy - 0.1 * 2.0 * 2f64.ln() + 0.5 * value;
        assert!((sum - wanted).abs() < 1e-9, "{sum} and {wanted}");
    }

    #[test]
    fn settings_out_of_range_are_named() {
        for (text, key) in [
            ("gamma = 1.5", "task.gamma"),
            ("clip = 0", "task.clip"),
            ("rollout = 0", "task.rollout"),
            ("gama = 0.9", "gama"),
        ] {
            let message = Ppo::new(&settings(text)).unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
    }
}
