//! The importance of parameters for what a model has learned: the diagonal of the empirical Fisher information, the mean over samples of
//! the squared gradient of the loss of one sample (Kirkpatrick et al. 2017; "empirical" because the classes are those of the data, not
//! drawn from the model).

use super::evaluator::Sizes;
use super::graphs::BatchSource;
use super::loaded::Loaded;
use super::scalars::{ScalarRows, StepInputs};
use crate::autodiff::gradients;
use crate::cpu::Tensor;
use crate::data::{Normalization, Pass, Samples, SetLayout};
use crate::device::Device;
use crate::error::Result;
use crate::graph::{Builder, Graph, Var};
use crate::nn::Forward;
use crate::tasks::{Models, StepGraph, Task};

/// The variable that adds up the importance of a parameter. No layer's name holds a colon, so no parameter has it.
fn sum_of(parameter: &str) -> String {
    format!("importance:{parameter}")
}

/// The importance of each parameter of `models` for `samples`, by name: the mean of the squared gradients of the losses of single
/// samples, as they are evaluated, without dropout and augmentation. The variables of the models must be on `device`.
///
/// # Errors
/// If models and data don't fit together, or the device failed.
pub(crate) fn importance(
    device: &mut dyn Device,
    task: &dyn Task,
    models: &Models,
    samples: Samples,
    normal: Normalization<'_>,
) -> Result<Vec<(String, Tensor<f32>)>> {
    let count = samples.len();
    let sizes = Sizes {
        batch: 1,
        stream: None,
    };
    let streamed = sizes.streamed(&samples, device.max_tensor_bytes());
    let layout = SetLayout::of("importance", &samples, normal, 1, streamed);
    let graph = importance_graph(task, models, &BatchSource::Set(layout.clone()), count)?;
    // Sums, and what the task counts beside its loss.
    let of_models = |name: &str| models.state().any(|part| part.name == name);
    for (name, ty) in graph.updated(|name| !of_models(name)) {
        device.set(&name, &Tensor::zeros(&ty))?;
    }
    for (name, value) in task.variables()? {
        device.set(&name, &value)?;
    }
    let planned = device.plan(graph)?;
    let data = Loaded::new(device, layout, streamed, samples)?;
    let program = device.prepare(planned)?;
    let mut rows = ScalarRows::new(device.scalar_names(program), &[], task, 0)?;
    let stream = data.begin(device, Pass::in_order(count), 0)?;
    let most = match &stream {
        Some(_) => 1,
        None => device.max_steps(),
    };
    let mut done = 0;
    while done < count {
        let steps = most.min(count - done);
        rows.clear();
        for at in done..done + steps {
            let inputs = StepInputs {
                cursor: data.cursor(at),
                valid: 1,
                total: 1,
                step: at as u64,
            };
            rows.push(inputs, &[], task);
        }
        if let Some(stream) = &stream {
            data.feed(device, stream)?;
        }
        device.run(program, steps, rows.values())?;
        done += steps;
    }
    let parameters = models.iter().flat_map(|(_, model)| model.parameters());
    parameters
        .map(|p| Ok((p.name.clone(), device.get(&sum_of(&p.name))?)))
        .collect()
}

/// A step over one sample of `count`, which adds its share of the importance of every parameter.
fn importance_graph(
    task: &dyn Task,
    models: &Models,
    source: &BatchSource,
    count: usize,
) -> Result<Graph> {
    let builder = Builder::new();
    let batch = source.batch(&builder);
    let mut step = StepGraph::new(batch, Forward::evaluation(&builder), models);
    let loss = task.evaluate(&mut step)?.mean(builder.constant(1.0))?;
    let parameters = || models.iter().flat_map(|(_, model)| model.parameters());
    let weights = parameters().map(|p| builder.variable(&p.name, p.ty.clone()));
    let weights = weights.collect::<Result<Vec<Var<'_>>>>()?;
    let share = builder.constant(1.0 / count.max(1) as f64);
    for (parameter, grad) in parameters().zip(gradients(loss, &weights)?) {
        let sum = builder.variable(&sum_of(&parameter.name), grad.ty())?;
        builder.update(sum, sum.add(grad.mul(grad)?.mul(share)?)?)?;
    }
    step.forward.finish()?;
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{RowSet, Targets, WindowRows, field};
    use crate::device::Engine;
    use crate::nn::{ModelSpec, Network};
    use crate::tasks::{Custom, Objective};
    use crate::toml_text::parse;

    /// Rows `x` with the targets 2, 0 and 1, and the model `w x + b`.
    #[test]
    fn the_importance_of_a_linear_model_is_that_worked_out_by_hand() {
        let rows = RowSet {
            rows: WindowRows::Floats {
                values: vec![1.0, 2.0, -3.0],
                columns: 1,
            },
            starts: vec![0, 1, 2],
            random_starts: false,
            length: 1,
            targets: Targets::Values {
                values: vec![2.0, 0.0, 1.0],
                columns: 1,
                offset: 0,
                length: 1,
            },
        };
        let text = "name = \"line\"\ninput = [1]\nlayer = [{ type = \"dense\", units = 1 }]";
        let spec: ModelSpec = parse(text, "line").unwrap();
        let models = Models::one(Network::new(spec).unwrap());
        let task = Custom::new(|step| {
            let x = step.batch.field(field::ROW)?;
            let y = step.batch.field(field::VALUE)?.reshape([1, 1])?;
            let error = step.run_first(&[x])?.sub(y)?;
            Objective::mean_of(error.mul(error)?.reshape([1])?)
        });
        let mut device = Engine::Cpu.device();
        let named = |suffix: &str, value: f32| {
            let mut state = models.state();
            let part = state.find(|part| part.name.ends_with(suffix)).unwrap();
            (
                part.name.clone(),
                Tensor::real(part.ty.shape.clone(), vec![value]),
            )
        };
        let (w, b) = (named("weight", 0.5), named("bias", 1.0));
        device.set(&w.0, &w.1).unwrap();
        device.set(&b.0, &b.1).unwrap();
        let normal = Normalization {
            mean: &[],
            std: &[],
        };
        let found = importance(&mut *device, &task, &models, rows.into(), normal).unwrap();
        let of = |name: &str| {
            let own = found.iter().find(|(known, _)| known == name).unwrap();
            own.1.reals()[0]
        };
        // The errors are -0.5, 2 and -1.5; the gradients 2 * error * x and 2 * error.
        let near = |found: f32, wanted: f32| (found - wanted).abs() < 1e-5 * wanted;
        assert!(near(of(&w.0), (1.0 + 64.0 + 81.0) / 3.0), "{}", of(&w.0));
        assert!(near(of(&b.0), (1.0 + 16.0 + 9.0) / 3.0), "{}", of(&b.0));
    }
}
