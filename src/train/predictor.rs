//! A trained model on a device, for inference in a program.

use crate::cpu::Tensor;
use crate::device::{Device, ProgramId, set_all};
use crate::error::{Error, Result};
use crate::nn::{Model, ModelInput, inference_graph, input_type};
use crate::tensor::TensorType;

/// Runs a model in evaluation mode on fed batches.
pub struct Predictor<'e> {
    device: Box<dyn Device + 'e>,
    program: ProgramId,
    inputs: Vec<(String, TensorType)>,
    outputs: Vec<String>,
    state: Vec<String>,
}

impl<'e> Predictor<'e> {
    /// Puts `model` with the `values` of its [`state`](Model::state), in that order, on `device`, for batches of `batch`
    /// samples.
    ///
    /// # Errors
    /// If the values are not those of the model, its input shape is `"auto"`, or device memory is too small.
    pub fn new(
        mut device: Box<dyn Device + 'e>,
        model: &dyn Model,
        values: &[Tensor<f32>],
        batch: usize,
    ) -> Result<Predictor<'e>> {
        let state: Vec<String> = model.state().map(|part| part.name.clone()).collect();
        set_all(&mut *device, state.iter().map(String::as_str), values)?;
        let typed = |input: &ModelInput| Ok((input.name.clone(), input_type(model, input, batch)?));
        let inputs = model.inputs().iter().map(typed).collect::<Result<_>>()?;
        let outputs = model.outputs().iter().map(|output| output.name.clone());
        let outputs = outputs.collect();
        let planned = device.plan(inference_graph(model, batch)?)?;
        let program = device.prepare(planned)?;
        Ok(Predictor {
            device,
            program,
            inputs,
            outputs,
            state,
        })
    }

    /// Names and types of the model's inputs, with the batch as the first axis.
    pub fn inputs(&self) -> &[(String, TensorType)] {
        &self.inputs
    }

    /// Replaces the weights, for example by those of a trainer.
    ///
    /// # Errors
    /// If they are not those of the model.
    pub fn set_values(&mut self, values: &[Tensor<f32>]) -> Result<()> {
        let names = self.state.iter().map(String::as_str);
        set_all(&mut *self.device, names, values)
    }

    /// Runs the model on `inputs`, given by name, and returns its outputs by name, `[batch, ...]`. Waits for the device.
    ///
    /// # Errors
    /// If an input is missing or of another type, or the device failed.
    pub fn run(&mut self, inputs: &[(&str, &Tensor<f32>)]) -> Result<Vec<(String, Tensor<f32>)>> {
        let known = |name: &str| inputs.iter().any(|(given, _)| *given == name);
        if let Some((name, ty)) = self.inputs.iter().find(|(name, _)| !known(name)) {
            return Err(Error::Config(format!(
                "the model takes the input {name}, a {ty}; feed it"
            )));
        }
        for (name, value) in inputs {
            self.device.feed(self.program, name, value)?;
        }
        self.device.run(self.program, 1, &[])?;
        let output = |name: &String| Ok((name.clone(), self.device.output(self.program, name)?));
        self.outputs.iter().map(output).collect()
    }
}
