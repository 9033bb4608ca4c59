//! Ensembles: several trained models of the same inputs and outputs, whose predictions are averaged, as one model.
//!
//! Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", 2017.

use super::forward::Forward;
use super::model::{Model, ModelInput, ModelOutput};
use super::network::Network;
use super::parameter::Parameter;
use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::Var;

/// How the outputs of several models become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Averaging {
    /// Logits of classes along the last axis: the logarithm of the mean of their probabilities.
    Probabilities,
    /// Logits of single answers: the logit of the mean of their probabilities.
    Answers,
    /// Numbers: their mean.
    Numbers,
}

/// Probabilities of single answers are kept this far from 0 and 1, so that their logits are finite.
const LEAST: f64 = 1e-7;

/// Several models as one. Their variables are called `member1.NAME`, `member2.NAME` and so on.
#[derive(Clone, Debug)]
pub struct Ensemble {
    name: String,
    members: Vec<Network>,
    averaging: Averaging,
    parameters: Vec<Parameter>,
    buffers: Vec<Parameter>,
    counters: Vec<String>,
    aliases: Vec<(String, String)>,
}

impl Ensemble {
    /// The ensemble of `members`, which have no prefix.
    ///
    /// # Errors
    /// If there is none, or they take or give different things.
    pub fn new(members: Vec<Network>, averaging: Averaging) -> Result<Ensemble> {
        let Some(first) = members.first() else {
            return Err(Error::Config(
                "an ensemble needs at least one run".to_string(),
            ));
        };
        for other in &members {
            if other.inputs() != first.inputs() || other.outputs() != first.outputs() {
                return Err(Error::Config(format!(
                    "model {} takes {:?} and gives {:?}, but model {} takes {:?} and gives {:?}; predictions can only be averaged if both \
                     are the same",
                    first.name(),
                    samples(first),
                    shapes(first),
                    other.name(),
                    samples(other),
                    shapes(other)
                )));
            }
        }
        let name = format!("{} x {}", members.len(), first.name());
        let prefixed = (1..).zip(members);
        let members: Vec<Network> = prefixed
            .map(|(number, member)| member.with_prefix(&format!("member{number}")))
            .collect();
        let all = |of: fn(&Network) -> &[Parameter]| -> Vec<Parameter> {
            members.iter().flat_map(of).cloned().collect()
        };
        Ok(Ensemble {
            name,
            averaging,
            parameters: all(|member| member.parameters()),
            buffers: all(|member| member.buffers()),
            counters: members.iter().flat_map(|m| m.counters().to_vec()).collect(),
            aliases: members.iter().flat_map(|m| m.aliases().to_vec()).collect(),
            members,
        })
    }

    /// The values of [`Model::state`], from those of every member.
    pub fn values(&self, of_members: &[Vec<Tensor<f32>>]) -> Vec<Tensor<f32>> {
        let pairs = || self.members.iter().zip(of_members);
        let weights = pairs()
            .flat_map(|(member, values)| values.iter().take(member.parameters().len()).cloned());
        let buffers = pairs()
            .flat_map(|(member, values)| values.iter().skip(member.parameters().len()).cloned());
        weights.chain(buffers).collect()
    }

    fn averaged<'g>(&self, outputs: &[Var<'g>]) -> Result<Var<'g>> {
        let count = outputs.len() as f64;
        let sum = |each: Vec<Var<'g>>| {
            each.into_iter()
                .map(Ok)
                .reduce(|sum, next| sum?.add(next?))
                .unwrap_or_else(|| Err(Error::Graph("an ensemble has no member".to_string())))
        };
        let changed = |change: &dyn Fn(Var<'g>) -> Result<Var<'g>>| {
            let each = outputs.iter().map(|&output| change(output));
            each.collect::<Result<Vec<_>>>()
        };
        match self.averaging {
            Averaging::Numbers => sum(outputs.to_vec())?.scale(1.0 / count),
            Averaging::Probabilities => {
                let logs = changed(&Var::log_softmax)?;
                let largest = logs.iter().copied().map(Ok);
                let largest = largest.reduce(|most, next| most?.maximum(next?));
                let largest = largest.unwrap_or_else(|| {
                    Err(Error::Graph("an ensemble has no member".to_string()))
                })?;
                let parts = logs.into_iter().map(|log| log.sub(largest)?.exp());
                let mean = sum(parts.collect::<Result<Vec<_>>>()?)?.scale(1.0 / count)?;
                mean.log()?.add(largest)
            }
            Averaging::Answers => {
                let mean = sum(changed(&Var::sigmoid)?)?.scale(1.0 / count)?;
                let mean = mean.clamp(LEAST, 1.0 - LEAST)?;
                let rest = mean.builder().constant(1.0).sub(mean)?;
                mean.log()?.sub(rest.log()?)
            }
        }
    }
}

fn samples(model: &Network) -> Vec<Vec<usize>> {
    model
        .inputs()
        .iter()
        .map(|input| input.spec.sample())
        .collect()
}

fn shapes(model: &Network) -> Vec<Vec<usize>> {
    let outputs = model.outputs().iter();
    outputs.map(|output| output.shape.clone()).collect()
}

