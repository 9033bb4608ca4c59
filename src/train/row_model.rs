//! A trained model as a function of encoded rows of a table, with its gradients: what explanations of tables are made of.

use super::fed_model::{FedModel, batch_type, predicted, shapes};
use crate::autodiff::vjp;
use crate::cpu::Tensor;
use crate::data::{Batch, field};
use crate::device::{Device, ProgramId};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::nn::Forward;
use crate::tasks::classification::LOGITS;
use crate::tasks::{Models, StepGraph, Task};
use std::sync::Arc;

const UPSTREAM: &str = "upstream";
const GRADIENT: &str = "gradient";

/// See the module.
pub struct RowModel<'e> {
    model: FedModel<'e>,
    /// Numbers of a row.
    columns: usize,
    /// Numbers that it predicts.
    outputs: usize,
    is_classifier: bool,
    predictions: ProgramId,
    /// Prepared when it is first needed.
    gradients: Option<ProgramId>,
}

impl<'e> RowModel<'e> {
    /// Puts `models` with the `values` of their [`state`](Models::state) on `device`, in batches of `batch` rows.
    ///
    /// # Errors
    /// If the task is neither classification nor regression, the model does not take rows alone, or device memory is too small.
    pub fn new(
        device: Box<dyn Device + 'e>,
        task: Arc<dyn Task>,
        models: Models,
        values: &[Tensor<f32>],
        batch: usize,
    ) -> Result<RowModel<'e>> {
        let model = models.first()?;
        let known = ["classification", "regression"].contains(&task.judged_as());
        let inputs = shapes(model.inputs());
        let columns = match inputs.first().map(|first| &first[..]) {
            Some(&[columns]) if known && inputs.len() == 1 => columns,
            _ => {
                return Err(Error::Config(format!(
                    "the run is of the task {} and its model {} takes {inputs:?}, but this is for classes or numbers of the rows of a \
                     table; name a run of these",
                    task.registered().name,
                    model.name()
                )));
            }
        };
        let is_classifier = task.judged_as() == "classification";
        let mut model = FedModel::new(device, task, models, values, batch)?;
        let mut outputs = 0;
        let keep = |name: &str| name == LOGITS;
        let predictions = model.prepare(keep, |builder, task, models| {
            let rows = builder.input(field::ROW, batch_type(batch, &[columns]));
            outputs = of_rows(builder, (task, models), rows)?.shape().last();
            Ok(())
        })?;
        Ok(RowModel {
            model,
            columns,
            outputs,
            is_classifier,
            predictions,
            gradients: None,
        })
    }

    /// Numbers of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Numbers that it predicts for a row: the logit of each class, or scaled numbers.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Whether it predicts logits of classes.
    pub fn is_classifier(&self) -> bool {
        self.is_classifier
    }

    /// Most rows at once.
    pub fn batch(&self) -> usize {
        self.model.batch
    }

    /// The predictions for at most a batch of rows, `[rows, outputs]`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn predict(&mut self, rows: &[f32]) -> Result<Vec<f32>> {
        let count = rows.len() / self.columns.max(1);
        let (model, program) = (&mut self.model, self.predictions);
        model.feed(program, field::ROW, rows, &[self.columns])?;
        model.run(program, 1, &[])?;
        model.output(program, LOGITS, count * self.outputs)
    }

    /// The gradients with respect to at most a batch of rows, `[rows, columns]`, of their predictions number `output`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn gradients(&mut self, rows: &[f32], output: usize) -> Result<Vec<f32>> {
        let (columns, outputs, batch) = (self.columns, self.outputs, self.model.batch);
        let count = rows.len() / columns.max(1);
        let program = match self.gradients {
            Some(known) => known,
            None => self.model.prepare(
                |name| name == GRADIENT,
                |builder, task, models| {
                    let rows = builder.input(field::ROW, batch_type(batch, &[columns]));
                    let predictions = of_rows(builder, (task, models), rows)?;
                    let upstream = builder.input(UPSTREAM, predictions.ty());
                    builder.output(GRADIENT, vjp(predictions, upstream, &[rows])?[0]);
                    Ok(())
                },
            )?,
        };
        self.gradients = Some(program);
        let mut upstream = vec![0.0; count * outputs];
        let own = upstream.iter_mut().skip(output).step_by(outputs.max(1));
        own.for_each(|x| *x = 1.0);
        let model = &mut self.model;
        model.feed(program, field::ROW, rows, &[columns])?;
        model.feed(program, UPSTREAM, &upstream, &[outputs])?;
        model.run(program, 1, &[])?;
        model.output(program, GRADIENT, count * columns)
    }
}

/// The predictions for the batch `rows`.
fn of_rows<'g>(
    builder: &'g Builder,
    (task, models): (&dyn Task, &Models),
    rows: Var<'g>,
) -> Result<Var<'g>> {
    let size = rows.shape().dims().first().copied().unwrap_or(1);
    let batch = Batch::fed(builder, size, [(field::ROW.to_string(), rows.ty())]);
    batch.put(field::ROW, rows);
    let mut step = StepGraph::new(batch, Forward::evaluation(builder), models);
    predicted(task, &mut step)
}
