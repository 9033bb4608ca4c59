//! An optimizer applied to the parameters of a graph: names of state and scalar inputs, parameter groups, freezing.

use super::{GroupSettings, OptimizerConfig};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::tensor::TensorType;

/// Prefix of an instance that is the only one in its graph.
pub const DEFAULT_PREFIX: &str = "optimizer";

/// An optimizer with the parameters that it trains. All its variables and scalar inputs begin with a prefix, so that several
/// fit in one graph or store: the state is `PREFIX.TERM.PARAMETER`, the scalar inputs are `PREFIX.TERM`, and `PREFIX.groupN.TERM`
/// of the N-th parameter group, from 1.
#[derive(Clone, Debug)]
pub struct OptimizerInstance {
    prefix: String,
    /// Settings without a group, then the groups that are trained.
    groups: Vec<Group>,
    /// The trained parameters, in order.
    trained: Vec<Trained>,
    scalar_names: Vec<String>,
    steps_per_epoch: Option<u64>,
}

#[derive(Clone, Debug)]
struct Group {
    /// Prefix of the names of its scalar inputs.
    prefix: String,
    config: OptimizerConfig,
    /// Ratio of its learning rate to that of the optimizer.
    lr_factor: f64,
    unfreeze_epoch: Option<u32>,
}

#[derive(Clone, Debug)]
struct Trained {
    name: String,
    ty: TensorType,
    /// Index into the groups.
    group: usize,
}

/// Term of the scalar input that is 0 until a group's `unfreeze_epoch`, then 1.
const ACTIVE: &str = "active";

impl OptimizerInstance {
    /// The optimizer of `config` for `parameters`, with the settings of `groups` for those that they match.
    ///
    /// # Errors
    /// If a setting is out of its range, a pattern of a group matches no parameter, or every parameter is frozen.
    pub fn new(
        prefix: &str,
        config: &OptimizerConfig,
        groups: &[GroupSettings],
        parameters: &[(String, TensorType)],
    ) -> Result<Self> {
        config.validate()?;
        if let Some((setting, patterns)) = config.optimizer().patterns()
            && !parameters.is_empty()
        {
            patterns.check(&format!("[optimizer] {setting}"), parameters)?;
        }
        let mut built = vec![Group {
            prefix: prefix.to_string(),
            config: config.clone(),
            lr_factor: 1.0,
            unfreeze_epoch: None,
        }];
        // Index of each group in `built`; `None` if it is frozen.
        let mut places = Vec::new();
        for (number, group) in (1..).zip(groups) {
            group.check(number, parameters)?;
            places.push((!group.freeze).then_some(built.len()));
            if !group.freeze {
                built.push(Group::new(prefix, number, config, group)?);
            }
        }
        let place = |name: &str| {
            let matched = groups.iter().position(|g| g.patterns.match_name(name));
            matched.map_or(Some(0), |index| places[index])
        };
        let trained: Vec<Trained> = parameters
            .iter()
            .filter_map(|(name, ty)| {
                Some(Trained {
                    group: place(name)?,
                    name: name.clone(),
                    ty: ty.clone(),
                })
            })
            .collect();
        if trained.is_empty() && !parameters.is_empty() {
            return Err(Error::Config(
                "all parameters are frozen by freeze or [[group]], so there is nothing to train"
                    .to_string(),
            ));
        }
        let scalar_names = built.iter().flat_map(Group::scalar_names).collect();
        Ok(OptimizerInstance {
            prefix: prefix.to_string(),
            groups: built,
            trained,
            scalar_names,
            steps_per_epoch: None,
        })
    }

    /// Sets the number of steps per epoch, which groups with `unfreeze_epoch` need.
    #[must_use]
    pub fn with_steps_per_epoch(mut self, steps: u64) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// Names of the parameters that are not frozen, in their order.
    pub fn trained(&self) -> impl Iterator<Item = &str> {
        self.trained.iter().map(|parameter| &*parameter.name)
    }

    /// Names and types of the state variables; all start at zero.
    pub fn state(&self) -> Vec<(String, TensorType)> {
        let mut terms: Vec<&str> = Vec::new();
        let each: Vec<Vec<&str>> = self.trained.iter().map(|p| self.terms(p)).collect();
        for term in each.iter().flatten() {
            if !terms.contains(term) {
                terms.push(term);
            }
        }
        let of = |term: &str| {
            let having = self.trained.iter().zip(&each);
            having
                .filter(|(_, terms)| terms.contains(&term))
                .map(|(p, _)| (state_name(&self.prefix, term, &p.name), p.ty.clone()))
                .collect::<Vec<_>>()
        };
        terms.into_iter().flat_map(of).collect()
    }

