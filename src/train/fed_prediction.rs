//! Predictions of a task from fed batches, on the device of a trainer, with the weights as they are.

use super::graphs::{BatchSource, prediction_graph};
use super::scalars::{ScalarRows, StepInputs};
use crate::cpu::Tensor;
use crate::device::{Device, ProgramId};
use crate::error::{Error, Result};
use crate::tasks::{Models, Task};
use crate::tensor::TensorType;
use std::sync::Arc;

/// One output of a task's predictions ([`Task::predict`]) for fed batches. What only other outputs need is not computed.
pub struct FedPrediction {
    task: Arc<dyn Task>,
    program: ProgramId,
    rows: ScalarRows,
    output: String,
}

impl FedPrediction {
    /// Prepares the output `output` for batches of `size` samples with these fields, on a device that has the models' variables.
    ///
    /// # Errors
    /// If the task has no such output, or device memory is too small.
    pub fn new(
        device: &mut dyn Device,
        task: Arc<dyn Task>,
        models: &Models,
        size: usize,
        fields: Vec<(String, TensorType)>,
        output: &str,
    ) -> Result<FedPrediction> {
        let mut graph = prediction_graph(&*task, models, &BatchSource::Fed { size, fields })?;
        graph.outputs.retain(|known| known.name == output);
        if graph.outputs.is_empty() {
            return Err(Error::Config(format!(
                "the task {} does not predict {output}",
                task.registered().name
            )));
        }
        let planned = device.plan(graph)?;
        for (name, value) in task.variables()? {
            device.set(&name, &value)?;
        }
        let program = device.prepare(planned)?;
        let rows = ScalarRows::new(device.scalar_names(program), &[], &*task, 0)?;
        Ok(FedPrediction {
            task,
            program,
            rows,
            output: output.to_string(),
        })
    }

    /// The output for a batch: `fields` are its fields by name, of which the first `valid` samples count. Waits for the device.
    ///
    /// # Errors
    /// If a field is missing or of another type, or the device failed.
    pub fn run(
        &mut self,
        device: &mut dyn Device,
        fields: &[(&str, &Tensor<f32>)],
        valid: usize,
    ) -> Result<Tensor<f32>> {
        for (name, value) in fields {
            device.feed(self.program, name, value)?;
        }
        self.rows.clear();
        let inputs = StepInputs {
            valid,
            total: valid,
            ..StepInputs::default()
        };
        self.rows.push(inputs, &[], &*self.task);
        device.run(self.program, 1, self.rows.values())?;
        device.output(self.program, &self.output)
    }
}
