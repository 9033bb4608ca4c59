//! Images that a trained run draws from noise.

use super::{FeatureMoments, ImageFeatures};
use crate::cpu::Tensor;
use crate::data::{Batch, Fitted, field};
use crate::device::{Device, Engine, ProgramId};
use crate::error::{Error, Result};
use crate::graph::{Builder, Graph, NodeKind};
use crate::nearest::did_you_mean;
use crate::nn::Forward;
use crate::plan::Scalar;
use crate::run::RunParts;
use crate::tasks::{CARRIED, DrawPass, StepGraph, picture_bytes, picture_file, sample_grid};
use crate::tensor::TensorType;

/// Images per batch. Sample i is the same, however many are drawn.
const BATCH: usize = 64;
const SAMPLES: &str = "samples";

/// What is drawn.
#[derive(Clone, Debug, Default)]
pub struct DrawSettings {
    /// Random seed.
    pub seed: u64,
    /// Name of the class of all images. If absent, a run that knows classes draws them in turn.
    pub class: Option<String>,
    /// Number of passes for each image, if the task draws in several.
    pub steps: Option<usize>,
}

/// Trained models on an engine that draw images.
pub struct Drawing<'e> {
    device: Box<dyn Device + 'e>,
    program: ProgramId,
    fitted: Fitted,
    passes: Vec<DrawPass>,
    /// The variable that passes hand on, if there are several.
    carried: Option<TensorType>,
    classes: Classes,
    measured: Option<Measured<'e>>,
}

/// Features of the images that were drawn.
struct Measured<'e> {
    features: ImageFeatures<'e>,
    rows: Vec<f32>,
    each: usize,
}

/// The classes of images.
#[derive(Clone, Copy)]
enum Classes {
    /// The models know none.
    Unknown,
    /// All images are of this one.
    One(u32),
    /// This many, in turn.
    InTurn(u32),
}