    /// For each trained parameter whose optimizer keeps a running mean of its squared gradients: the parameter, the state variable
    /// with that mean, and the factor that corrects its start at zero after `steps` steps of the run.
    pub fn squared_gradients(&self, steps: u64) -> Vec<(&str, String, f64)> {
        let of = |parameter: &'_ Trained| {
            let group = &self.groups[parameter.group];
            let own = steps.saturating_sub(group.steps_before(self.steps_per_epoch));
            if own == 0 {
                return None;
            }
            let optimizer = group.config.optimizer();
            optimizer.squared_gradients(&parameter.name, &parameter.ty, own)
        };
        let kept = self.trained.iter().filter_map(|parameter| {
            let (term, factor) = of(parameter)?;
            let variable = state_name(&self.prefix, term, &parameter.name);
            Some((&*parameter.name, variable, factor))
        });
        kept.collect()
    }

    fn terms(&self, parameter: &Trained) -> Vec<&'static str> {
        let optimizer = self.groups[parameter.group].config.optimizer();
        optimizer.state(&parameter.name, &parameter.ty)
    }

    /// Adds the update of `params`, the variables of [`OptimizerInstance::trained`] with their names in that order, and of their
    /// state. `grads` are in the same order.
    ///
    /// # Errors
    /// If these are not the trained parameters, a gradient does not fit its parameter, or a group has an `unfreeze_epoch` and
    /// [`OptimizerInstance::with_steps_per_epoch`] was not called.
    pub fn apply<'g>(
        &self,
        builder: &'g Builder,
        params: &[(String, Var<'g>)],
        grads: &[Var<'g>],
    ) -> Result<()> {
        self.check(params, grads)?;
        // The scalar inputs of each group are created once, before any parameter is updated.
        let inputs: Vec<Inputs<'g>> = (0..self.groups.len())
            .map(
                |index| match self.trained.iter().any(|p| p.group == index) {
                    true => self.groups[index].inputs(builder),
                    false => Inputs::default(),
                },
            )
            .collect();
        for ((parameter, (name, value)), &grad) in self.trained.iter().zip(params).zip(grads) {
            let inputs = &inputs[parameter.group];
            let context = ParameterStep {
                builder,
                prefix: &self.prefix,
                name,
                value: *value,
                grad,
                inputs,
            };
            let next = self.groups[parameter.group]
                .config
                .optimizer()
                .update(&context)?;
            context.set(*value, next)?;
        }
        Ok(())
    }

    fn check(&self, params: &[(String, Var<'_>)], grads: &[Var<'_>]) -> Result<()> {
        let prefix = &self.prefix;
        if !params.iter().map(|(name, _)| &**name).eq(self.trained()) {
            let given: Vec<&str> = params.iter().map(|(name, _)| &**name).collect();
            let wanted: Vec<&str> = self.trained().collect();
            return Err(Error::Graph(format!(
                "{prefix} trains {wanted:?}, but was given {given:?}"
            )));
        }
        if grads.len() != params.len() {
            return Err(Error::Graph(format!(
                "{prefix} trains {} parameters, but was given {} gradients",
                params.len(),
                grads.len()
            )));
        }
        if self.steps_per_epoch.is_none() && self.groups.iter().any(|g| g.unfreeze_epoch.is_some())
        {
            return Err(Error::Graph(format!(
                "a group of {prefix} has an unfreeze_epoch, but the number of steps per epoch is unknown"
            )));
        }
        Ok(())
    }

    /// Names of the scalar inputs that the updates may have.
    pub fn scalar_names(&self) -> &[String] {
        &self.scalar_names
    }

    /// Replaces `out` by the values of [`OptimizerInstance::scalar_names`] at step number `step`, from 1, where the schedule gives the
    /// learning rate `lr` to parameters of no group. Allocates nothing if `out` has the capacity.
    pub fn scalars(&self, step: u64, lr: f64, out: &mut Vec<f32>) {
        out.clear();
        for group in &self.groups {
            let before = group.steps_before(self.steps_per_epoch);
            let active = step > before;
            let own = if active { step - before } else { 1 };
            let optimizer = group.config.optimizer();
            optimizer.scalar_values(own, lr * group.lr_factor, out);
            if group.unfreeze_epoch.is_some() {
                out.push(f32::from(u8::from(active)));
            }
        }
    }
}

impl Group {
    fn new(
        prefix: &str,
        number: usize,
        base: &OptimizerConfig,
        settings: &GroupSettings,
    ) -> Result<Group> {
        let lr_factor = match (settings.lr, settings.lr_scale) {
            (Some(lr), _) if base.lr() > 0.0 => lr / base.lr(),
            (Some(_), _) => {
                return Err(Error::Config(format!(
                    "[[group]] {number}: lr needs an [optimizer] lr above 0, from which the schedule's factor is computed"
                )));
            }
            (None, scale) => scale.unwrap_or(1.0),
        };
        let mut config = base.clone();
        if let Some(decay) = settings.weight_decay {
            *config.optimizer_mut().weight_decay_mut() = decay;
        }
        Ok(Group {
            prefix: format!("{prefix}.group{number}"),
            config,
            lr_factor,
            unfreeze_epoch: settings.unfreeze_epoch,
        })
    }

    fn scalar_names(&self) -> impl Iterator<Item = String> {
        let terms = self.config.optimizer().scalars().iter().copied();
        let active = self.unfreeze_epoch.map(|_| ACTIVE);
        terms.chain(active).map(|term| self.scalar_name(term))
    }

    fn scalar_name(&self, term: &str) -> String {
        format!("{}.{term}", self.prefix)
    }

    /// Creates its scalar inputs in the graph.
    fn inputs<'g>(&self, builder: &'g Builder) -> Inputs<'g> {
        let input = |term: &str| builder.input(&self.scalar_name(term), TensorType::f32([]));
        let terms = self.config.optimizer().scalars().iter();
        Inputs {
            scalars: terms.map(|&term| (term, input(term))).collect(),
            active: self.unfreeze_epoch.map(|_| input(ACTIVE)),
        }
    }

    /// Number of steps of the run before the first that trains the group.
    fn steps_before(&self, steps_per_epoch: Option<u64>) -> u64 {
        let epochs = self.unfreeze_epoch.map_or(0, |epoch| epoch - 1);
        u64::from(epochs).saturating_mul(steps_per_epoch.unwrap_or(u64::MAX))
    }
}

