//! The inputs of a prepared graph, and which of them must be fed before a step.

use crate::cpu::Tensor;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeKind};
use crate::tensor::TensorType;

/// Inputs with their types, one for each name.
pub(super) struct TensorInputs(Vec<Input>);

struct Input {
    name: String,
    ty: TensorType,
    /// Whether a step lacks it, that is, reads it although it was never fed.
    lacking: bool,
}

impl TensorInputs {
    /// The inputs of `graph`, none of them fed yet. `reads` tells which of them a step reads.
    ///
    /// # Errors
    /// If two inputs of one name have different types.
    pub fn new(graph: &Graph, reads: impl Fn(&str) -> bool) -> Result<Self> {
        let mut inputs: Vec<Input> = Vec::new();
        for node in &graph.nodes {
            let NodeKind::Input(name) = &node.kind else {
                continue;
            };
            match inputs.iter().find(|known| *known.name == **name) {
                Some(known) if known.ty != node.ty => {
                    return Err(Error::Graph(format!(
                        "input {name} is a {} and also a {}; give one of them another name",
                        known.ty, node.ty
                    )));
                }
                Some(_) => {}
                None => inputs.push(Input {
                    name: name.to_string(),
                    ty: node.ty.clone(),
                    lacking: node.ty.shape.rank() > 0 && reads(name),
                }),
            }
        }
        Ok(TensorInputs(inputs))
    }

    /// Checks that `value` may be fed to `name`, and marks it as fed.
    ///
    /// # Errors
    /// If there is no such input, it is a scalar, or it has another type.
    pub fn feed(&mut self, name: &str, value: &Tensor<f32>) -> Result<()> {
        let mut inputs = self.0.iter_mut();
        let input = inputs
            .find(|input| input.name == name)
            .ok_or_else(|| Error::Graph(format!("there is no input {name}")))?;
        if input.ty.shape.rank() == 0 {
            return Err(Error::Graph(format!(
                "input {name} is a scalar; pass its value with the scalars of the steps"
            )));
        }
        if (input.ty.dtype, &input.ty.shape) != (value.dtype(), &value.shape) {
            return Err(Error::Graph(format!(
                "input {name} is a {}, but a {} was given",
                input.ty,
                value.ty()
            )));
        }
        input.lacking = false;
        Ok(())
    }

    /// Checks that all inputs of a step were fed.
    ///
    /// # Errors
    /// Names the first input that was never fed.
    pub fn check(&self) -> Result<()> {
        match self.0.iter().find(|input| input.lacking) {
            Some(Input { name, ty, .. }) => Err(Error::Graph(format!(
                "input {name}, a {ty}, has no value; feed it before running the program"
            ))),
            None => Ok(()),
        }
    }
}
