//! Clipped gradients against those of single samples, computed one after another in double precision.

use super::*;
use crate::autodiff::gradients;
use crate::cpu::{Tensor, Variables, interpret};
use crate::ops::conv2d::Conv2d;
use crate::random::Stream;
use crate::tensor::TensorType;
use std::sync::Arc;

const SAMPLES: usize = 3;
const BOUND: f64 = 0.1;

/// Fields, parameters and the losses of a network.
struct Built<'g> {
    fields: Vec<Var<'g>>,
    parameters: Vec<Var<'g>>,
    losses: Var<'g>,
}

/// Random values for all variables and inputs of the graph, with the indices in `rows` below that number.
fn values(builder: &Builder, rows: u32) -> (Variables<f64>, Variables<f64>) {
    let mut stream = Stream::new(5, 1);
    let mut variables = Variables::new();
    let mut inputs = Variables::new();
    builder.with_graph(|graph| {
        for node in &graph.nodes {
            let count = node.ty.elements();
            let value = match node.ty.dtype {
                crate::tensor::DType::F32 => {
                    let values = (0..count).map(|_| 2.0 * f64::from(stream.unit()) - 1.0);
                    Tensor::real(node.ty.shape.clone(), values.collect())
                }
                crate::tensor::DType::U32 => {
                    let values = (0..count).map(|_| stream.below(rows));
                    Tensor::index(node.ty.shape.clone(), values.collect())
                }
            };
            match &node.kind {
                NodeKind::Variable(name) => {
                    variables.insert(name.to_string(), Arc::new(value));
                }
                NodeKind::Input(name) => {
                    inputs.insert(name.to_string(), Arc::new(value));
                }
                _ => {}
            }
        }
    });
    (variables, inputs)
}

/// Compares norms and sums of `build` with those of single samples.
fn check(build: impl for<'g> Fn(&'g Builder) -> Result<Built<'g>>) {
    let builder = Builder::new();
    builder.keep_apart();
    let Built {
        fields,
        parameters,
        losses,
    } = build(&builder).unwrap();
    let found = clipped_gradients(losses, &parameters, &fields, BOUND).unwrap();
    builder.output("norms", found.squared_norms);
    for (index, sum) in found.sums.iter().enumerate() {
        builder.output(&format!("sum {index}"), *sum);
    }
    for sample in 0..SAMPLES {
        let loss = losses.slice_axis(0, sample..sample + 1).unwrap();
        let each = gradients(loss.sum_all().unwrap(), &parameters).unwrap();
        for (index, grad) in each.iter().enumerate() {
            builder.output(&format!("{sample} {index}"), *grad);
        }
    }
    let count = parameters.len();
    let (mut variables, inputs) = values(&builder, 4);
    let graph = builder.finish().unwrap();
    let outputs = interpret(&graph, &mut variables, &inputs).unwrap();
    let value = |name: &str| -> Vec<f64> {
        let at = graph.outputs.iter().position(|o| o.name == name).unwrap();
        outputs[at].reals().to_vec()
    };
    let norms = value("norms");
    let mut sums: Vec<Vec<f64>> = (0..count)
        .map(|index| vec![0.0; value(&format!("sum {index}")).len()])
        .collect();
    let mut clipped = 0;
    for (sample, found) in norms.iter().enumerate() {
        let grads: Vec<Vec<f64>> = (0..count)
            .map(|index| value(&format!("{sample} {index}")))
            .collect();
        let square: f64 = grads.iter().flatten().map(|g| g * g).sum();
        assert!(
            (square - found).abs() < 1e-9 * square.max(1.0),
            "{square} {found}"
        );
        let factor = (BOUND / square.sqrt()).min(1.0);
        clipped += usize::from(factor < 1.0);
        for (sum, grad) in sums.iter_mut().zip(&grads) {
            sum.iter_mut()
                .zip(grad)
                .for_each(|(sum, g)| *sum += factor * g);
        }
    }
    assert!(clipped > 0, "{norms:?}");
    for (index, expected) in sums.iter().enumerate() {
        let found = value(&format!("sum {index}"));
        for (a, b) in expected.iter().zip(&found) {
            assert!((a - b).abs() < 1e-9, "parameter {index}: {a} {b}");
        }
    }
}

fn variable<'g>(builder: &'g Builder, name: &str, dims: &[usize]) -> Var<'g> {
    builder.variable(name, TensorType::f32(dims)).unwrap()
}

