//! The rules of a graph, checked whenever one is finished or rewritten.

use super::{Graph, NodeKind};
use crate::error::{Error, Result};
use std::collections::HashSet;

impl Graph {
    /// Checks that operands come before their users, that the type of every operation is the one its shape rule gives,
    /// that every variable and input has a single node, and that updates fit.
    ///
    /// # Errors
    /// Names the first node that violates a rule.
    pub fn verify(&self) -> Result<()> {
        let (mut variables, mut inputs) = (HashSet::new(), HashSet::new());
        for id in self.ids() {
            let node = self.node(id);
            let fail = |what: String| {
                Err(Error::Graph(format!(
                    "node %{} ({}) {what}",
                    id.index(),
                    node.label()
                )))
            };
            if let Some(late) = node.inputs.iter().find(|input| **input >= id) {
                return fail(format!("uses %{}, which comes later", late.index()));
            }
            match &node.kind {
                NodeKind::Op(op) => {
                    let types = self.operand_types(node);
                    match op.infer(&types) {
                        Ok(ty) if ty == node.ty => {}
                        Ok(ty) => {
                            return fail(format!("is typed {} but its rule gives {ty}", node.ty));
                        }
                        Err(message) => return fail(message),
                    }
                }
                NodeKind::Variable(name) if !variables.insert(name.clone()) => {
                    return fail("is a second node for the same variable".into());
                }
                NodeKind::Input(name) if !inputs.insert(name.clone()) => {
                    return fail(
                        "is a second input of that name; give it a name of its own, or use the first one's node in both places"
                            .into(),
                    );
                }
                _ if !node.inputs.is_empty() => return fail("is a leaf with operands".into()),
                _ => {}
            }
        }
        let mut updated = HashSet::new();
        for update in &self.updates {
            let variable = self.node(update.variable);
            let name = variable.label();
            if !matches!(variable.kind, NodeKind::Variable(_)) {
                return Err(Error::Graph(format!(
                    "{name} is updated but is not a variable"
                )));
            }
            if !updated.insert(update.variable) {
                return Err(Error::Graph(format!("{name} is updated twice in one step")));
            }
            if variable.ty != *self.ty(update.value) {
                return Err(Error::Graph(format!(
                    "{name} is a {} and can't take a {}",
                    variable.ty,
                    self.ty(update.value)
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::Builder;
    use crate::optim::{OptimizerConfig, OptimizerInstance, Sgd};
    use crate::tensor::TensorType;

    #[test]
    fn a_second_input_of_one_name_is_refused_whatever_its_type() {
        for other in [TensorType::f32([]), TensorType::u32([])] {
            let builder = Builder::new();
            builder.input("rate", TensorType::f32([]));
            builder.input("rate", other);
            let error = builder.finish().unwrap_err().to_string();
            assert!(error.contains("(rate) is a second input"), "{error}");
        }
    }

    #[test]
    fn two_optimizers_do_not_share_a_learning_rate_unnoticed() {
        let builder = Builder::new();
        for name in ["a", "b"] {
            let weight = builder.variable(name, TensorType::f32([2])).unwrap();
            let (config, ty) = (OptimizerConfig::from(Sgd::default()), weight.ty());
            let named = [(name.to_string(), ty)];
            let optimizer = OptimizerInstance::new("optimizer", &config, &[], &named).unwrap();
            let params = [(name.to_string(), weight)];
            optimizer.apply(&builder, &params, &[weight]).unwrap();
        }
        let error = builder.finish().unwrap_err().to_string();
        assert!(error.contains("lr) is a second input"), "{error}");
    }
}