impl<'e> Drawing<'e> {
    /// Puts the models of a run on `engine`, to draw what `wanted` says.
    ///
    /// # Errors
    /// If the task does not draw images, or not of that class or in that many passes, or device memory is too small.
    pub fn new(
        engine: &'e Engine,
        mut parts: RunParts,
        wanted: &DrawSettings,
    ) -> Result<Drawing<'e>> {
        let passes = parts.task.draw_passes(wanted.steps)?;
        let builder = Builder::new();
        let label = (field::LABEL.to_string(), TensorType::u32([BATCH]));
        let batch = Batch::fed(&builder, BATCH, [label]);
        let forward = Forward::evaluation(&builder);
        let mut step = StepGraph::new(batch, forward, &parts.models).with_noise_seed(wanted.seed);
        let drawn = parts.task.draw(&mut step)?;
        step.output(SAMPLES, drawn);
        step.forward.finish()?;
        let graph = builder.finish()?;
        let classes = classes(&graph, wanted.class.as_deref(), &parts.fitted.classes)?;
        let carried = found(
            &graph,
            |kind| matches!(kind, NodeKind::Variable(name) if **name == *CARRIED),
        );
        let mut device = engine.device();
        let planned = device.plan(graph)?;
        let values = parts.initial();
        parts.models.put(&mut *device, &values)?;
        for (name, value) in parts.task.variables()? {
            device.set(&name, &value)?;
        }
        if let Some(ty) = &carried {
            device.set(CARRIED, &Tensor::zeros(ty))?;
        }
        let program = device.prepare(planned)?;
        Ok(Drawing {
            device,
            program,
            fitted: parts.fitted,
            passes,
            carried,
            classes,
            measured: None,
        })
    }

    /// Keeps `features` of all images that are drawn from now on, for [`Drawing::moments`].
    #[must_use]
    pub fn measured_by(self, features: ImageFeatures<'e>) -> Drawing<'e> {
        let measured = Measured {
            features,
            rows: Vec::new(),
            each: 0,
        };
        Drawing {
            measured: Some(measured),
            ..self
        }
    }

    /// Mean and covariance of the features of all images that were drawn.
    ///
    /// # Errors
    /// If fewer than two were drawn, or no features were kept.
    pub fn moments(&self) -> Result<FeatureMoments> {
        let (rows, each) = match &self.measured {
            Some(measured) => (&measured.rows[..], measured.each),
            None => (&[][..], 1),
        };
        FeatureMoments::of(rows, each)
    }

    /// Draws `count` images and passes each as a PNG file to `take`, with its number from 0.
    ///
    /// # Errors
    /// If the output is not a grey or colour image, or the device or `take` failed.
    pub fn draw(
        &mut self,
        count: usize,
        mut take: impl FnMut(usize, Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let fitted = self.fitted.clone();
        self.each(count, |number, shape, pixels| {
            let file = picture_file(shape, pixels, &fitted)?;
            take(number, file.ok_or_else(|| no_image(shape))?)
        })
    }

    /// Draws `count` images and returns them in a grid of eight columns, a PNG file.
    ///
    /// # Errors
    /// If the output is not a grey or colour image, or the device failed.
    pub fn grid(&mut self, count: usize) -> Result<Vec<u8>> {
        let (mut all, mut of_one) = (Vec::new(), Vec::new());
        self.each(count, |_, shape, pixels| {
            all.extend_from_slice(pixels);
            of_one = shape.to_vec();
            Ok(())
        })?;
        sample_grid(&of_one, &all, &self.fitted)?.ok_or_else(|| no_image(&of_one))
    }

    /// Draws `count` images and passes number, shape and normalised pixels of each to `take`.
    fn each(
        &mut self,
        count: usize,
        mut take: impl FnMut(usize, &[usize], &[f32]) -> Result<()>,
    ) -> Result<()> {
        for first in (0..count).step_by(BATCH) {
            self.feed_classes(first)?;
            if let Some(ty) = &self.carried {
                self.device.set(CARRIED, &Tensor::zeros(ty))?;
            }
            for pass in &self.passes {
                let scalar = |name: &String| match name.as_str() {
                    "step" => Ok(Scalar::from(first / BATCH)),
                    "valid" => Ok(Scalar::from(BATCH)),
                    own => {
                        let given = pass.iter().find(|(known, _)| *known == own);
                        given.map(|(_, value)| *value).ok_or_else(|| {
                            Error::Graph(format!("the input {own} of a drawing has no value"))
                        })
                    }
                };
                let names = self.device.scalar_names(self.program);
                let scalars = names.iter().map(scalar).collect::<Result<Vec<Scalar>>>()?;
                self.device.run(self.program, 1, &scalars)?;
            }
            let drawn = self.device.output(self.program, SAMPLES)?;
            let shape = drawn.dims().get(1..).unwrap_or_default();
            let each = shape.iter().product::<usize>().max(1);
            let images = drawn.reals().chunks_exact(each).take(count - first);
            for (place, pixels) in images.enumerate() {
                if let Some(measured) = &mut self.measured {
                    let bytes = picture_bytes(pixels, &self.fitted);
                    let Measured { features, rows, .. } = measured;
                    measured.each = features.append(shape, &bytes, rows)?;
                }
                take(first + place, shape, pixels)?;
            }
        }
        Ok(())
    }

    /// Feeds the classes of a batch whose first image has this number.
    fn feed_classes(&mut self, first: usize) -> Result<()> {
        let labels: Vec<u32> = match self.classes {
            Classes::Unknown => return Ok(()),
            Classes::One(class) => vec![class; BATCH],
            Classes::InTurn(count) => (first..first + BATCH)
                .map(|number| number as u32 % count)
                .collect(),
        };
        let labels = Tensor::index([BATCH], labels);
        self.device.feed(self.program, field::LABEL, &labels)
    }
}

fn no_image(shape: &[usize]) -> Error {
    Error::Config(format!(
        "the model draws {shape:?} for each sample, which is not a grey or colour image"
    ))
}

/// The type of the first node of `graph` of this kind.
fn found(graph: &Graph, is_it: impl Fn(&NodeKind) -> bool) -> Option<TensorType> {
    let mut ids = graph.ids();
    let id = ids.find(|&id| is_it(&graph.node(id).kind))?;
    Some(graph.ty(id).clone())
}

/// The classes of images drawn by `graph`: the one called `wanted`, or all with these `names`.
fn classes(graph: &Graph, wanted: Option<&str>, names: &[String]) -> Result<Classes> {
    let reads_them = found(
        graph,
        |kind| matches!(kind, NodeKind::Input(name) if **name == *field::LABEL),
    );
    match (reads_them, wanted) {
        (None, None) => Ok(Classes::Unknown),
        (None, Some(_)) => Err(Error::Config(
            "the run was trained without classes; leave --class out, or train with task.conditional = true".to_string(),
        )),
        (Some(_), None) => Ok(Classes::InTurn(names.len().max(1) as u32)),
        (Some(_), Some(name)) => {
            let place = names.iter().position(|known| known == name);
            let place = place.ok_or_else(|| {
                Error::Config(format!(
                    "the run knows no class {name:?}; there are {}{}",
                    names.join(", "),
                    did_you_mean(name, names.iter().map(String::as_str))
                ))
            })?;
            Ok(Classes::One(place as u32))
        }
    }
}
