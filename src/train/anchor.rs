//! A quadratic penalty on how far parameters move from earlier values: elastic weight consolidation, Kirkpatrick et al. 2017,
//! "Overcoming catastrophic forgetting in neural networks".

use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use std::collections::BTreeMap;

/// The penalty `strength / 2 * sum_i importance_i (parameter_i - value_i)^2`.
#[derive(Clone, Debug, PartialEq)]
pub struct Anchor {
    /// The factor, lambda in the paper.
    pub strength: f64,
    /// A term for each parameter that is held.
    pub terms: Vec<AnchorTerm>,
}

/// The quadratic that holds one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorTerm {
    /// Name of the parameter.
    pub name: String,
    /// The values that it is held at.
    pub value: Tensor<f32>,
    /// How important each element is.
    pub importance: Tensor<f32>,
}

/// The variables of the values and of the importance of a parameter. No layer's name holds a colon, so no parameter has one of them.
fn names(parameter: &str) -> [String; 2] {
    ["value", "importance"].map(|what| format!("anchor:{what}.{parameter}"))
}

impl Anchor {
    /// The penalty as a scalar node, for those of `weights` that are held; `None` if there are none.
    ///
    /// # Errors
    /// If a parameter has another shape than its term.
    pub(super) fn penalty<'g>(
        &self,
        builder: &'g Builder,
        weights: &[(String, Var<'g>)],
    ) -> Result<Option<Var<'g>>> {
        let _scope = builder.scope("anchor");
        let mut sum: Option<Var<'g>> = None;
        for (name, weight) in weights {
            let Some(term) = self.terms.iter().find(|term| term.name == *name) else {
                continue;
            };
            if term.value.ty() != weight.ty() || term.importance.ty() != weight.ty() {
                return Err(Error::Config(format!(
                    "{name} is a {}, but is held at values that are a {}; go on from a run of the same model",
                    weight.ty(),
                    term.value.ty()
                )));
            }
            let [value, importance] = names(name);
            let moved = weight.sub(builder.variable(&value, weight.ty())?)?;
            let importance = builder.variable(&importance, weight.ty())?;
            let held = importance.mul(moved.mul(moved)?)?.sum_all()?;
            sum = Some(match sum {
                Some(sum) => sum.add(held)?,
                None => held,
            });
        }
        let factor = builder.constant(0.5 * self.strength);
        sum.map(|sum| sum.mul(factor)).transpose()
    }

    /// The variables that the penalty reads, with their values.
    pub(super) fn variables(&self) -> impl Iterator<Item = (String, &Tensor<f32>)> {
        self.terms.iter().flat_map(|term| {
            let [value, importance] = names(&term.name);
            [(value, &term.value), (importance, &term.importance)]
        })
    }
}

/// The sum of the quadratics `earlier` and `later`, as one quadratic for each parameter, up to a constant: importances are added,
/// and the value is the mean weighted by them, or the later one where nothing is important. A later term may be larger along one axis;
/// then the earlier one stands for its first elements.
///
/// # Errors
/// If terms of one parameter do not fit each other.
pub fn summed_terms(earlier: Vec<AnchorTerm>, later: Vec<AnchorTerm>) -> Result<Vec<AnchorTerm>> {
    let mut terms: BTreeMap<String, AnchorTerm> = BTreeMap::new();
    for term in earlier {
        terms.insert(term.name.clone(), term);
    }
    for term in later {
        let sum = match terms.remove(&term.name) {
            Some(before) => before.grown(&term.value)?.plus(&term),
            None => term,
        };
        terms.insert(sum.name.clone(), sum);
    }
    Ok(terms.into_values().collect())
}

impl AnchorTerm {
    /// The same term for a parameter of the shape of `like`, which may be larger along one axis: nothing is important there, and the
    /// values are those of `like`.
    ///
    /// # Errors
    /// If the shapes differ otherwise.
    pub fn grown(self, like: &Tensor<f32>) -> Result<AnchorTerm> {
        let zeros = Tensor::zeros(&like.ty());
        let both = [(&self.value, like), (&self.importance, &zeros)];
        match both.map(|(values, larger)| values.within(larger)) {
            [Some(value), Some(importance)] => Ok(AnchorTerm {
                name: self.name,
                value,
                importance,
            }),
            _ => Err(Error::Config(format!(
                "{} is a {} in an earlier run and a {} in a later one, which only new classes may make larger; go on from a run of the same \
                 model",
                self.name,
                self.value.ty(),
                like.ty()
            ))),
        }
    }