impl Model for Ensemble {
    fn name(&self) -> &str {
        &self.name
    }

    fn inputs(&self) -> &[ModelInput] {
        self.members.first().map_or(&[], |member| member.inputs())
    }

    fn outputs(&self) -> &[ModelOutput] {
        self.members.first().map_or(&[], |member| member.outputs())
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn buffers(&self) -> &[Parameter] {
        &self.buffers
    }

    fn counters(&self) -> &[String] {
        &self.counters
    }

    fn aliases(&self) -> &[(String, String)] {
        &self.aliases
    }

    fn forward<'g>(&self, cx: &mut Forward<'g>, inputs: &[Var<'g>]) -> Result<Vec<Var<'g>>> {
        let mut of_members = Vec::with_capacity(self.members.len());
        for member in &self.members {
            of_members.push(member.forward(cx, inputs)?);
        }
        (0..self.outputs().len())
            .map(|output| {
                let each = of_members.iter().filter_map(|outputs| outputs.get(output));
                self.averaged(&each.copied().collect::<Vec<_>>())
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::interpret;
    use crate::graph::Builder;
    use crate::nn::ModelSpec;
    use crate::tensor::TensorType;
    use crate::toml_text::parse;
    use std::collections::HashMap;
    use std::sync::Arc;

    fn member(units: usize) -> Network {
        let spec: ModelSpec = parse(
            &format!(
                "name = \"m\"\ninput = [2]\nlayer = [{{ type = \"dense\", units = {units}, bias = false }}]"
            ),
            "test",
        )
        .unwrap();
        Network::new(spec).unwrap()
    }

    /// The output of an ensemble of two dense layers for the sample (1, 0), whose logits are `a` and `b`.
    fn averaged(averaging: Averaging, a: [f64; 2], b: [f64; 2]) -> Vec<f64> {
        let ensemble = Ensemble::new(vec![member(2), member(2)], averaging).unwrap();
        let builder = Builder::new();
        let x = builder.input("x", TensorType::f32([1, 2]));
        let mut cx = Forward::evaluation(&builder);
        let y = ensemble.forward(&mut cx, &[x]).unwrap();
        builder.output("y", y[0]);
        drop(cx);
        let graph = builder.finish().unwrap();
        let names = ensemble.state().map(|part| part.name.clone());
        let weights = [a, b].map(|[first, second]| {
            // [units, inputs]
            Arc::new(Tensor::<f64>::real([2, 2], vec![first, 0.0, second, 0.0]))
        });
        let mut variables: HashMap<_, _> = names.zip(weights).collect();
        let x = Arc::new(Tensor::real([1, 2], vec![1.0, 0.0]));
        let inputs = HashMap::from([("x".to_string(), x)]);
        let outputs: Vec<Arc<Tensor<f64>>> = interpret(&graph, &mut variables, &inputs).unwrap();
        outputs[0].reals().to_vec()
    }

    #[test]
    fn probabilities_and_numbers_are_averaged() {
        let (a, b) = ([2.0, -1.0], [0.5, 3.0]);
        assert_eq!(averaged(Averaging::Numbers, a, b), [1.25, 1.0]);
        let softmax = |x: [f64; 2]| x.map(|v| v.exp() / (x[0].exp() + x[1].exp()));
        let found = averaged(Averaging::Probabilities, a, b);
        let (p, q) = (softmax(a), softmax(b));
        for class in 0..2 {
            assert!((found[class].exp() - (p[class] + q[class]) / 2.0).abs() < 1e-12);
        }
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let found = averaged(Averaging::Answers, a, b);
        for answer in 0..2 {
            let mean = (sigmoid(a[answer]) + sigmoid(b[answer])) / 2.0;
            assert!((sigmoid(found[answer]) - mean).abs() < 1e-12);
        }
        // Also where one is certain.
        let certain = averaged(Averaging::Probabilities, [900.0, 0.0], [0.0, 900.0]);
        assert!(certain.iter().all(|x| (x - 0.5_f64.ln()).abs() < 1e-12));
        let certain = averaged(Averaging::Answers, [900.0, 0.0], [900.0, 0.0]);
        assert!(certain.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn members_that_differ_are_refused_and_values_are_sorted() {
        let refused = Ensemble::new(vec![member(2), member(3)], Averaging::Numbers);
        assert!(refused.unwrap_err().to_string().contains("gives [[3]]"));
        assert!(Ensemble::new(Vec::new(), Averaging::Numbers).is_err());
        let spec = "name = \"n\"\ninput = [2]\nlayer = [{ type = \"dense\", units = 2 }, { type = \"batch_norm\" }]";
        let network = Network::new(parse(spec, "test").unwrap()).unwrap();
        let each: Vec<Vec<Tensor<f32>>> = [1, 2].map(|seed| network.initial_state(seed)).into();
        let ensemble = Ensemble::new(vec![network.clone(), network], Averaging::Numbers).unwrap();
        let values = ensemble.values(&each);
        for (part, value) in ensemble.state().zip(&values) {
            assert_eq!(part.ty, value.ty(), "{}", part.name);
        }
        assert_eq!(values.len(), 2 * each[0].len());
    }
}