/// Scalar inputs of a group in a graph.
#[derive(Default)]
struct Inputs<'g> {
    scalars: Vec<(&'static str, Var<'g>)>,
    /// 0 until the `unfreeze_epoch` of the group.
    active: Option<Var<'g>>,
}

/// A parameter that is being updated, as an [`Optimizer`](super::Optimizer) sees it.
pub struct ParameterStep<'a, 'g> {
    builder: &'g Builder,
    prefix: &'a str,
    name: &'a str,
    value: Var<'g>,
    grad: Var<'g>,
    inputs: &'a Inputs<'g>,
}

impl<'g> ParameterStep<'_, 'g> {
    /// The graph in which the update is built.
    pub fn builder(&self) -> &'g Builder {
        self.builder
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Its value before the step.
    pub fn value(&self) -> Var<'g> {
        self.value
    }

    /// The gradient of the loss.
    pub fn grad(&self) -> Var<'g> {
        self.grad
    }

    /// The state variable `term`, one of those of [`Optimizer::state`](super::Optimizer::state).
    ///
    /// # Errors
    /// If the name is taken by a variable of another type.
    pub fn state(&self, term: &str) -> Result<Var<'g>> {
        let name = state_name(self.prefix, term, self.name);
        self.builder.variable(&name, self.value.ty())
    }

    /// Sets the variable `state` to `next` after the step; until the `unfreeze_epoch` of the group it does not change.
    ///
    /// # Errors
    /// If `state` is not a variable of that type.
    pub fn set(&self, state: Var<'g>, next: Var<'g>) -> Result<()> {
        let next = match self.inputs.active {
            Some(active) => active.select(next, state)?,
            None => next,
        };
        self.builder.update(state, next)
    }

    /// The scalar input `term`, one of those of [`Optimizer::scalars`](super::Optimizer::scalars).
    ///
    /// # Errors
    /// If it is not one of them.
    pub fn scalar(&self, term: &str) -> Result<Var<'g>> {
        let mut scalars = self.inputs.scalars.iter();
        let found = scalars.find(|(known, _)| *known == term);
        found.map(|&(_, input)| input).ok_or_else(|| {
            Error::Graph(format!(
                "{}: the optimizer has no scalar {term}",
                self.prefix
            ))
        })
    }
}

