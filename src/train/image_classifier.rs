//! A trained classifier of images as a function of pixels from 0 to 1, with its gradients: what attacks and explanations are made of.

use super::fed_model::{FedModel, batch_type, predicted, shapes};
use crate::autodiff::vjp;
use crate::cpu::Tensor;
use crate::data::{Batch, Normalization, field};
use crate::device::{Device, ProgramId};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::nn::Forward;
use crate::plan::Scalar;
use crate::tasks::classification::LOGITS;
use crate::tasks::{Models, PixelScale, StepGraph, Task};
use crate::tensor::TensorType;
use std::sync::Arc;

const PIXELS: &str = "pixels";
const UPSTREAM: &str = "upstream";
const GRADIENT: &str = "gradient";

/// See the module.
pub struct ImageClassifier<'e> {
    model: FedModel<'e>,
    mean: Vec<f64>,
    std: Vec<f64>,
    shape: [usize; 3],
    classes: usize,
    logits: ProgramId,
    /// Prepared when it is first needed.
    gradients: Option<ProgramId>,
}

/// A graph over the classifier under construction.
pub struct ClassifierGraph<'g, 'a> {
    builder: &'g Builder,
    task: &'a dyn Task,
    models: &'a Models,
    scale: PixelScale<'g>,
    ty: TensorType,
}

impl<'g> ClassifierGraph<'g, '_> {
    /// The graph.
    pub fn builder(&self) -> &'g Builder {
        self.builder
    }

    /// The type of a batch of pixels, `[batch, height, width, channels]`.
    pub fn ty(&self) -> TensorType {
        self.ty.clone()
    }

    /// The logits of `pixels`, from 0 to 1, `[batch, classes]`. At most once in a graph.
    ///
    /// # Errors
    /// If they are of another type, or a node can't be built.
    pub fn logits(&self, pixels: Var<'g>) -> Result<Var<'g>> {
        let fields = [(field::IMAGE.to_string(), self.ty())];
        let batch = Batch::fed(self.builder, self.ty.dims()[0], fields);
        batch.put(field::IMAGE, self.scale.normalised(pixels)?);
        let mut step = StepGraph::new(batch, Forward::evaluation(self.builder), self.models);
        predicted(self.task, &mut step)
    }
}