    /// The sum with the term `later` of the same shape.
    fn plus(&self, later: &AnchorTerm) -> AnchorTerm {
        let importances = || {
            let pairs = self.importance.reals().iter().zip(later.importance.reals());
            pairs.map(|(&a, &b)| [f64::from(a), f64::from(b)])
        };
        let values = self.value.reals().iter().zip(later.value.reals());
        let mean = values.zip(importances()).map(|((&a, &b), [f, g])| {
            if f + g > 0.0 {
                ((f * f64::from(a) + g * f64::from(b)) / (f + g)) as f32
            } else {
                b
            }
        });
        let shape = &later.value.shape;
        AnchorTerm {
            name: later.name.clone(),
            value: Tensor::real(shape.clone(), mean.collect()),
            importance: Tensor::real(
                shape.clone(),
                importances().map(|[f, g]| (f + g) as f32).collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::gradients;
    use crate::cpu::{Variables, interpret};
    use crate::tensor::TensorType;
    use std::collections::HashMap;
    use std::sync::Arc;

    fn term(value: Vec<f32>, importance: Vec<f32>) -> AnchorTerm {
        let shape = [value.len()];
        AnchorTerm {
            name: "w".to_string(),
            value: Tensor::real(shape, value),
            importance: Tensor::real(shape, importance),
        }
    }

    /// The quadratic without its factor one half, at `w`.
    fn at(term: &AnchorTerm, w: &[f32]) -> f32 {
        let terms = term.value.reals().iter().zip(term.importance.reals());
        let all = terms.zip(w).map(|((v, f), w)| f * (w - v).powi(2));
        all.sum()
    }

    #[test]
    fn the_gradient_of_the_penalty_is_that_of_the_quadratic() {
        let anchor = Anchor {
            strength: 3.0,
            terms: vec![term(vec![1.0, -1.0], vec![2.0, 0.5])],
        };
        let builder = Builder::new();
        let w = builder.variable("w", TensorType::f32([2])).unwrap();
        let other = builder.variable("other", TensorType::f32([2])).unwrap();
        let weights = [("w".to_string(), w), ("other".to_string(), other)];
        let penalty = anchor.penalty(&builder, &weights).unwrap().unwrap();
        let grads = gradients(penalty, &[w, other]).unwrap();
        builder.output("penalty", penalty);
        builder.output("w", grads[0]);
        builder.output("other", grads[1]);
        let graph = builder.finish().unwrap();
        let mut variables: Variables<f32> = HashMap::new();
        for (name, values) in [("w", vec![2.0, 3.0]), ("other", vec![5.0, 5.0])] {
            variables.insert(name.to_string(), Arc::new(Tensor::real([2], values)));
        }
        for (name, value) in anchor.variables() {
            variables.insert(name, Arc::new(value.clone()));
        }
        let found = interpret(&graph, &mut variables, &HashMap::new()).unwrap();
        // 3 / 2 * (2 * 1^2 + 0.5 * 4^2), 3 * 2 * 1, 3 * 0.5 * 4.
        assert_eq!(found[0].reals(), [15.0]);
        assert_eq!(found[1].reals(), [6.0, 6.0]);
        assert_eq!(found[2].reals(), [0.0, 0.0]);
        assert!(anchor.penalty(&Builder::new(), &[]).unwrap().is_none());
    }

    #[test]
    fn the_sum_of_two_quadratics_differs_from_one_by_a_constant() {
        let first = term(vec![1.0, 4.0, 2.0], vec![2.0, 0.0, 0.0]);
        let second = term(vec![4.0, -2.0, 3.0], vec![1.0, 3.0, 0.0]);
        let both = summed_terms(vec![first.clone()], vec![second.clone()]).unwrap();
        assert_eq!(both[0].value.reals(), [2.0, -2.0, 3.0]);
        assert_eq!(both[0].importance.reals(), [3.0, 3.0, 0.0]);
        let differences = [[0.0, 0.0, 0.0], [5.0, 1.0, -7.0], [-1.0, 2.0, 0.5]];
        let differences = differences.map(|w| at(&first, &w) + at(&second, &w) - at(&both[0], &w));
        assert_eq!(differences, [differences[0]; 3]);
    }

    #[test]
    fn a_parameter_may_grow_along_one_axis() {
        let small = term(vec![1.0], vec![2.0]);
        let large = term(vec![3.0, 5.0], vec![2.0, 1.0]);
        let both = summed_terms(vec![small.clone()], vec![large.clone()]).unwrap();
        assert_eq!(both[0].value.reals(), [2.0, 5.0]);
        assert_eq!(both[0].importance.reals(), [4.0, 1.0]);
        let refused = summed_terms(vec![large], vec![small]).unwrap_err();
        assert!(refused.to_string().contains("new classes"), "{refused}");
        let alone = term(vec![1.0], vec![1.0]);
        assert_eq!(
            summed_terms(vec![alone.clone()], Vec::new()).unwrap(),
            [alone]
        );
    }
}