fn state_name(prefix: &str, term: &str, parameter: &str) -> String {
    format!("{prefix}.{term}.{parameter}")
}

#[cfg(test)]
mod tests {
    use super::super::{Adam, AdamW, Sgd};
    use super::*;
    use crate::cpu::{Tensor, Variables, interpret};
    use std::collections::HashMap;
    use std::sync::Arc;

    const NAMES: [&str; 3] = ["stem.weight", "body.weight", "body.bias"];

    fn parameters() -> Vec<(String, TensorType)> {
        NAMES
            .map(|name| (name.to_string(), TensorType::f32([2])))
            .to_vec()
    }

    fn group(text: &str) -> GroupSettings {
        toml::from_str(text).unwrap()
    }

    fn instance(config: impl Into<OptimizerConfig>, groups: &[GroupSettings]) -> OptimizerInstance {
        let config = config.into();
        OptimizerInstance::new(DEFAULT_PREFIX, &config, groups, &parameters()).unwrap()
    }

    fn named_scalars(instance: &OptimizerInstance, step: u64, lr: f64) -> HashMap<String, f32> {
        let mut values = Vec::new();
        instance.scalars(step, lr, &mut values);
        assert_eq!(values.len(), instance.scalar_names().len());
        instance
            .scalar_names()
            .iter()
            .cloned()
            .zip(values)
            .collect()
    }