fn mean_square<'g>(y: Var<'g>) -> Result<Var<'g>> {
    let each = y.ty().elements() / SAMPLES;
    y.mul(y)?.reshape([SAMPLES, each])?.mean(&[1])
}

#[test]
fn dense_layers_and_biases() {
    check(|builder| {
        let x = builder.input("x", TensorType::f32([SAMPLES, 5]));
        let [w, b, v] = [("w", vec![5, 4]), ("b", vec![4]), ("v", vec![2, 4])]
            .map(|(name, dims)| variable(builder, name, &dims));
        let y = x.matmul(w)?.add(b)?.tanh()?.linear(v)?;
        Ok(Built {
            fields: vec![x],
            parameters: vec![w, b, v],
            losses: mean_square(y)?,
        })
    });
}

#[test]
fn convolutions_group_normalisation_and_pooling() {
    check(|builder| {
        let x = builder.input("x", TensorType::f32([SAMPLES, 6, 7, 2]));
        let conv = Conv2d {
            stride: [2, 1],
            padding: [[1, 1], [0, 1]],
            ..Conv2d::default()
        };
        let w = variable(builder, "w", &[4, 3, 3, 2]);
        let [scale, shift, v] = [("scale", vec![4]), ("shift", vec![4]), ("v", vec![4, 3])]
            .map(|(name, dims)| variable(builder, name, &dims));
        let y = x.conv2d(w, conv)?.group_norm(2, scale, shift, 1e-3)?;
        let y = y.relu()?.global_avg_pool2d()?;
        let y = y.reshape([SAMPLES, 4])?.matmul(v)?;
        Ok(Built {
            fields: vec![x],
            parameters: vec![w, scale, shift, v],
            losses: mean_square(y)?,
        })
    });
}

#[test]
fn embeddings_layer_normalisation_attention_and_dense_layers_over_sequences() {
    for width in [2, 40] {
        check(|builder| {
            let tokens = builder.input("tokens", TensorType::u32([SAMPLES, 6]));
            let table = variable(builder, "table", &[4, 6]);
            let [scale, shift] = ["scale", "shift"].map(|name| variable(builder, name, &[6]));
            let (w, v) = (
                variable(builder, "w", &[6, 18]),
                variable(builder, "v", &[6, width]),
            );
            let places = variable(builder, "places", &[6, 6]);
            let x = table.gather(tokens)?.add(places)?;
            let x = x.layer_norm_affine(scale, shift, 1e-3)?;
            let qkv = x.matmul(w)?;
            let y = qkv.attention(2, true, None)?;
            Ok(Built {
                fields: vec![tokens],
                parameters: vec![table, places, scale, shift, w, v],
                losses: mean_square(y.matmul(v)?)?,
            })
        });
    }
}

#[test]
fn what_mixes_samples_or_shares_weights_is_refused() {
    let refused = |build: &dyn for<'g> Fn(&'g Builder) -> Result<Built<'g>>| {
        let builder = Builder::new();
        let built = build(&builder).unwrap();
        let found = clipped_gradients(built.losses, &built.parameters, &built.fields, BOUND);
        found.err().unwrap().to_string()
    };
    let message = refused(&|builder| {
        let _scope = builder.scope("norm1");
        let x = builder.input("x", TensorType::f32([SAMPLES, 5]));
        let w = variable(builder, "w", &[5, 4]);
        let y = x.matmul(w)?;
        let mean = y.mean(&[0])?;
        Ok(Built {
            fields: vec![x],
            parameters: vec![w],
            losses: mean_square(y.sub(mean)?)?,
        })
    });
    assert!(
        message.contains("norm1") && message.contains("keeps the samples"),
        "{message}"
    );
    let message = refused(&|builder| {
        let x = builder.input("x", TensorType::f32([SAMPLES, 5]));
        let w = variable(builder, "w", &[5, 5]);
        Ok(Built {
            fields: vec![x],
            parameters: vec![w],
            losses: mean_square(x.matmul(w)?.tanh()?.matmul(w)?)?,
        })
    });
    assert!(message.contains("share weights"), "{message}");
    let message = refused(&|builder| {
        let x = builder.input("x", TensorType::f32([SAMPLES, 5]));
        let w = variable(builder, "w", &[5, 5]);
        Ok(Built {
            fields: vec![x],
            parameters: vec![w],
            losses: mean_square(x.matmul(w.mul(w)?)?)?,
        })
    });
    assert!(message.contains("before they meet"), "{message}");
}