impl<'e> ImageClassifier<'e> {
    /// Puts `models` with the `values` of their [`state`](Models::state) on `device`, for images that were normalised by `normal`, in
    /// batches of `batch`.
    ///
    /// # Errors
    /// If the task is no classification of images alone, or device memory is too small.
    pub fn new(
        device: Box<dyn Device + 'e>,
        task: Arc<dyn Task>,
        models: Models,
        values: &[Tensor<f32>],
        normal: Normalization<'_>,
        batch: usize,
    ) -> Result<ImageClassifier<'e>> {
        let shape = image_shape(&*task, &models, normal)?;
        let doubles = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect();
        let (mean, std): (Vec<f64>, Vec<f64>) = (doubles(normal.mean), doubles(normal.std));
        let mut model = FedModel::new(device, task, models, values, batch)?;
        let mut classes = 0;
        let parts = (shape, &mean[..], &std[..]);
        let logits = prepared(&mut model, parts, &[LOGITS], |graph| {
            let pixels = graph.builder.input(PIXELS, graph.ty());
            classes = graph.logits(pixels)?.shape().last();
            Ok(())
        })?;
        Ok(ImageClassifier {
            model,
            mean,
            std,
            shape,
            classes,
            logits,
            gradients: None,
        })
    }

    /// Extents of an image: `[height, width, channels]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Numbers of an image.
    pub fn pixels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Most images at once.
    pub fn batch(&self) -> usize {
        self.model.batch
    }

    /// The models.
    pub fn models(&self) -> &Models {
        self.model.models()
    }

    /// The values of the models' [`state`](Models::state). Waits for the device.
    ///
    /// # Errors
    /// If the device failed.
    pub fn values(&self) -> Result<Vec<Tensor<f32>>> {
        self.model.values()
    }

    /// Replaces the values of the models' [`state`](Models::state).
    ///
    /// # Errors
    /// If they are those of other models.
    pub fn set_values(&mut self, values: &[Tensor<f32>]) -> Result<()> {
        self.model.set_values(values)
    }

    /// Prepares a graph of the caller's, of whose outputs those called `outputs` are kept.
    ///
    /// # Errors
    /// If a node can't be built, a variable is missing, or device memory is too small.
    pub fn prepare(
        &mut self,
        outputs: &[&str],
        build: impl for<'g> FnOnce(&ClassifierGraph<'g, '_>) -> Result<()>,
    ) -> Result<ProgramId> {
        let parts = (self.shape, &self.mean[..], &self.std[..]);
        prepared(&mut self.model, parts, outputs, build)
    }

    /// Runs `steps` steps of `program`, whose scalar inputs have these values in all of them.
    ///
    /// # Errors
    /// If a scalar has no value, or the device failed.
    pub fn run(
        &mut self,
        program: ProgramId,
        steps: usize,
        scalars: &[(&str, Scalar)],
    ) -> Result<()> {
        self.model.run(program, steps, scalars)
    }

    /// Feeds `values`, `[images, ...dims]`, to the input `name` of `program`; fewer images than a batch are followed by zeros.
    ///
    /// # Errors
    /// If there is no such input, or it is of another type.
    pub fn feed(
        &mut self,
        program: ProgramId,
        name: &str,
        values: &[f32],
        dims: &[usize],
    ) -> Result<()> {
        self.model.feed(program, name, values, dims)
    }

    /// Sets the variable `name` to pixels of at most a batch of images.
    ///
    /// # Errors
    /// If device memory is too small.
    pub fn set(&mut self, name: &str, pixels: &[f32]) -> Result<()> {
        self.model.set(name, pixels, &self.shape)
    }

    /// The variable `name`, pixels of a batch of images. Waits for the device.
    ///
    /// # Errors
    /// If there is none, or the device failed.
    pub fn get(&self, name: &str) -> Result<Vec<f32>> {
        self.model.get(name)
    }

    /// The logits of at most a batch of images, `[images, classes]`, of pixels from 0 to 1.
    ///
    /// # Errors
    /// If the device failed.
    pub fn logits(&mut self, pixels: &[f32]) -> Result<Vec<f32>> {
        let images = pixels.len() / self.pixels();
        self.feed(self.logits, PIXELS, pixels, &self.shape.clone())?;
        self.run(self.logits, 1, &[])?;
        self.output(self.logits, LOGITS, images * self.classes)
    }

    /// The logits of at most a batch of images, and the gradients with respect to their pixels, `[images, height, width, channels]`, of the
    /// sums of their logits multiplied by `upstream`, `[images, classes]`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn gradients(&mut self, pixels: &[f32], upstream: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
        let (images, classes) = (pixels.len() / self.pixels(), self.classes);
        let program = match self.gradients {
            Some(known) => known,
            None => self.prepare(&[LOGITS, GRADIENT], |graph| {
                let pixels = graph.builder.input(PIXELS, graph.ty());
                let logits = graph.logits(pixels)?;
                let upstream = graph.builder.input(UPSTREAM, logits.ty());
                let gradient = vjp(logits, upstream, &[pixels])?[0];
                graph.builder.output(GRADIENT, gradient);
                Ok(())
            })?,
        };
        self.gradients = Some(program);
        self.feed(program, PIXELS, pixels, &self.shape.clone())?;
        self.feed(program, UPSTREAM, upstream, &[classes])?;
        self.run(program, 1, &[])?;
        Ok((
            self.output(program, LOGITS, images * classes)?,
            self.output(program, GRADIENT, images * self.pixels())?,
        ))
    }

    /// The first `count` numbers of an output of the last step of `program`. Waits for the device.
    ///
    /// # Errors
    /// If there is none of that name, or the device failed.
    pub fn output(&self, program: ProgramId, name: &str, count: usize) -> Result<Vec<f32>> {
        self.model.output(program, name, count)
    }
}

/// The extents of the images that the only model of a classification takes.
fn image_shape(task: &dyn Task, models: &Models, normal: Normalization<'_>) -> Result<[usize; 3]> {
    let model = models.first()?;
    let inputs = shapes(model.inputs());
    let channels = normal.mean.len();
    match inputs.first().map(|first| &first[..]) {
        Some(&[height, width, own])
            if inputs.len() == 1
                && own == channels
                && normal.std.len() == channels
                && task.judged_as() == "classification" =>
        {
            Ok([height, width, channels])
        }
        _ => Err(Error::Config(format!(
            "the run is of the task {} and its model {} takes {inputs:?}, but this is for classifiers of images; name a run of one",
            task.registered().name,
            model.name()
        ))),
    }
}

/// Prepares the graph that `build` makes over images of a shape that were normalised by a mean and a deviation.
fn prepared(
    model: &mut FedModel<'_>,
    (shape, mean, std): ([usize; 3], &[f64], &[f64]),
    outputs: &[&str],
    build: impl for<'g> FnOnce(&ClassifierGraph<'g, '_>) -> Result<()>,
) -> Result<ProgramId> {
    let ty = batch_type(model.batch, &shape);
    let keep = |name: &str| outputs.contains(&name);
    model.prepare(keep, |builder, task, models| {
        build(&ClassifierGraph {
            builder,
            task,
            models,
            scale: PixelScale::new(builder, mean, std)?,
            ty,
        })
    })
}