    /// All variables after each of `steps` steps that begin with parameters of 1 and have gradients of 1.
    fn run(instance: &OptimizerInstance, lr: f64, steps: u64) -> Vec<Variables<f32>> {
        let builder = Builder::new();
        let ty = TensorType::f32([2]);
        let params: Vec<(String, Var<'_>)> = instance
            .trained()
            .map(|name| {
                (
                    name.to_string(),
                    builder.variable(name, ty.clone()).unwrap(),
                )
            })
            .collect();
        let one = builder.constant(1.0).broadcast_to(&ty.shape).unwrap();
        instance
            .apply(&builder, &params, &vec![one; params.len()])
            .unwrap();
        let graph = builder.finish().unwrap();
        let ones = |(name, _)| (name, Arc::new(Tensor::real([2], vec![1.0; 2])));
        let zeros = |(name, ty)| (name, Arc::new(Tensor::zeros(&ty)));
        let mut variables: Variables<f32> = parameters().into_iter().map(ones).collect();
        variables.extend(instance.state().into_iter().map(zeros));
        (1..=steps)
            .map(|step| {
                let inputs = named_scalars(instance, step, lr)
                    .into_iter()
                    .map(|(name, x)| (name, Arc::new(Tensor::real([], vec![x]))))
                    .collect();
                interpret(&graph, &mut variables, &inputs).unwrap();
                variables.clone()
            })
            .collect()
    }

    fn first(variables: &Variables<f32>, name: &str) -> f32 {
        variables[name].reals()[0]
    }

    #[test]
    fn names_begin_with_the_prefix() {
        let config = OptimizerConfig::from(Adam::default());
        let parameters = [("w".to_string(), TensorType::f32([2]))];
        let groups = [group("match = 'w'\nlr_scale = 2")];
        let of = |prefix: &str| {
            let instance = OptimizerInstance::new(prefix, &config, &groups, &parameters).unwrap();
            let state = instance.state().into_iter().map(|(name, _)| name);
            state
                .chain(instance.scalar_names().iter().cloned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of("optimizer"),
            [
                "optimizer.m.w",
                "optimizer.v.w",
                "optimizer.step_size",
                "optimizer.rsqrt_correction",
                "optimizer.group1.step_size",
                "optimizer.group1.rsqrt_correction"
            ]
        );
        assert!(of("critic").iter().all(|name| name.starts_with("critic.")));
    }

    #[test]
    fn two_instances_share_a_graph() {
        let builder = Builder::new();
        for (prefix, name) in [("generator", "g"), ("critic", "c")] {
            let ty = TensorType::f32([2]);
            let config = OptimizerConfig::from(Adam::default());
            let parameters = [(name.to_string(), ty.clone())];
            let instance = OptimizerInstance::new(prefix, &config, &[], &parameters).unwrap();
            let p = builder.variable(name, ty).unwrap();
            instance
                .apply(&builder, &[(name.to_string(), p)], &[p])
                .unwrap();
        }
        assert_eq!(builder.finish().unwrap().updates.len(), 6);
    }

    #[test]
    fn a_group_has_its_own_rate_and_decay() {
        let sgd = Sgd {
            lr: 0.5,
            weight_decay: 0.5,
            ..Sgd::default()
        };
        let groups = [
            group("match = 'body.weight'\nlr = 0.25\nweight_decay = 0"),
            group("match = 'body.*'\nlr_scale = 0.1"),
        ];
        let instance = instance(sgd, &groups);
        // The schedule is at half of the base rate.
        let scalars = named_scalars(&instance, 7, 0.25);
        assert_eq!(scalars["optimizer.lr"], 0.25);
        assert_eq!(scalars["optimizer.group1.lr"], 0.125);
        assert_eq!(scalars["optimizer.group2.lr"], 0.025);
        let after = &run(&instance, 0.5, 1)[0];
        assert_eq!(first(after, "stem.weight"), 1.0 - 0.5 * 1.5);
        assert_eq!(first(after, "body.weight"), 1.0 - 0.25);
        assert_eq!(first(after, "body.bias"), 1.0 - 0.05 * 1.5);
    }

    #[test]
    fn what_is_frozen_has_no_state_and_no_update() {
        let instance = instance(
            Adam::default(),
            &[
                group("match = 'stem.*'\nfreeze = true"),
                group("match = '*'"),
            ],
        );
        assert!(instance.trained().eq(["body.weight", "body.bias"]));
        assert!(instance.state().iter().all(|(n, _)| !n.contains("stem")));
        let after = &run(&instance, 0.1, 1)[0];
        assert_eq!(first(after, "stem.weight"), 1.0);
        assert!(first(after, "body.weight") < 1.0);
    }

    #[test]
    fn a_group_waits_for_its_epoch_and_then_begins_as_at_the_first_step() {
        let waiting = instance(
            AdamW::default(),
            &[group("match = 'stem.*'\nunfreeze_epoch = 3")],
        )
        .with_steps_per_epoch(2);
        let after = run(&waiting, 0.1, 6);
        for variables in &after[..4] {
            assert_eq!(first(variables, "stem.weight"), 1.0);
            assert_eq!(first(variables, "optimizer.m.stem.weight"), 0.0);
        }
        let at_once = run(&instance(AdamW::default(), &[]), 0.1, 2);
        for (late, early) in after[4..].iter().zip(&at_once) {
            for name in ["stem.weight", "optimizer.v.stem.weight"] {
                assert_eq!(first(late, name), first(early, name));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |text: &str, parameters: &[(String, TensorType)]| {
            let config = OptimizerConfig::from(Sgd::default());
            OptimizerInstance::new(DEFAULT_PREFIX, &config, &[group(text)], parameters)
                .unwrap_err()
                .to_string()
        };
        let message = error("match = ['*.bias', 'steam.*']", &parameters());
        assert!(
            message.contains("steam.*") && message.contains("stem.weight"),
            "{message}"
        );
        let message = error("match = '*'\nfreeze = true", &parameters());
        assert!(message.contains("nothing to train"), "{message}");
        let waiting = instance(
            Sgd::default(),
            &[group("match = 'stem.*'\nunfreeze_epoch = 3")],
        );
        let builder = Builder::new();
        let ty = TensorType::f32([2]);
        let params: Vec<_> = NAMES
            .iter()
            .map(|n| (n.to_string(), builder.variable(n, ty.clone()).unwrap()))
            .collect();
        let grads: Vec<_> = params.iter().map(|(_, p)| *p).collect();
        let message = waiting.apply(&builder, &params, &grads).unwrap_err();
        assert!(message.to_string().contains("steps"), "{message}");
        let message = waiting
            .apply(&builder, &params[1..], &grads[1..])
            .unwrap_err();
        assert!(message.to_string().contains("was given"), "{message}");
    }

    #[test]
    fn values_of_scalars_reuse_their_memory() {
        let instance = instance(AdamW::default(), &[group("match = '*.bias'")]);
        let mut values = Vec::with_capacity(instance.scalar_names().len());
        let place = values.as_ptr();
        for step in 1..4 {
            instance.scalars(step, 0.1, &mut values);
            assert_eq!(values.len(), 6);
        }
        assert_eq!(values.as_ptr(), place);
    }
}
