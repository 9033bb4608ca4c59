//! Exact properties of attention, not up to rounding: the score of a query that sees a single key has gradient 0, because Adam
//! makes a full step of any rounding error.

use crate::support;
use std::collections::HashMap;
use std::sync::Arc;
use wgrad::Result;
use wgrad::autodiff::gradients;
use wgrad::cpu::{Tensor, Variables, interpret};
use wgrad::gpu::{Program, Store};
use wgrad::graph::{Builder, Graph};
use wgrad::ops::Operand;
use wgrad::plan::{Plan, Target, TextureReads};
use wgrad::random::Stream;
use wgrad::tensor::{Shape, TensorType};

/// A graph with one variable `x`, its values, and the output `gradient` with respect to it.
struct Trial {
    graph: Graph,
    values: HashMap<String, Tensor<f32>>,
}

/// The gradient of attention over `time` positions under an uneven upstream gradient.
fn attention(
    heads: usize,
    head_dim: usize,
    time: usize,
    causal: bool,
    lengths: Option<&[u32]>,
) -> Result<Trial> {
    let batch = lengths.map_or(2, <[u32]>::len);
    let mut values = HashMap::new();
    let mut stream = Stream::new(11, 1);
    let builder = Builder::new();
    let mut variable = |name: &str, shape: Shape| {
        let operand = Operand::uniform(shape);
        values.insert(name.to_string(), operand.sample(&mut stream));
        builder.variable(name, operand.ty)
    };
    let x = variable("x", [batch, time, 3 * heads * head_dim].into())?;
    let upstream = variable("upstream", [batch, time, heads * head_dim].into())?;
    let padding = match lengths {
        Some(lengths) => {
            let value = Tensor::index([batch], lengths.to_vec());
            values.insert("lengths".to_string(), value);
            Some(builder.variable("lengths", TensorType::u32([batch]))?)
        }
        None => None,
    };
    let loss = x
        .attention(heads, causal, padding)?
        .mul(upstream)?
        .sum_all()?;
    builder.output("gradient", gradients(loss, &[x])?[0]);
    let graph = builder.finish()?;
    Ok(Trial { graph, values })
}

/// The gradient of the softmax of rows with a single element.
fn softmax() -> Result<Trial> {
    let builder = Builder::new();
    let (operand, mut stream) = (Operand::uniform([37, 1]), Stream::new(12, 1));
    let x = builder.variable("x", operand.ty.clone())?;
    let upstream = builder.variable("upstream", operand.ty.clone())?;
    let loss = x.softmax()?.mul(upstream)?.sum_all()?;
    builder.output("gradient", gradients(loss, &[x])?[0]);
    let values = ["x", "upstream"].map(|name| (name.to_string(), operand.sample(&mut stream)));
    let graph = builder.finish()?;
    Ok(Trial {
        graph,
        values: values.into(),
    })
}

impl Trial {
    fn in_the_reference(&self) -> Result<Vec<f32>> {
        let values = self.values.iter();
        let mut variables: Variables<f32> = values
            .map(|(name, value)| (name.clone(), Arc::new(value.clone())))
            .collect();
        let outputs = interpret(&self.graph, &mut variables, &HashMap::new())?;
        Ok(outputs[0].reals().to_vec())
    }

    /// The gradients on the adapter, for every kernel variant, alternately with and without texture views; none without an
    /// adapter.
    fn on_the_adapter(&self) -> Result<Vec<Vec<f32>>> {
        let Some(gpu) = support::gpu() else {
            return Ok(Vec::new());
        };
        let mut gradients = Vec::new();
        for (n, variant) in Plan::variants(&self.graph, &gpu.target)?
            .into_iter()
            .enumerate()
        {
            let texture_reads = match n % 2 {
                0 => TextureReads::Always,
                _ => TextureReads::Never,
            };
            let target = Target {
                texture_reads,
                ..gpu.target.clone()
            };
            let mut store = Store::new();
            for (name, value) in &self.values {
                store.set(gpu, name, value)?;
            }
            let plan = Plan::with_variant(&self.graph, &target, Some(variant))?;
            let mut program = Program::new(gpu, &plan, &store)?;
            program.poison(gpu)?;
            program.run(gpu, 1, &[])?;
            gradients.push(program.read(gpu, "gradient")?.reals().to_vec());
        }
        Ok(gradients)
    }

    fn everywhere(&self) -> Result<Vec<Vec<f32>>> {
        let mut all = self.on_the_adapter()?;
        all.push(self.in_the_reference()?);
        Ok(all)
    }
}

#[test]
fn queries_and_keys_have_no_gradient_where_a_single_key_is_seen() -> Result<()> {
    // A single position; samples with one key; causal attention over one key.
    let trials = [
        (attention(2, 4, 1, false, None)?, 8),
        (attention(3, 16, 9, false, Some(&[1, 1]))?, 48),
        (attention(1, 40, 6, true, Some(&[1, 1, 1]))?, 40),
        (attention(2, 32, 33, true, Some(&[1]))?, 64),
    ];
    for (trial, width) in trials {
        for gradient in trial.everywhere()? {
            for position in gradient.chunks(3 * width) {
                let (scores, values) = position.split_at(2 * width);
                assert!(scores.iter().all(|&g| g == 0.0), "{scores:?}");
                assert!(values.iter().all(|g| g.is_finite()));
            }
            assert!(gradient.iter().any(|&g| g != 0.0), "values have a gradient");
        }
    }
    Ok(())
}

#[test]
fn a_causal_first_query_has_no_gradient_and_the_others_have_one() -> Result<()> {
    let (heads, head_dim, time) = (2, 8, 7);
    let width = heads * head_dim;
    for gradient in attention(heads, head_dim, time, true, None)?.everywhere()? {
        for sample in gradient.chunks(time * 3 * width) {
            let mut positions = sample.chunks(3 * width).map(|position| &position[..width]);
            let first = positions.next().unwrap();
            assert!(first.iter().all(|&g| g == 0.0), "{first:?}");
            assert!(positions.all(|query| query.iter().all(|&g| g != 0.0)));
        }
    }
    Ok(())
}

#[test]
fn the_softmax_of_one_number_has_no_gradient() -> Result<()> {
    for gradient in softmax()?.everywhere()? {
        assert!(gradient.iter().all(|&g| g == 0.0), "{gradient:?}");
    }
    Ok(())
}
